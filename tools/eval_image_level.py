"""Measure any encoder on whole images and their classes: see README.md."""

from leopart_kit.image_level.cli.eval_image_level import main

if __name__ == "__main__":
    main()
