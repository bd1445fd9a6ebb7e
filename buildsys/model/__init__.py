"""Pure values of the build: no I/O, no third-party library, nothing above `buildsys.errors`."""
