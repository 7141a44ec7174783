"""Figures of about fifty commands, saved before a change of the code and compared after it.

    python tests/same_figures.py save FILE      before the change
    python tests/same_figures.py compare FILE   after it: a line for each difference, exit code 1

It draws procedural scenes, writes them in the layouts of the data sets, and runs every protocol,
training method, export and page as `tools/*.py`, with one thread, in fp32, from fixed seeds, on a
CPU. `figures/record.py` says what is compared, and what is not. Only command lines and files are
used, so that everything inside the package may change. Both runs must be on one machine with the
same libraries: others round otherwise.

Six seconds a command; `--only NAME` (also with *) runs a part, and what its commands read.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from figures.commands import Command, read_commands
from figures.differences import differences
from figures.layouts import write_layouts
from figures.record import Record, record

REPOSITORY = Path(__file__).resolve().parents[1]
LIBRARIES = ("torch", "torchvision", "timm", "numpy", "scipy", "faiss-cpu", "pillow")

OWN_ENCODER = """
from torch.nn import functional as F
from leopart_kit.backbones import Encoder

def colours():
    return Encoder.from_module(lambda images: F.avg_pool2d(images, 8), patch_size=8, embed_dim=3)
"""
PART_NAMES = {"0": "first", "3": "second", "5": "first", "7": "background"}
COMMANDS = read_commands()


@dataclass
class Runs:
    """Commands run below `folder`, each once, after those whose output it reads."""

    folder: Path
    records: dict[str, Record] = field(default_factory=dict)

    def run(self, command: Command) -> None:
        if command.name in self.records:
            return
        for name in command.after:
            self.run(COMMANDS[name])
        started = time.monotonic()
        tool = REPOSITORY / "tools" / f"{command.tool}.py"
        words = [sys.executable, str(tool), *command.arguments, f"output_dir={command.name}"]
        done = subprocess.run(
            words, cwd=self.folder, env=_environment(), capture_output=True, text=True, check=False
        )
        told = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        failed: Record = {"failed": told} if done.returncode else {}
        self.records[command.name] = record(self.folder / command.name) | failed
        seconds = time.monotonic() - started
        print(f"{command.name}: {failed.get('failed', f'{seconds:.0f} s')}", file=sys.stderr)
        if len(self.records) == 1:
            write_layouts(self.folder)
            (self.folder / "own_encoder.py").write_text(OWN_ENCODER)
            (self.folder / "names.json").write_text(json.dumps(PART_NAMES))


def _environment() -> dict[str, str]:
    """One thread, this code, no network, no accelerator."""
    return {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
    }


def run_commands(chosen: Iterable[Command], folder: Path) -> dict[str, Any]:
    """The document of all these commands: what they left, by name, and with what it was made."""
    runs = Runs(folder)
    for command in (next(iter(COMMANDS.values())), *chosen):
        runs.run(command)
    git = ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty", "--abbrev=40"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "commit": commit,
        "versions": {name: version(name) for name in LIBRARIES},
        "commands": {name: " ".join(COMMANDS[name].arguments) for name in runs.records},
        "left": runs.records,
    }


def compare(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """`command: what: before → after` of each difference, for the commands of `after`."""
    lines = []
    for name, left in after["left"].items():
        if name not in before["left"]:
            lines.append(f"{name}: it was not saved")
            continue
        if before["commands"][name] != after["commands"][name]:
            lines.append(f"{name}: another command line than the one that was saved")
        lines += [f"{name}: {line}" for line in differences(before["left"][name], left)]
    return lines


def chosen_commands(patterns: Sequence[str]) -> list[Command]:
    """The commands of these names or patterns; all for none.

    Raises:
        SystemExit: a pattern that fits none.
    """
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in COMMANDS):
            sys.exit(f"error: no command {pattern!r}; choose among {', '.join(COMMANDS)}")
    wanted = patterns or ["*"]
    return [c for c in COMMANDS.values() if any(fnmatch(c.name, pattern) for pattern in wanted)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=["save", "compare"])
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="new folder that keeps all outputs"
    )
    given = parser.parse_args()
    before = json.loads(given.file.read_text()) if given.action == "compare" else None
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) if given.keep is None else given.keep.resolve()
        folder.mkdir(parents=True, exist_ok=given.keep is None)
        document = run_commands(chosen_commands(given.only), folder)
    if before is None:
        given.file.write_text(json.dumps(document, indent=1))
        failed = [name for name, left in document["left"].items() if "failed" in left]
        sys.exit(f"error: {', '.join(failed)} failed" if failed else 0)
    if before["versions"] != document["versions"]:
        print("note: saved with other libraries, which round otherwise", file=sys.stderr)
    lines = compare(before, document)
    print(*lines, sep="\n" if lines else "")
    print(f"{len(lines)} differences from {before['commit']}", file=sys.stderr)
    sys.exit(1 if lines else 0)


if __name__ == "__main__":
    main()
