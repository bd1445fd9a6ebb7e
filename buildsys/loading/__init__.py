"""The loading phase: from BUILD.yaml files to packages of targets, every value with its place."""
