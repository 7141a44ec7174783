"""`python -m leopart_kit` is `leopart`."""

from leopart_kit.cli.program import main

if __name__ == "__main__":
    main()
