"""`python -m modwright`: the command line, as torchrun starts it."""

from modwright.cli import main

if __name__ == "__main__":
    main()
