"""Keys without the names that wrappers of PyTorch leave in them."""

from __future__ import annotations

import re
from collections.abc import Collection

# torch.compile, DataParallel and DDP, FSDP, activation checkpointing, Lightning, DeepSpeed, Opacus
_WRAPPER = re.compile(r"module|_orig_mod|_\w*module")


def unwrapped(keys: Collection[str]) -> dict[str, str]:
    """Key without wrappers → key of the file.

    A name that tells two networks apart, as where `module.` stands beside the same keys without
    it, is no wrapper and stays.
    """
    kept: set[str] = set()
    for _ in range(2):
        origins: dict[str, list[str]] = {}
        for key in keys:
            origins.setdefault(_without(key, kept), []).append(key)
        clashing = [key for same in origins.values() if len(same) > 1 for key in same]
        if not clashing:
            return {name: same[0] for name, same in origins.items()}
        kept |= {path for key in clashing for path in _paths(key)}
    return {key: key for key in keys}


def _without(key: str, kept: set[str]) -> str:
    if "module" not in key and "_orig_mod" not in key:
        return key
    wrappers = _paths(key) - kept
    parts = key.split(".")
    ends = (".".join(parts[: index + 1]) for index in range(len(parts)))
    return ".".join(part for part, end in zip(parts, ends, strict=True) if end not in wrappers)


def _paths(key: str) -> set[str]:
    """Starts of a key that end in the name of a wrapper."""
    parts = key.split(".")
    return {
        ".".join(parts[: index + 1]) for index, part in enumerate(parts) if _WRAPPER.fullmatch(part)
    }
