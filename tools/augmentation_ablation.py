"""Train with all augmentations and without each of them: see README.md."""

from leopart_kit.image_level.cli.augmentation_ablation import main

if __name__ == "__main__":
    main()
