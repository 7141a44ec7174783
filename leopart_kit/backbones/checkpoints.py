"""Read a checkpoint: recognise its layout by its keys, return the backbone in timm naming."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from torch import Tensor

from leopart_kit.backbones.architecture import Architecture, describe, missing_keys
from leopart_kit.backbones.files import file_sha256, load_file
from leopart_kit.backbones.key_layouts import SCHEMES, Scheme, StateDict

logger = logging.getLogger(__name__)

Network = Literal["auto", "student", "teacher"]

_TEACHER_NAMES = frozenset(
    {"teacher", "momentum_encoder", "encoder_k", "model_ema", "ema", "target_encoder"}
)


@dataclass(frozen=True)
class CheckpointReport:
    """What was found in a checkpoint file.

    Attributes:
        path: the file.
        layout: the kind of checkpoint in words.
        network: ``student``, ``teacher`` or ``single`` (the file holds one network).
        recognised: keys of the file that went into the backbone.
        dropped: keys and top-level entries of the file that did not: heads, prototypes, decoders,
            optimiser, the other network.
        missing: backbone keys (timm naming) that are absent; empty, since absence is an error.
        notes: what else was done to the tensors.
        architecture: size of the backbone.
        sha256: hash of the file.
    """

    path: Path
    layout: str
    network: str
    recognised: tuple[str, ...]
    dropped: tuple[str, ...]
    missing: tuple[str, ...]
    notes: tuple[str, ...]
    architecture: Architecture
    sha256: str

    def __str__(self) -> str:
        network = "" if self.network == "single" else f" ({self.network})"
        return (
            f"{self.path}: {self.layout}{network}, {self.architecture}; "
            f"{len(self.recognised)} keys recognised, {len(self.dropped)} dropped"
        )


def read_checkpoint(
    path: str | Path, network: Network = "auto"
) -> tuple[StateDict, CheckpointReport]:
    """Backbone weights of a checkpoint file, in timm naming.

    Args:
        path: a ``.pt``, ``.pth``, ``.ckpt``, ``.bin`` or ``.safetensors`` file. Only tensors and
            plain data are unpickled.
        network: which network of a file with two of them. ``auto`` takes the one its authors
            evaluate: the teacher of DINO and iBOT, otherwise the student (Leopart, NeCo, TimeT,
            MoCo v3, and checkpoints of this toolkit).

    Returns:
        The state dict (tensors keep their dtype) and the report.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a complete checkpoint, one with code in it, no known layout, or backbone
            keys are missing (the message lists them).
    """
    path = Path(path)
    if network not in get_args(Network):
        raise ValueError(f"network {network!r}: choose one of {', '.join(get_args(Network))}")
    content = load_file(path)
    tensors: StateDict = {}
    others: list[str] = []
    _flatten(content, "", tensors, others)
    scheme, candidates = _find_backbones(path, tensors)
    toolkit = content.get("format") == "leopart_kit"
    prefix, role = _choose(path, candidates, network, toolkit)
    below = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    converted = scheme.convert(below)
    missing = missing_keys(converted.state)
    if missing:
        raise ValueError(f"{path}: {len(missing)} backbone keys are missing: {_listed(missing)}")
    recognised = tuple(prefix + key for key in below if key in converted.used)
    report = CheckpointReport(
        path=path,
        layout=_layout(scheme, prefix, tensors, toolkit),
        network=role,
        recognised=recognised,
        dropped=(*others, *(key for key in tensors if key not in set(recognised))),
        missing=(),
        notes=converted.notes,
        architecture=describe(converted.state),
        sha256=file_sha256(path),
    )
    logger.info("%s", report)
    return converted.state, report


def _flatten(value: object, prefix: str, tensors: StateDict, others: list[str]) -> None:
    """Nested dictionaries → one, keys joined by dots; ``others`` names what is not weights."""
    if not isinstance(value, dict):
        others.append(prefix)
        return
    for key, item in value.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(item, Tensor):
            tensors[name] = item
        elif isinstance(item, dict) and _holds_weights(item):
            _flatten(item, name, tensors, others)
        else:
            others.append(name)


def _holds_weights(value: dict) -> bool:
    """Whether there are named tensors inside; optimiser state is filed under numbers."""
    if not all(isinstance(key, str) for key in value):
        return False
    return any(
        isinstance(item, Tensor) or (isinstance(item, dict) and _holds_weights(item))
        for item in value.values()
    )


def _find_backbones(path: Path, tensors: StateDict) -> tuple[Scheme, list[str]]:
    keys = set(tensors)
    for scheme in SCHEMES:
        prefixes = scheme.prefixes(keys)
        if prefixes:
            return scheme, prefixes
    if not tensors:
        raise ValueError(f"{path}: no tensors in it, so it is not a checkpoint of weights")
    raise ValueError(
        f"{path}: no known backbone layout among its {len(tensors)} keys "
        f"({_listed(sorted(keys), 5)}); "
        "expected the names of timm, DINO, Hugging Face, CLIP or torchvision's ResNet. "
        "A missing patch embedding (patch_embed.proj.weight) also leads here"
    )


def _choose(path: Path, prefixes: list[str], network: str, toolkit: bool) -> tuple[str, str]:
    """Prefix and role of the wanted network."""
    roles: dict[str, str] = {}
    for prefix in reversed(prefixes):  # the shortest prefix of a role wins
        parts = set(prefix.split("."))
        roles["teacher" if parts & _TEACHER_NAMES else "student"] = prefix
    if network == "auto" and len(roles) == 1 and not prefixes[0].strip("."):
        return prefixes[0], "single"
    if network == "auto":
        named = "student" in roles and "student" in roles["student"].split(".")
        wanted = "teacher" if named and "teacher" in roles and not toolkit else "student"
        wanted = wanted if wanted in roles else "teacher"
    else:
        wanted = network
    if wanted not in roles:
        raise ValueError(
            f"{path}: has no {wanted} network, only {', '.join(sorted(map(repr, prefixes)))}: "
            "leave network at 'auto'"
        )
    return roles[wanted], wanted if len(roles) == 2 else _single_role(prefixes[0], wanted)


def _single_role(prefix: str, role: str) -> str:
    return role if {"teacher", "student"} & set(prefix.split(".")) else "single"


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


def _listed(keys: list[str], limit: int = 12) -> str:
    more = f" and {len(keys) - limit} more" if len(keys) > limit else ""
    return ", ".join(keys[:limit]) + more
