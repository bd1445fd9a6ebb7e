"""Serving: what was built, to clients of registries, straight out of the store."""
