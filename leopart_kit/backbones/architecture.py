"""What network a state dict in timm naming belongs to, and which of its tensors are absent."""

from __future__ import annotations

import re
from dataclasses import dataclass

from torch import Tensor

_BLOCK = re.compile(r"^blocks\.(\d+)\.(.+)$")
_RESNET50_LAYERS = {1: 3, 2: 4, 3: 6, 4: 3}


@dataclass(frozen=True)
class Architecture:
    """Size of a backbone; zeros where the file does not say (``ResNet-50`` has no blocks)."""

    kind: str  # "ViT" or "ResNet"
    embed_dim: int
    depth: int
    patch_size: int
    registers: int = 0
    layer_scale: bool = False
    rope: bool = False
    pre_norm: bool = False

    def __str__(self) -> str:
        if self.kind == "ResNet":
            return "a ResNet"
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
    if "patch_embed.proj.weight" not in state:
        return Architecture("ResNet", 2048, 0, 0)
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


def missing_keys(state: dict[str, Tensor]) -> list[str]:
    """Backbone tensors that a complete state dict of this kind has and this one lacks."""
    if describe(state).kind == "ResNet":
        return [key for key in _resnet50_keys() if key not in state]
    return [key for key in _vit_keys(state) if key not in state]


def _vit_keys(state: dict[str, Tensor]) -> list[str]:
    arch = describe(state)
    expected = ["patch_embed.proj.weight"]
    if not arch.pre_norm:
        expected.append("patch_embed.proj.bias")
    if not arch.rope:
        expected.append("pos_embed")
    if not _without_cls(state):
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


def _without_cls(state: dict[str, Tensor]) -> bool:
    """Networks without CLS have one position for each patch of a square grid."""
    position = state.get("pos_embed")
    if position is None or "reg_token" in state:
        return False
    return round(position.shape[1] ** 0.5) ** 2 == position.shape[1]


def _resnet50_keys() -> list[str]:
    norm = ("weight", "bias", "running_mean", "running_var")
    keys = ["conv1.weight", *(f"bn1.{n}" for n in norm)]
    for layer, blocks in _RESNET50_LAYERS.items():
        for block in range(blocks):
            stem = f"layer{layer}.{block}"
            for conv in (1, 2, 3):
                keys += [f"{stem}.conv{conv}.weight", *(f"{stem}.bn{conv}.{n}" for n in norm)]
        keys.append(f"layer{layer}.0.downsample.0.weight")
        keys += [f"layer{layer}.0.downsample.1.{n}" for n in norm]
    return keys
