"""The analysis phase: from targets and a configuration to actions. Pure: it reads nothing but its arguments."""
