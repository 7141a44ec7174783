"""The commands of `commands.yaml`."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from string import Template

import yaml

FILE = Path(__file__).with_name("commands.yaml")
_READ = re.compile(r"=(\w+)/")


@dataclass(frozen=True)
class Command:
    """One run of a script of `tools/`.

    Attributes:
        name: of its output folder.
        tool: the script, without suffix.
        arguments: its command line but for the output folder.
        after: commands whose output it reads.
    """

    name: str
    tool: str
    arguments: tuple[str, ...]
    after: tuple[str, ...]


def read_commands(file: Path = FILE) -> dict[str, Command]:
    """All commands by name, in the order of the file."""
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    shared: dict[str, str] = {}
    for name, text in content["shared"].items():
        shared[name] = Template(text).substitute(shared)
    commands = {}
    for name, text in content["commands"].items():
        tool, *arguments = shlex.split(Template(text).substitute(shared))
        read = dict.fromkeys(found for word in arguments for found in _READ.findall(word))
        after = tuple(other for other in read if other in content["commands"])
        commands[name] = Command(name, tool, tuple(arguments), after)
    return commands
