"""Many encoders on many benchmarks, one leaderboard: see README.md."""

from leopart_kit.cli.benchmark import main

if __name__ == "__main__":
    main()
