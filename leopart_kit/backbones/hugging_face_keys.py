"""Names of Hugging Face's vision models: ViT, ViT-MAE, DINOv2, with registers, DINOv3, CLIP."""

from __future__ import annotations

import re
from collections.abc import Collection

import torch
from torch import Tensor

from leopart_kit.backbones.timm_keys import (
    Finished,
    StateDict,
    dinov3_to_eva,
    positions_off_registers,
)

_BLOCK = re.compile(r"^(?:model\.)?(?:encoder\.)?layers?\.(\d+)\.(.+)\.(weight|bias|lambda1)$")
_MODULES = {
    "attention.attention.query": "q",
    "attention.attention.key": "k",
    "attention.attention.value": "v",
    "attention.q_proj": "q",
    "attention.k_proj": "k",
    "attention.v_proj": "v",
    "self_attn.q_proj": "q",
    "self_attn.k_proj": "k",
    "self_attn.v_proj": "v",
    "attention.output.dense": "attn.proj",
    "attention.o_proj": "attn.proj",
    "self_attn.out_proj": "attn.proj",
    "layernorm_before": "norm1",
    "layer_norm1": "norm1",
    "norm1": "norm1",
    "layernorm_after": "norm2",
    "layer_norm2": "norm2",
    "norm2": "norm2",
    "intermediate.dense": "mlp.fc1",
    "mlp.fc1": "mlp.fc1",
    "mlp.up_proj": "mlp.fc1",
    "mlp.weights_in": "mlp.fc1",
    "output.dense": "mlp.fc2",
    "mlp.fc2": "mlp.fc2",
    "mlp.down_proj": "mlp.fc2",
    "mlp.weights_out": "mlp.fc2",
    "layer_scale1": "ls1.gamma",
    "layer_scale2": "ls2.gamma",
}
_TOP = {
    "embeddings.cls_token": "cls_token",
    "embeddings.class_embedding": "cls_token",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.position_embedding.weight": "pos_embed",
    "embeddings.register_tokens": "reg_token",
    "embeddings.patch_embeddings.projection.weight": "patch_embed.proj.weight",
    "embeddings.patch_embeddings.projection.bias": "patch_embed.proj.bias",
    "embeddings.patch_embeddings.weight": "patch_embed.proj.weight",
    "embeddings.patch_embeddings.bias": "patch_embed.proj.bias",
    "embeddings.patch_embedding.weight": "patch_embed.proj.weight",
    "layernorm.weight": "norm.weight",
    "layernorm.bias": "norm.bias",
    "norm.weight": "norm.weight",
    "norm.bias": "norm.bias",
    "post_layernorm.weight": "norm.weight",
    "post_layernorm.bias": "norm.bias",
    "pre_layrnorm.weight": "norm_pre.weight",
    "pre_layrnorm.bias": "norm_pre.bias",
}
_HEADS = re.compile(r"^(blocks\.\d+\.attn)\.([qkv])\.(weight|bias)$")


def rename_hugging_face(key: str) -> str | None:
    """Old and new releases of transformers; the projections of a block stay apart for now."""
    if key in _TOP:
        return _TOP[key]
    match = _BLOCK.match(key)
    module = _MODULES.get(match[2]) if match else None
    if match is None or module is None:
        return None
    module = f"attn.{module}" if module in ("q", "k", "v") else module
    suffix = "" if match[3] == "lambda1" else f".{match[3]}"
    return f"blocks.{match[1]}.{module}{suffix}"


def finish_hugging_face(state: StateDict, _: Collection[str]) -> Finished:
    """Joined projections, tokens of timm's shapes, and positions where timm has them."""
    rope = "pos_embed" not in state and "reg_token" in state
    heads: dict[tuple[str, str], StateDict] = {}
    whole: StateDict = {}
    for key, value in state.items():
        if match := _HEADS.match(key):
            heads.setdefault((match[1], match[3]), {})[match[2]] = value
        else:
            whole[key] = as_token(key, value)
    whole |= _join_heads(heads, rope)
    if rope:
        return dinov3_to_eva(whole)
    return (positions_off_registers(whole) if "reg_token" in whole else whole), ()


def as_token(target: str, value: Tensor) -> Tensor:
    """`[D]` and `[N, D]` of CLIP → `[1, 1, D]` and `[1, N, D]`."""
    if target in ("cls_token", "pos_embed"):
        while value.ndim < 3:
            value = value.unsqueeze(0)
    return value


def _join_heads(heads: dict[tuple[str, str], StateDict], rope: bool) -> StateDict:
    """Stack q, k and v to timm's `qkv`; DINOv3 has no key bias, which means zero."""
    joined: StateDict = {}
    for (stem, kind), parts in heads.items():
        if rope and kind == "bias" and "k" not in parts and "q" in parts:
            parts = {**parts, "k": torch.zeros_like(parts["q"])}
        if len({part.shape for part in parts.values()}) > 1:
            raise ValueError(f"q, k and v of {stem} differ in shape")
        if len(parts) == 3:
            joined[f"{stem}.qkv.{kind}"] = torch.cat([parts[n] for n in "qkv"])
    return joined
