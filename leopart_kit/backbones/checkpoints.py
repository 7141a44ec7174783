"""Read a checkpoint: recognise its layout by its keys, return the backbone in timm naming."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from leopart_kit.backbones.architecture import (
    Architecture,
    check_blocks,
    describe,
    missing_keys,
)
from leopart_kit.backbones.files import load_file
from leopart_kit.backbones.key_layouts import Converted, Scheme
from leopart_kit.backbones.networks import Choice, Network, choose, find_networks
from leopart_kit.backbones.position_embedding import Grid
from leopart_kit.backbones.timm_keys import StateDict
from leopart_kit.backbones.weight_tensors import shown
from leopart_kit.backbones.wrapped_keys import unwrapped
from leopart_kit.identity import file_sha256

logger = logging.getLogger(__name__)

_DEEPEST = 16  # dictionaries inside one another
_MOST_KEYS = 200_000


@dataclass(frozen=True)
class CheckpointReport:
    """Findings in a checkpoint file.

    Attributes:
        path: the file.
        layout: the kind of checkpoint in words.
        network: `student`, `teacher`, `single` (the file holds one network), or the name of
            another one.
        networks: names of all networks in the file.
        recognised: keys of the file that went into the backbone.
        dropped: keys and top-level entries of the file that did not: heads, prototypes, decoders,
            optimiser, the other network.
        missing: backbone keys (timm naming) that are absent; empty, since absence is an error.
        notes: what else was done to the tensors, and why this network of several was taken.
        architecture: size of the backbone.
        sha256: hash of the file.
    """

    path: Path
    layout: str
    network: str
    networks: tuple[str, ...]
    recognised: tuple[str, ...]
    dropped: tuple[str, ...]
    missing: tuple[str, ...]
    notes: tuple[str, ...]
    architecture: Architecture
    sha256: str

    def _named(self) -> str:
        """The first of what was dropped: a head may be what the user is after."""
        first, more = ", ".join(self.dropped[:3]), ", …" if len(self.dropped) > 3 else ""
        return f" ({first}{more})" if first else ""

    def __str__(self) -> str:
        network = "" if self.network == "single" else f" ({shown(self.network)})"
        return "; ".join(
            (
                f"{self.path}: {self.layout}{network}, {self.architecture}",
                f"{len(self.recognised)} keys recognised",
                f"{len(self.dropped)} dropped{self._named()}",
                *self.notes,
            )
        )


def read_checkpoint(
    path: str | Path, network: str = "auto", grid: Grid | None = None
) -> tuple[StateDict, CheckpointReport]:
    """Backbone weights of a checkpoint file, in timm naming.

    Args:
        path: a `.pt`, `.pth`, `.ckpt`, `.bin` or `.safetensors` file, or a ViT that was
            exported to `.onnx`. Only tensors and plain data are unpickled.
        network: which network of a file with several. `auto` takes the one its authors
            evaluate: the teacher of DINO and iBOT, the student of Leopart, NeCo and TimeT, …
            (`networks` has the list); `student` or `teacher` the one of this role; any other
            text the one of this name.
        grid: rows and columns of the file's positions, where they are not square.

    Returns:
        The state dict (tensors keep their dtype) and the report.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a complete checkpoint, one with code in it, no known layout, tensors that
            are no weights, several networks of which none is known to be meant, or backbone keys
            are missing (the message lists them).
    """
    path = Path(path)
    content = load_file(path)
    try:
        return _read(path, content, network, grid)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _read(
    path: Path, content: dict[str, Any], network: str, grid: Grid | None
) -> tuple[StateDict, CheckpointReport]:
    tensors: StateDict = {}
    others: list[str] = []
    _flatten(content, "", tensors, others)
    origin = unwrapped(tensors)
    named = {name: tensors[key] for name, key in origin.items()}
    networks = find_networks(origin)
    if not networks:
        raise ValueError(_unknown(list(tensors)))
    own = _own_network(content, networks)
    choice = choose(networks, own if own and network == "auto" else network, named)
    prefix = choice.network.prefix
    below = {k.removeprefix(prefix): v for k, v in named.items() if k.startswith(prefix)}
    converted = choice.network.scheme.convert(below)
    _check_complete(converted.state, grid)
    recognised = tuple(origin[prefix + key] for key in below if key in converted.used)
    report = CheckpointReport(
        path=path,
        layout=_layout(choice.network.scheme, prefix, named, own is not None),
        network=choice.role,
        networks=tuple(found.name for found in networks),
        recognised=recognised,
        dropped=(*others, *(key for key in tensors if key not in set(recognised))),
        missing=(),
        notes=_notes(converted, choice),
        architecture=describe(converted.state),
        sha256=file_sha256(path),
    )
    logger.info("%s", report)
    return converted.state, report


def _flatten(
    value: Mapping[Any, object], prefix: str, tensors: StateDict, others: list[str], depth: int = 1
) -> None:
    """Nested dictionaries → one, keys joined by dots; `others` names what is not weights."""
    for key, item in value.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(item, Tensor):
            if name in tensors:
                raise ValueError(f"two entries have the key {shown(name)}")
            if len(tensors) == _MOST_KEYS:
                raise ValueError(f"holds more than {_MOST_KEYS} tensors, which no backbone has")
            tensors[name] = item
        elif isinstance(item, dict) and _holds_weights(item, depth, {}):
            _flatten(item, name, tensors, others, depth + 1)
        else:
            others.append(name)


def _holds_weights(value: dict, depth: int, known: dict[int, bool]) -> bool:
    """True if there are named tensors inside; optimiser state is filed under numbers.

    `known` has the answers for dictionaries that a file holds many times.
    """
    if depth > _DEEPEST or not all(isinstance(key, str) for key in value):
        return False
    if id(value) not in known:
        known[id(value)] = False  # until shown: a dictionary may hold itself
        known[id(value)] = any(
            isinstance(item, Tensor)
            or (isinstance(item, dict) and _holds_weights(item, depth + 1, known))
            for item in value.values()
        )
    return known[id(value)]


def _own_network(content: dict[str, Any], networks: Sequence[Network]) -> str | None:
    """The network that a training checkpoint of this toolkit is for; `None` for other files."""
    if content.get("format") != "leopart_kit":
        return None
    said = f"state_dict.{content.get('encoder')}."
    return next((n.name for n in networks if n.prefix.startswith(said)), "student")


def _check_complete(state: StateDict, grid: Grid | None) -> None:
    check_blocks(state)
    missing = missing_keys(state, grid)
    if missing:
        raise ValueError(f"{len(missing)} backbone keys are missing: {_listed(missing)}")


def _notes(converted: Converted, choice: Choice) -> tuple[str, ...]:
    return (*converted.notes, choice.reason) if choice.reason else converted.notes


def _unknown(keys: Sequence[str]) -> str:
    if not keys:
        return "no tensors in it, so it is not a checkpoint of weights"
    return (
        f"no known backbone layout among its {len(keys)} keys ({_listed(sorted(keys), 5)}); "
        "expected the names of timm, DINO, Hugging Face, CLIP or torchvision's ResNet. "
        "A missing patch embedding (patch_embed.proj.weight) also leads here"
    )


def _layout(scheme: Scheme, prefix: str, tensors: StateDict, toolkit: bool) -> str:
    """Name the checkpoint for people; nothing depends on it."""
    parts = set(prefix.split("."))
    below = {key.removeprefix(prefix) for key in tensors if key.startswith(prefix)}
    heads = any("projection_head" in key or "prototypes" in key for key in tensors)
    if toolkit:
        return "training checkpoint of leopart_kit"
    if scheme.name != "timm":
        registers = "embeddings.register_tokens" in below
        return f"{scheme.name}{' with registers' if registers else ''} naming"
    rules = (
        ("feature_extractor" in parts, "TimeT checkpoint"),
        (any("_embedding_model" in part for part in parts), "lightly-train checkpoint"),
        ("base_encoder" in parts or "momentum_encoder" in parts, "MoCo v3 checkpoint"),
        ("masked_embed" in below, "iBOT checkpoint"),
        ("backbone" in parts and bool(parts & {"teacher", "student"}), "DINO training checkpoint"),
        ("state_dict" in parts, "Lightning checkpoint (Leopart, NeCo)"),
        ("storage_tokens" in below, "DINOv3 release"),
        ("register_tokens" in below, "DINOv2 with registers release"),
        ("mask_token" in below and "blocks.0.ls1.gamma" in below, "DINOv2 release"),
        (heads, "Leopart release"),
        (prefix == "model.", "MAE release (entry 'model')"),
    )
    return next((name for holds, name in rules if holds), "timm or DINO naming")


def _listed(keys: Sequence[str], limit: int = 12) -> str:
    more = f" and {len(keys) - limit} more" if len(keys) > limit else ""
    return ", ".join(map(shown, keys[:limit])) + more
