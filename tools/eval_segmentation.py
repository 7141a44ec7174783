"""Measure any encoder's patches on a data set: see README.md."""

from leopart_kit.cli.eval_segmentation import main

if __name__ == "__main__":
    main()
