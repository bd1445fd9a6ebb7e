"""`python -m buildsys`."""

from buildsys.cli.main import main

if __name__ == "__main__":
    main()
