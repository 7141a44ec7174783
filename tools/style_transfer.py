"""Paint an image in the manner of another with a network's first layers: see README.md."""

from leopart_kit.image_level.cli.style_transfer import main

if __name__ == "__main__":
    main()
