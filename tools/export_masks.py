"""Find parts in a folder of images and write their masks: see README.md."""

from leopart_kit.cli.export_masks import main

if __name__ == "__main__":
    main()
