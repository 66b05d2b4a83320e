"""`python -m membergate`: the command line."""

from membergate.cli.app import main

if __name__ == "__main__":
    main()
