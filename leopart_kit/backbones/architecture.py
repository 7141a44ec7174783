"""The network of a state dict in timm naming, and the tensors that it lacks."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from leopart_kit.backbones.position_embedding import Grid
from leopart_kit.backbones.weight_tensors import shown

_BLOCK = re.compile(r"^blocks\.(\d+)\.(.+)$", re.DOTALL)
_LONGEST_NUMBER = 3  # digits
# Blocks of each stage and convolutions of a block: ResNet-50 and ResNet-18.
_BOTTLENECKS = ({1: 3, 2: 4, 3: 6, 4: 3}, 3)
_BASIC_BLOCKS = ({1: 2, 2: 2, 3: 2, 4: 2}, 2)
_NORM = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True)
class Architecture:
    """Size of a backbone; zeros where the weights do not say (`patch_size` of a ResNet)."""

    kind: str  # "ViT", "ResNet" or "AlexNet"
    embed_dim: int
    depth: int
    patch_size: int
    registers: int = 0
    layer_scale: bool = False
    rope: bool = False
    pre_norm: bool = False
    stem: int = 0  # side of a ResNet's first convolution

    def __str__(self) -> str:
        if self.kind == "ResNet":
            return (
                f"a ResNet of {self.embed_dim} channels, {self.depth} blocks and a first "
                f"convolution of {self.stem} px"
            )
        if self.kind == "AlexNet":
            return "an AlexNet"
        extras = [
            (f"{self.registers} registers", self.registers > 0),
            ("LayerScale", self.layer_scale),
            ("rotary positions", self.rope),
            ("a norm before the blocks", self.pre_norm),
        ]
        tail = "".join(f", {text}" for text, there in extras if there)
        return (
            f"a ViT of embed dim {self.embed_dim}, depth {self.depth}, "
            f"patch size {self.patch_size}{tail}"
        )


def describe(state: dict[str, Tensor]) -> Architecture:
    """Read the architecture off the shapes of a state dict in timm naming."""
    if "conv5.weight" in state:
        return Architecture("AlexNet", state["conv5.weight"].shape[0], 5, 16)
    if "patch_embed.proj.weight" not in state:
        return _describe_resnet(state)
    embed_dim, _, patch, _ = state["patch_embed.proj.weight"].shape
    indices = [int(m[1]) for m in map(_BLOCK.match, state) if m]
    suffixes = {m[2] for m in map(_BLOCK.match, state) if m}
    return Architecture(
        kind="ViT",
        embed_dim=embed_dim,
        depth=max(indices, default=-1) + 1,
        patch_size=patch,
        registers=state["reg_token"].shape[1] if "reg_token" in state else 0,
        layer_scale=bool(suffixes & {"ls1.gamma", "gamma_1"}),
        rope="gamma_1" in suffixes and "pos_embed" not in state,
        pre_norm="norm_pre.weight" in state,
    )


def check_blocks(state: Iterable[str]) -> None:
    """Raise `ValueError` for a block with a number that no network has."""
    for key in state:
        match = _BLOCK.match(key)
        if match and len(match[1]) > _LONGEST_NUMBER:
            raise ValueError(f"{shown(key)}: no network has a block of that number")


def missing_keys(state: dict[str, Tensor], grid: Grid | None = None) -> list[str]:
    """Backbone tensors that a complete state dict of this kind has and this one lacks.

    `grid` is that of the positions, where it is known; else they are taken for a square.
    """
    kind = describe(state).kind
    if kind == "ViT":
        expected = _vit_keys(state, grid)
    else:
        expected = _resnet_keys(state) if kind == "ResNet" else _alexnet_keys()
    return [key for key in expected if key not in state]


def _vit_keys(state: dict[str, Tensor], grid: Grid | None) -> list[str]:
    arch = describe(state)
    expected = ["patch_embed.proj.weight"]
    if not arch.pre_norm:
        expected.append("patch_embed.proj.bias")
    if not arch.rope:
        expected.append("pos_embed")
    if not _without_cls(state, grid):
        expected.append("cls_token")
    if "fc_norm.weight" not in state:
        expected += ["norm.weight", "norm.bias"]
    expected += ["norm_pre.weight", "norm_pre.bias"] if arch.pre_norm else []
    # what one block has, every block has; and no block lacks these
    in_blocks = {m[2] for m in map(_BLOCK.match, state) if m}
    core = {f"{layer}.weight" for layer in ("norm1", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")}
    if not any("attn.q_proj" in suffix for suffix in in_blocks):
        core.add("attn.qkv.weight")
    if any("mlp.fc1_" in suffix for suffix in in_blocks):
        core.discard("mlp.fc1.weight")
    for index in range(arch.depth):
        expected += [f"blocks.{index}.{suffix}" for suffix in sorted(in_blocks | core)]
    return expected


def _without_cls(state: dict[str, Tensor], grid: Grid | None) -> bool:
    """Networks without CLS have one position for each patch of the grid."""
    position = state.get("pos_embed")
    if position is None or "reg_token" in state:
        return False
    count = position.shape[1]
    return count == (math.isqrt(count) ** 2 if grid is None else math.prod(grid))


def _describe_resnet(state: dict[str, Tensor]) -> Architecture:
    stages, convolutions = _blocks(state)
    last = state.get(f"layer4.0.bn{convolutions}.weight")
    return Architecture(
        kind="ResNet",
        embed_dim=0 if last is None else len(last),
        depth=sum(stages.values()),
        patch_size=0,
        stem=state["conv1.weight"].shape[-1] if "conv1.weight" in state else 0,
    )


def _blocks(state: dict[str, Tensor]) -> tuple[dict[int, int], int]:
    return _BOTTLENECKS if any(".conv3." in key for key in state) else _BASIC_BLOCKS


def _resnet_keys(state: dict[str, Tensor]) -> list[str]:
    stages, convolutions = _blocks(state)
    keys = ["conv1.weight", *(f"bn1.{n}" for n in _NORM)]
    for stage, blocks in stages.items():
        for block in range(blocks):
            stem = f"layer{stage}.{block}"
            for conv in range(1, convolutions + 1):
                keys += [f"{stem}.conv{conv}.weight", *(f"{stem}.bn{conv}.{n}" for n in _NORM)]
        if stage > 1 or convolutions == 3:
            keys.append(f"layer{stage}.0.downsample.0.weight")
            keys += [f"layer{stage}.0.downsample.1.{n}" for n in _NORM]
    return keys


def _alexnet_keys() -> list[str]:
    layers = range(1, 6)
    return [
        *(f"conv{layer}.weight" for layer in layers),
        *(f"bn{layer}.{n}" for layer in layers for n in _NORM),
    ]
