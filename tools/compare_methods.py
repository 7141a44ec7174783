"""Every image-level method trained for minutes and measured: see eval/results/README.md."""

from leopart_kit.image_level.cli.compare_methods import main

if __name__ == "__main__":
    main()
