"""Benchmarks: buildsys beside its peers, on the same files, in one run. `python -m benchmarks --help`."""
