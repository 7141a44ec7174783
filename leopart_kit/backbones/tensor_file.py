"""Tensors on disk as safetensors: the same tensors and metadata are the same bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from leopart_kit.whole_file import whole_file

_LENGTH_BYTES = 8  # of the header, in front of it: little endian


def write_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> Path:
    """Write tensors on any device, with metadata as text by name; returns the path.

    Raises:
        OSError: the file cannot be written; carries its name.
    """
    state: dict[str, Tensor] = {}
    memory: set[int] = set()
    for name, value in tensors.items():
        own = value.detach().cpu().contiguous()
        place = own.untyped_storage().data_ptr()
        state[name] = own.clone() if place in memory else own  # the format shares none
        memory.add(place)
    # Not `save_file`, whose error on a full disk is none of the system's.
    content = memoryview(save(state, metadata=dict(metadata)))
    end = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
    with whole_file(path) as temporary, temporary.open("wb") as file:
        file.write(content[:_LENGTH_BYTES])
        file.write(_sorted_metadata(bytes(content[_LENGTH_BYTES:end])))
        file.write(content[end:])
    return path


def _sorted_metadata(header: bytes) -> bytes:
    """The header with the names of the metadata in order, which the library leaves to chance."""
    parsed = json.loads(header)
    metadata = dict(sorted(parsed.pop("__metadata__", {}).items()))
    text = json.dumps(
        {"__metadata__": metadata, **parsed}, separators=(",", ":"), ensure_ascii=False
    )
    return text.encode().ljust(len(header))  # the library too fills up with blanks
