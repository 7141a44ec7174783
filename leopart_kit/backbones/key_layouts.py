"""Key names of released checkpoints, and their conversion to timm naming.

Each scheme has a *marker*, a key that a backbone of this naming always has; what stands before
the marker is the prefix of that backbone in the file. A converter takes the tensors below one
prefix and returns those of the backbone in timm naming, with the source keys it used: the others
belong to heads, decoders and masking.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

StateDict = dict[str, Tensor]


@dataclass(frozen=True)
class Converted:
    """Tensors in timm naming, the source keys that went into them, and remarks for the report."""

    state: StateDict
    used: frozenset[str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scheme:
    """A way of naming the weights of a backbone."""

    name: str
    marker: str
    siblings: tuple[str, ...]
    convert: Callable[[Mapping[str, Tensor]], Converted]

    def prefixes(self, keys: set[str]) -> list[str]:
        """Prefixes under which a backbone of this naming is found, shortest first."""
        ends = [key[: -len(self.marker)] for key in keys if key.endswith(self.marker)]
        found = [p for p in ends if (not p or p.endswith(".")) and self._complete(p, keys)]
        return sorted(found, key=lambda prefix: (len(prefix), prefix))

    def _complete(self, prefix: str, keys: set[str]) -> bool:
        if not self.siblings:
            return True
        return any(key.startswith(prefix + s) for s in self.siblings for key in keys)


# --- timm, DINO, DINOv2, DINOv3, MAE, MoCo v3, iBOT, Leopart, TimeT, NeCo ------------------------

_TIMM_KEY = re.compile(
    r"(cls_token|dist_token|reg_token|pos_embed|patch_embed\.(proj|norm)\.\w+|rope\.freqs"
    r"|(norm|norm_pre|fc_norm)\.(weight|bias)|blocks\.\d+\..+)"
)
_TIMM_RENAMES = (
    (re.compile(r"^blocks\.\d+\.(\d+)\."), r"blocks.\1."),  # DINOv2 stores chunks of blocks
    (re.compile(r"\.mlp\.w12\."), ".mlp.fc1."),
    (re.compile(r"\.mlp\.w3\."), ".mlp.fc2."),
    (re.compile(r"^(register_tokens|storage_tokens)$"), "reg_token"),
)
_NOT_WEIGHTS = re.compile(r"\.(bias_mask|relative_position_index|attn_mask)$")


def convert_timm(source: Mapping[str, Tensor]) -> Converted:
    """Naming of timm and of the DINO family (Meta), which differ in a few tensors."""
    state: StateDict = {}
    used: set[str] = set()
    for key, value in source.items():
        target = key
        for pattern, replacement in _TIMM_RENAMES:
            target = pattern.sub(replacement, target)
        if _TIMM_KEY.fullmatch(target) and not _NOT_WEIGHTS.search(target):
            state[target] = value
            used.add(key)
    notes: tuple[str, ...] = ()
    if "storage_tokens" in source or "rope_embed.periods" in source:
        state, notes = _dinov3_to_eva(state)
    elif "register_tokens" in source:
        state = _positions_off_registers(state)
    return Converted(state, frozenset(used), notes)


def _positions_off_registers(state: StateDict) -> StateDict:
    """timm gives CLS no position when there are registers: add it to the CLS token once."""
    position = state.get("pos_embed")
    if position is None or "cls_token" not in state:
        return state
    return {
        **state,
        "cls_token": state["cls_token"] + position[:, :1],
        "pos_embed": position[:, 1:],
    }


def _dinov3_to_eva(state: StateDict) -> tuple[StateDict, tuple[str, ...]]:
    """LayerScale names and biases of timm's Eva, whose key bias is fixed at zero."""
    renamed = {re.sub(r"\.ls([12])\.gamma$", r".gamma_\1", key): v for key, v in state.items()}
    biases = {key: renamed.pop(key) for key in list(renamed) if key.endswith("attn.qkv.bias")}
    return _with_qv_bias(renamed, biases)


def _with_qv_bias(state: StateDict, biases: StateDict) -> tuple[StateDict, tuple[str, ...]]:
    """Split ``qkv.bias`` into ``q_bias`` and ``v_bias``; leave both out where all are zero."""
    parts = {key[: -len("qkv.bias")]: bias.chunk(3) for key, bias in biases.items()}
    if not any(bool(q.any()) or bool(v.any()) for q, _, v in parts.values()):
        return state, ("qkv biases are all zero and left out",) if parts else ()
    split = {f"{stem}q_bias": q for stem, (q, _, _) in parts.items()}
    split |= {f"{stem}v_bias": v for stem, (_, _, v) in parts.items()}
    return {**state, **split}, ()


# --- Hugging Face transformers: ViT, ViT-MAE, DINOv2, with registers, DINOv3, CLIP ---------------

