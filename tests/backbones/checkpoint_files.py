"""Checkpoint files in the layouts of releases, made from the key manifests with random values.

The renaming from timm's names is written here a second time, in the other direction, and is checked
against the manifests, so that a mistake in the package cannot hide.
"""

from __future__ import annotations

import json
import re
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from timm.models import VisionTransformer
from torch import Tensor

MANIFESTS = json.loads(
    (Path(__file__).parents[1] / "golden" / "checkpoint_manifests.json").read_text()
)
State = dict[str, Tensor]

# manifest -> manifest of the same network in timm naming
TARGETS = {
    "dino_vits16_backbone": "timm_vit_small_patch16_224.dino",
    "dino_vits16_full": "timm_vit_small_patch16_224.dino",
    "dinov2_vits14_hub": "timm_vit_small_patch14_dinov2.lvd142m",
    "dinov2_vits14_reg_hub": "timm_vit_small_patch14_reg4_dinov2.lvd142m",
    "leopart_vits16_plain": "timm_vit_small_patch16_224.dino",
    "leopart_lightning": "timm_vit_small_patch16_224.dino",
    "mae_vitb16_pretrain": "timm_vit_base_patch16_224.mae",
    "hf_dino_vits16": "timm_vit_small_patch16_224.dino",
    "hf_dinov2_small": "timm_vit_small_patch14_dinov2.lvd142m",
    "hf_dinov2_with_registers_small": "timm_vit_small_patch14_reg4_dinov2.lvd142m",
    **{name: name for name in MANIFESTS if name.startswith("timm_")},
}


def shapes(manifest: str, part: str | None = None) -> dict[str, list[int]]:
    """Key → shape of a manifest, or of one part of a file with several."""
    keys = MANIFESTS[manifest]["keys"]
    return keys[part] if part else keys


def random_state(manifest: str, side: int | None = None) -> State:
    """Random values for a manifest in timm naming, in half precision to keep files small.

    With ``side``, positions for a grid of that many patches a side.
    """
    block = torch.randn(1 << 16, generator=torch.Generator().manual_seed(0)).half() * 0.05
    state = {key: _cut(block, size, i) for i, (key, size) in enumerate(shapes(manifest).items())}
    if side and "pos_embed" in state:
        count = side * side + (0 if "reg_token" in state else 1)
        state["pos_embed"] = state["pos_embed"][:, :count].clone()
    return state


def tiny_state(seed: int = 0) -> State:
    """Random values for a small ViT in timm naming."""
    generator = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        vit = VisionTransformer(
            img_size=32, patch_size=16, embed_dim=24, depth=2, num_heads=2, num_classes=0
        )
    return {k: torch.randn(v.shape, generator=generator) for k, v in vit.state_dict().items()}


def assert_same(read: State, expected: State) -> None:
    """Two state dicts hold the same values under the same keys."""
    assert set(read) == set(expected)
    for key, value in expected.items():
        assert torch.equal(read[key], value), key


