"""Tensors on disk as safetensors: the same tensors and metadata are the same bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from leopart_kit.whole_file import whole_file

_LENGTH_BYTES = 8  # of the header, in front of it: little endian


def write_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> Path:
    """Write tensors on any device, with metadata as text by name; returns the path.

    Raises:
        OSError: the file cannot be written; carries its name.
    """
    state = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with whole_file(path) as temporary:
        save_file(state, temporary, metadata=dict(metadata))
        _sort_metadata(temporary)
    return path


def _sort_metadata(path: Path) -> None:
    """Put the names of the metadata in order; the library leaves it to chance."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        header = json.loads(file.read(length))
        metadata = dict(sorted(header.pop("__metadata__", {}).items()))
        sorted_header = {"__metadata__": metadata, **header}
        text = json.dumps(sorted_header, separators=(",", ":"), ensure_ascii=False).encode()
        file.seek(_LENGTH_BYTES)
        file.write(text.ljust(length))  # the library too fills up with blanks
