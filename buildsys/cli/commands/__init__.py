"""The commands: one module for each family; each function takes a request and returns the exit code."""
