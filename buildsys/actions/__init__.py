"""The operations: one file each, parameters and `execute`."""
