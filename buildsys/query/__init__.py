"""Queries: Bazel's query language over loaded targets, configured targets and actions, and the forms of the answer."""
