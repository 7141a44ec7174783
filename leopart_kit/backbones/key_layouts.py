"""Key names of released checkpoints, and their conversion to timm naming.

Each scheme has a *marker*, a key that a backbone of this naming always has; what stands before
the marker is the prefix of that backbone in the file. A scheme renames the keys below one prefix,
and those that it has no name for belong to heads, decoders and masking.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from torch import Tensor

from leopart_kit.backbones.hugging_face_keys import (
    as_token,
    finish_hugging_face,
    rename_hugging_face,
)
from leopart_kit.backbones.timm_keys import Finished, StateDict, finish_timm, rename_timm
from leopart_kit.backbones.weight_tensors import check_shapes, check_weights


@dataclass(frozen=True)
class Converted:
    """Tensors in timm naming, the source keys that went into them, and remarks for the report."""

    state: StateDict
    used: frozenset[str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scheme:
    """A way of naming the weights of a backbone.

    Attributes:
        name: in words.
        marker: key that a backbone has, `siblings`: starts of keys, one of which it has too.
        rename: source key → key in timm naming, `None` for what is not of the backbone.
        finish: renamed tensors and the source keys → tensors of timm's shapes, and remarks.
    """

    name: str
    marker: str
    siblings: tuple[str, ...]
    rename: Callable[[str], str | None]
    finish: Callable[[StateDict, Collection[str]], Finished]

    def prefixes(self, keys: Collection[str]) -> set[str]:
        """Prefixes under which a backbone of this naming is found."""
        ends = (key[: -len(self.marker)] for key in keys if key.endswith(self.marker))
        found = {prefix for prefix in ends if not prefix or prefix.endswith(".")}
        if not found or not self.siblings:
            return found
        beside = re.compile("|".join(map(re.escape, self.siblings)))
        return found & {key[: match.start()] for key in keys for match in beside.finditer(key)}

    def convert(self, source: Mapping[str, Tensor]) -> Converted:
        """Weights in timm naming from the tensors below one prefix.

        Raises `ValueError` for tensors that cannot be weights, see `weight_tensors`.
        """
        origin: dict[str, str] = {}
        for key in source:
            target = self.rename(key)
            if target is None:
                continue
            if target in origin:
                raise ValueError(f"{origin[target]} and {key} stand for the same weights")
            origin[target] = key
        check_weights({key: source[key] for key in origin.values()})
        state = {target: source[key] for target, key in origin.items()}
        state, notes = self.finish(state, source.keys())
        check_shapes(state)
        return Converted(state, frozenset(origin.values()), notes)


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


def _rename_clip(key: str) -> str | None:
    """The image tower of CLIP; its projection into the joint space is left out."""
    if key in _CLIP_TOP:
        return _CLIP_TOP[key]
    match = _CLIP_BLOCK.match(key)
    if match is None or match[2] not in _CLIP_MODULES:
        return None
    return f"blocks.{match[1]}.{_CLIP_MODULES[match[2]]}"


def _finish_clip(state: StateDict, _: Collection[str]) -> Finished:
    return {key: as_token(key, value) for key, value in state.items()}, ()


# --- ResNets of torchvision, MoCo, SwAV, DenseCL, and the AlexNet of this toolkit -----------------

_RESNET_KEY = re.compile(r"(conv1\.weight|bn1\.\w+|layer[1-4]\.\d+\.(conv|bn|downsample).+)")
_ALEXNET_KEY = re.compile(r"(conv|bn)[1-5]\.\w+")


def _rename_resnet(key: str) -> str | None:
    """torchvision's names, which all the ResNet baselines keep."""
    return key if _RESNET_KEY.fullmatch(key) else None


def _rename_alexnet(key: str) -> str | None:
    """The convolutions and their batch norms."""
    return key if _ALEXNET_KEY.fullmatch(key) else None


def _as_it_is(state: StateDict, _: Collection[str]) -> Finished:
    return state, ()


SCHEMES = (
    Scheme("timm", "patch_embed.proj.weight", ("blocks.",), rename_timm, finish_timm),
    *(
        Scheme(
            "Hugging Face",
            f"embeddings.{marker}.weight",
            (),
            rename_hugging_face,
            finish_hugging_face,
        )
        for marker in ("patch_embeddings.projection", "patch_embeddings", "patch_embedding")
    ),
    Scheme("CLIP", "conv1.weight", ("transformer.resblocks.",), _rename_clip, _finish_clip),
    Scheme("ResNet", "conv1.weight", ("layer1.0.conv1.weight",), _rename_resnet, _as_it_is),
    Scheme("AlexNet", "conv5.weight", ("bn5.weight",), _rename_alexnet, _as_it_is),
)
