"""Speed and memory as ratios measured in one run: `python tools/bench.py --help`."""

from leopart_kit.bench.main import main

if __name__ == "__main__":
    main()
