"""Seconds until a command answers, and until a name can be imported."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

from leopart_kit.bench.machine import fastest

STARTS = {
    "python -c pass": ["-c", "pass"],
    "import leopart_kit": ["-c", "import leopart_kit"],
    "leopart --help": ["-m", "leopart_kit", "--help"],
    "leopart eval --help": ["-m", "leopart_kit", "eval", "--help"],
    "import torch": ["-c", "import torch"],
    "from leopart_kit import evaluate": ["-c", "from leopart_kit import evaluate"],
}


def bench_startup() -> Iterator[str]:
    """Each beside a Python that does nothing, and beside the import of torch."""
    yield "startup: seconds of a new process, the fastest of five"
    seconds = {
        name: fastest(lambda words=words: _start(words), 5) for name, words in STARTS.items()
    }
    bare, torch = seconds["python -c pass"], seconds["import torch"]
    for name, taken in seconds.items():
        ratios = f"{taken / bare:6.1f} x pass   {taken / torch:4.2f} x torch"
        yield f"  {name:34} {taken:5.2f} s {ratios}"


def _start(words: list[str]) -> None:
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
