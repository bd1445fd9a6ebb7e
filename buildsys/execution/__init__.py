"""The execution phase: from actions to values and files."""
