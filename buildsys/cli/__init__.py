"""The command line: options, dispatch and the only place that prints or exits."""
