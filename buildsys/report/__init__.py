"""What is told of a build: where outputs are, the journal, explanations."""