def _cut(block: Tensor, size: list[int], start: int) -> Tensor:
    """A tensor of the size from a repeated block; each key starts elsewhere, so none are equal."""
    count = int(np.prod(size))
    repeated = block.roll(start * 7919).repeat(-(-count // len(block)))
    return repeated[:count].reshape(size).clone()


def with_rest(state: State, wanted: dict[str, list[int]]) -> State:
    """Add what the file holds besides the backbone (heads, pooler, mask token), as zeros."""
    rest = {k: torch.zeros(s, dtype=torch.float16) for k, s in wanted.items() if k not in state}
    return {**state, **rest}


def to_hub(state: State) -> State:
    """timm → DINOv2 hub: registers have their own name, CLS its own position."""
    if "reg_token" not in state:
        return dict(state)
    first = torch.full_like(state["cls_token"], 0.25)
    hub = {**state, "cls_token": state["cls_token"] - first}
    hub["pos_embed"] = torch.cat([first, state["pos_embed"]], dim=1)
    hub["register_tokens"] = hub.pop("reg_token")
    return hub


_HF_TOP = {
    "cls_token": "embeddings.cls_token",
    "pos_embed": "embeddings.position_embeddings",
    "register_tokens": "embeddings.register_tokens",
    "patch_embed.proj": "embeddings.patch_embeddings.projection",
    "norm": "layernorm",
}
HF_NEW_VIT = {
    "root": "layers.",
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "attn.proj": "attention.o_proj",
    "q": "attention.q_proj",
    "k": "attention.k_proj",
    "v": "attention.v_proj",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
HF_DINOV2 = HF_NEW_VIT | {"root": "encoder.layer.", "norm1": "norm1", "norm2": "norm2"}
HF_OLD_VIT = HF_NEW_VIT | {
    "root": "vit.encoder.layer.",
    "attn.proj": "attention.output.dense",
    "q": "attention.attention.query",
    "k": "attention.attention.key",
    "v": "attention.attention.value",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}


def to_hugging_face(state: State, names: dict[str, str]) -> State:
    """timm (or hub) → transformers, with the given module names."""
    renamed: State = {}
    prefix = "vit." if names["root"].startswith("vit.") else ""
    for key, value in state.items():
        match = re.match(r"blocks\.(\d+)\.(.+)", key)
        if match is None:
            stem, dot, kind = key.rpartition(".")
            new = _HF_TOP[key] if key in _HF_TOP else f"{_HF_TOP[stem]}{dot}{kind}"
            renamed[prefix + new] = value
            continue
        block, rest = f"{names['root']}{match[1]}.", match[2]
        if rest.startswith("attn.qkv."):
            for name, part in zip("qkv", value.chunk(3), strict=True):
                renamed[f"{block}{names[name]}.{rest.rpartition('.')[2]}"] = part.clone()
        elif rest.startswith("ls"):
            renamed[f"{block}layer_scale{rest[2]}.lambda1"] = value
        else:
            stem, _, kind = rest.rpartition(".")
            renamed[f"{block}{names[stem]}.{kind}"] = value
    return renamed


def write(manifest: str, folder: Path, side: int | None = None) -> tuple[Path, State, int]:
    """Write a file as the manifest's note says: its path, the backbone in timm naming, its keys."""
    state = random_state(TARGETS[manifest], side)
    content, suffix, used = _content(manifest, state)
    path = folder / f"file{suffix}"
    torch.save(content, path)
    return path, state, used


def _content(manifest: str, state: State) -> tuple[dict, str, int]:
    wanted = MANIFESTS[manifest]["keys"]
    prefixed = {p: {p + k: v for k, v in state.items()} for p in ("model.", "teacher.")}
    other = {"teacher." + k: v + 1 for k, v in state.items()}
    if manifest == "dino_vits16_full":
        teacher = {"backbone." + k: v for k, v in state.items()}
        student = {"module.backbone." + k: v + 1 for k, v in state.items()}
        parts = {
            "student": with_rest(student, _small_heads(wanted["student"])),
            "teacher": with_rest(teacher, _small_heads(wanted["teacher"])),
        }
        extra = {"epoch": 100, "args": Namespace(arch="vit_small", lr=np.float64(0.0005))}
        optimizer = {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]}
        return {**parts, **extra, "optimizer": optimizer}, ".pth", len(state)
    if manifest == "leopart_lightning":
        weights = with_rest({**prefixed["model."], **other}, wanted["state_dict"])
        trainer = {"epoch": 49, "global_step": 9, "optimizer_states": [], "lr_schedulers": []}
        return (
            {"state_dict": weights, **trainer, "hyper_parameters": {"lr": 1}},
            ".ckpt",
            len(state),
        )
    if manifest == "leopart_vits16_plain":
        return with_rest(prefixed["model."], wanted), ".ckpt", len(state)
    if manifest == "mae_vitb16_pretrain":
        return {"model": state}, ".pth", len(state)
    if manifest.startswith("hf_"):
        names = HF_NEW_VIT if manifest == "hf_dino_vits16" else HF_DINOV2
        renamed = to_hugging_face(to_hub(state), names)
        return with_rest(renamed, wanted), ".bin", len(renamed)
    hub = to_hub(state) if manifest.endswith("_hub") else state
    return with_rest(hub, wanted), ".pth", len(hub)


def _small_heads(wanted: dict[str, list[int]]) -> dict[str, list[int]]:
    """The 65,536 output rows of DINO's head say nothing here and cost 130 MB."""
    return {k: [min(n, 8) for n in s] if "head" in k else s for k, s in wanted.items()}


def manifest_keys(manifest: str) -> Iterator[str]:
    """All keys of a manifest, parts joined with a dot."""
    for key, value in MANIFESTS[manifest]["keys"].items():
        yield from (f"{key}.{k}" for k in value) if isinstance(value, dict) else (key,)
