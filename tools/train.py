"""Train an encoder's patch tokens without labels: see README.md."""

from leopart_kit.cli.train import main

if __name__ == "__main__":
    main()