_HF_BLOCK = re.compile(r"^(?:model\.)?(?:encoder\.)?layers?\.(\d+)\.(.+)\.(weight|bias|lambda1)$")
_HF_MODULES = {
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
_HF_TOP = {
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


def convert_hugging_face(source: Mapping[str, Tensor]) -> Converted:
    """Vision models of transformers, with the key names of old and new releases."""
    state: StateDict = {}
    used: set[str] = set()
    heads: dict[tuple[str, str], dict[str, Tensor]] = {}
    for key, value in source.items():
        match = _HF_BLOCK.match(key)
        module = _HF_MODULES.get(match[2]) if match else None
        if key in _HF_TOP:
            state[_HF_TOP[key]] = _as_token(_HF_TOP[key], value)
        elif match is None or module is None:
            continue
        elif module in ("q", "k", "v"):
            heads.setdefault((match[1], match[3]), {})[module] = value
        else:
            suffix = "" if match[3] == "lambda1" else f".{match[3]}"
            state[f"blocks.{match[1]}.{module}{suffix}"] = value
        used.add(key)
    rope = "pos_embed" not in state and "reg_token" in state
    state |= _join_heads(heads, used, rope)
    if rope:
        state, notes = _dinov3_to_eva(state)
        return Converted(state, frozenset(used), notes)
    if "reg_token" in state:
        state = _positions_off_registers(state)
    return Converted(state, frozenset(used))


def _as_token(target: str, value: Tensor) -> Tensor:
    """``[D]`` and ``[N, D]`` of CLIP → ``[1, 1, D]`` and ``[1, N, D]``."""
    if target in ("cls_token", "pos_embed"):
        while value.ndim < 3:
            value = value.unsqueeze(0)
    return value


def _join_heads(
    heads: dict[tuple[str, str], dict[str, Tensor]], used: set[str], rope: bool
) -> StateDict:
    """Stack q, k and v to timm's ``qkv``; DINOv3 has no key bias, which means zero."""
    joined: StateDict = {}
    for (index, kind), parts in heads.items():
        if rope and kind == "bias" and "k" not in parts and "q" in parts:
            parts = {**parts, "k": torch.zeros_like(parts["q"])}
        if len(parts) == 3:
            joined[f"blocks.{index}.attn.qkv.{kind}"] = torch.cat([parts[n] for n in "qkv"])
    return joined


# --- CLIP as OpenAI and OpenCLIP name it ---------------------------------------------------------

_CLIP_BLOCK = re.compile(r"^transformer\.resblocks\.(\d+)\.(.+)$")
_CLIP_MODULES = {
    "attn.in_proj_weight": "attn.qkv.weight",
    "attn.in_proj_bias": "attn.qkv.bias",
    "attn.out_proj.weight": "attn.proj.weight",
    "attn.out_proj.bias": "attn.proj.bias",
    "ln_1.weight": "norm1.weight",
    "ln_1.bias": "norm1.bias",
    "ln_2.weight": "norm2.weight",
    "ln_2.bias": "norm2.bias",
    "mlp.c_fc.weight": "mlp.fc1.weight",
    "mlp.c_fc.bias": "mlp.fc1.bias",
    "mlp.c_proj.weight": "mlp.fc2.weight",
    "mlp.c_proj.bias": "mlp.fc2.bias",
}
_CLIP_TOP = {
    "class_embedding": "cls_token",
    "positional_embedding": "pos_embed",
    "conv1.weight": "patch_embed.proj.weight",
    "ln_pre.weight": "norm_pre.weight",
    "ln_pre.bias": "norm_pre.bias",
    "ln_post.weight": "norm.weight",
    "ln_post.bias": "norm.bias",
}


def convert_clip(source: Mapping[str, Tensor]) -> Converted:
    """The image tower of CLIP; its projection into the joint space is left out."""
    state: StateDict = {}
    used: set[str] = set()
    for key, value in source.items():
        match = _CLIP_BLOCK.match(key)
        if key in _CLIP_TOP:
            state[_CLIP_TOP[key]] = _as_token(_CLIP_TOP[key], value)
        elif match and match[2] in _CLIP_MODULES:
            state[f"blocks.{match[1]}.{_CLIP_MODULES[match[2]]}"] = value
        else:
            continue
        used.add(key)
    return Converted(state, frozenset(used))


# --- ResNets of torchvision, MoCo, SwAV, DenseCL -------------------------------------------------

_RESNET_KEY = re.compile(r"(conv1\.weight|bn1\.\w+|layer[1-4]\.\d+\.(conv|bn|downsample).+)")


def convert_resnet(source: Mapping[str, Tensor]) -> Converted:
    """torchvision's names, which all the ResNet baselines keep."""
    state = {key: value for key, value in source.items() if _RESNET_KEY.fullmatch(key)}
    return Converted(state, frozenset(state))


# --- AlexNet of this toolkit ----------------------------------------------------------------------

_ALEXNET_KEY = re.compile(r"(conv|bn)[1-5]\.\w+")


def convert_alexnet(source: Mapping[str, Tensor]) -> Converted:
    """The convolutions and their batch norms."""
    state = {key: value for key, value in source.items() if _ALEXNET_KEY.fullmatch(key)}
    return Converted(state, frozenset(state))


SCHEMES = (
    Scheme("timm", "patch_embed.proj.weight", ("blocks.",), convert_timm),
    Scheme(
        "Hugging Face",
        "embeddings.patch_embeddings.projection.weight",
        (),
        convert_hugging_face,
    ),
    Scheme("Hugging Face", "embeddings.patch_embeddings.weight", (), convert_hugging_face),
    Scheme("Hugging Face", "embeddings.patch_embedding.weight", (), convert_hugging_face),
    Scheme("CLIP", "conv1.weight", ("transformer.resblocks.",), convert_clip),
    Scheme("ResNet", "conv1.weight", ("layer1.0.conv1.weight",), convert_resnet),
    Scheme("AlexNet", "conv5.weight", ("bn5.weight",), convert_alexnet),
)
