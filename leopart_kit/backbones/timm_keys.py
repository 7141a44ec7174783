"""timm's names of a vision transformer, which the DINO family, MAE, MoCo v3 and Leopart share."""

from __future__ import annotations

import re
from collections.abc import Collection

from torch import Tensor

from leopart_kit.backbones.weight_tensors import check_shapes

StateDict = dict[str, Tensor]
Finished = tuple[StateDict, tuple[str, ...]]

_KEY = re.compile(
    r"(cls_token|dist_token|reg_token|pos_embed|patch_embed\.(proj|norm)\.\w+|rope\.freqs"
    r"|(norm|norm_pre|fc_norm)\.(weight|bias)|blocks\..*)",
    re.DOTALL,
)
_RENAMES = (
    (re.compile(r"^blocks\.\d+\.(\d+)\."), r"blocks.\1."),  # DINOv2 stores chunks of blocks
    (re.compile(r"\.mlp\.w12\."), ".mlp.fc1."),
    (re.compile(r"\.mlp\.w3\."), ".mlp.fc2."),
    (re.compile(r"^(register_tokens|storage_tokens)$"), "reg_token"),
)
_NOT_WEIGHTS = re.compile(r"\.(bias_mask|relative_position_index|attn_mask)$")


def rename_timm(key: str) -> str | None:
    """Naming of timm and of the DINO family (Meta), which differ in a few tensors."""
    for pattern, replacement in _RENAMES:
        key = pattern.sub(replacement, key)
    return key if _KEY.fullmatch(key) and not _NOT_WEIGHTS.search(key) else None


def finish_timm(state: StateDict, source: Collection[str]) -> Finished:
    """Values of DINOv2 with registers and of DINOv3, moved to where timm has them."""
    if "storage_tokens" in source or "rope_embed.periods" in source:
        return dinov3_to_eva(state)
    return (positions_off_registers(state) if "register_tokens" in source else state), ()


def positions_off_registers(state: StateDict) -> StateDict:
    """timm gives CLS no position when there are registers: add it to the CLS token once."""
    position = state.get("pos_embed")
    if position is None or "cls_token" not in state:
        return state
    check_shapes(state)  # else the sum below could stretch one of them
    return {
        **state,
        "cls_token": state["cls_token"] + position[:, :1],
        "pos_embed": position[:, 1:],
    }


def dinov3_to_eva(state: StateDict) -> Finished:
    """LayerScale names and biases of timm's Eva, whose key bias is fixed at zero."""
    renamed = {re.sub(r"\.ls([12])\.gamma$", r".gamma_\1", key): v for key, v in state.items()}
    biases = {key: renamed.pop(key) for key in list(renamed) if key.endswith("attn.qkv.bias")}
    return _with_qv_bias(renamed, biases)


def _with_qv_bias(state: StateDict, biases: StateDict) -> Finished:
    """Split `qkv.bias` into `q_bias` and `v_bias`; leave both out where all are zero."""
    odd = [key for key, bias in biases.items() if bias.ndim != 1 or len(bias) % 3]
    if odd:
        raise ValueError(f"{odd[0]} has shape {list(biases[odd[0]].shape)}, not three in a row")
    parts = {key[: -len("qkv.bias")]: bias.chunk(3) for key, bias in biases.items()}
    if not any(bool(q.any()) or bool(v.any()) for q, _, v in parts.values()):
        return state, ("qkv biases are all zero and left out",) if parts else ()
    split = {f"{stem}q_bias": q for stem, (q, _, _) in parts.items()}
    split |= {f"{stem}v_bias": v for stem, (_, _, v) in parts.items()}
    return {**state, **split}, ()
