"""Every layout of the manifests, and the others that are known, written to a file and read back."""

from __future__ import annotations

import os
from argparse import Namespace

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torchvision.models import resnet50

from leopart_kit.backbones import read_checkpoint
from tests.backbones import checkpoint_files as files
from tests.backbones.checkpoint_files import assert_same

LAYOUTS = {
    "dino_vits16_backbone": ("timm or DINO naming", "single"),
    "dino_vits16_full": ("DINO training checkpoint", "teacher"),
    "dinov2_vits14_hub": ("DINOv2 release", "single"),
    "dinov2_vits14_reg_hub": ("DINOv2 with registers release", "single"),
    "leopart_vits16_plain": ("Leopart release", "single"),
    "leopart_lightning": ("Lightning checkpoint (Leopart, NeCo)", "student"),
    "mae_vitb16_pretrain": ("MAE release (entry 'model')", "single"),
    "hf_dino_vits16": ("Hugging Face naming", "single"),
    "hf_dinov2_small": ("Hugging Face naming", "single"),
    "hf_dinov2_with_registers_small": ("Hugging Face with registers naming", "single"),
}


@pytest.fixture
def tiny() -> dict[str, torch.Tensor]:
    """A small ViT in timm naming, for layouts that have no manifest."""
    return files.tiny_state()


@pytest.fixture(scope="module")
def resnet_state() -> dict[str, torch.Tensor]:
    return {key: value.half() for key, value in resnet50().state_dict().items()}


@pytest.mark.parametrize("manifest", sorted(files.TARGETS))
def test_every_manifest_reads_back(manifest, tmp_path):
    path, expected, num_used = files.write(manifest, tmp_path)
    state, report = read_checkpoint(path)
    if "cls_token" in expected and manifest in (
        "dinov2_vits14_reg_hub",
        "hf_dinov2_with_registers_small",
    ):  # here CLS is a sum, which fp16 rounds
        torch.testing.assert_close(state["cls_token"], expected["cls_token"], rtol=0, atol=3e-4)
        state["cls_token"] = expected["cls_token"]
    assert_same(state, expected)
    assert len(report.recognised) == num_used
    assert report.missing == ()
    expected_layout = LAYOUTS.get(manifest, ("timm or DINO naming", "single"))
    assert (report.layout, report.network) == expected_layout
    written = set(files.manifest_keys(manifest))
    assert set(report.recognised) <= written
    assert written - set(report.recognised) <= set(report.dropped)
    os.unlink(path)


def test_the_other_network_on_request(tmp_path):
    path, expected, _ = files.write("leopart_lightning", tmp_path)
    state, report = read_checkpoint(path, network="teacher")
    assert_same(state, {key: value + 1 for key, value in expected.items()})
    assert report.network == "teacher"


def test_old_hugging_face_names(tmp_path):
    expected = files.random_state("timm_vit_small_patch16_224.dino")
    old = files.to_hugging_face(expected, files.HF_OLD_VIT)
    old["vit.pooler.dense.weight"] = torch.zeros(2, 2)
    old["decoder.decoder_embed.weight"] = torch.zeros(2, 2)
    save_file(old, tmp_path / "model.safetensors")
    state, report = read_checkpoint(tmp_path / "model.safetensors")
    assert_same(state, expected)
    assert set(report.dropped) == {"vit.pooler.dense.weight", "decoder.decoder_embed.weight"}


def test_joined_heads_give_the_same_projection(tmp_path):
    """timm's qkv of a token is the concatenation of transformers' three projections."""
    expected = files.random_state("timm_vit_small_patch16_224.dino")
    old = files.to_hugging_face(expected, files.HF_OLD_VIT)
    torch.save(old, tmp_path / "model.bin")
    state, _ = read_checkpoint(tmp_path / "model.bin")
    token = torch.randn(384)
    joined = state["blocks.3.attn.qkv.weight"].float() @ token
    stem = "vit.encoder.layer.3.attention.attention"
    parts = [old[f"{stem}.{name}.weight"].float() @ token for name in ("query", "key", "value")]
    torch.testing.assert_close(joined, torch.cat(parts), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("wrap", "layout", "network"),
    [
        (
            lambda s: {
                "state_dict": {
                    **{f"module.base_encoder.{k}": v for k, v in s.items()},
                    "module.base_encoder.head.0.weight": torch.zeros(2, 2),
                    **{f"module.momentum_encoder.{k}": v + 1 for k, v in s.items()},
                    "module.predictor.0.weight": torch.zeros(2, 2),
                }
            },
            "MoCo v3 checkpoint",
            "student",
        ),
        (
            lambda s: {
                "student": {f"module.backbone.{k}": v + 1 for k, v in s.items()},
                "teacher": {
                    **{f"backbone.{k}": v for k, v in s.items()},
                    "backbone.masked_embed": torch.zeros(1, 24),
                },
                "ibot_loss": {"center": torch.zeros(1, 4)},
            },
            "iBOT checkpoint",
            "teacher",
        ),
        (
            lambda s: {
                **{f"feature_extractor.backbone.{k}": v for k, v in s.items()},
                "feature_extractor.head.0.weight": torch.zeros(2, 2),
                "prototypes": torch.zeros(4, 24),
            },
            "TimeT checkpoint",
            "single",
        ),
        (
            lambda s: {
                "state_dict": {
                    **{f"model.{k}": v for k, v in s.items()},
                    **{f"teacher.{k}": v + 1 for k, v in s.items()},
                },
                "pytorch-lightning_version": "1.6.0",
            },
            "Lightning checkpoint (Leopart, NeCo)",
            "student",
        ),
        (
            lambda s: {
                "format": "leopart_kit",
                "method": {
                    **{f"student.backbone.{k}": v for k, v in s.items()},
                    **{f"teacher.backbone.{k}": v + 1 for k, v in s.items()},
                    "student.head.prototypes.weight": torch.zeros(2, 2),
                },
            },
            "training checkpoint of leopart_kit",
            "student",
        ),
        (
            lambda s: {
                k.replace("blocks.0.", "blocks.0.0.").replace("blocks.1.", "blocks.1.1."): v
                for k, v in s.items()
            },
            "timm or DINO naming",
            "single",
        ),
    ],
    ids=["mocov3", "ibot", "timet", "neco", "ours", "chunked"],
)
def test_other_layouts(tiny, tmp_path, wrap, layout, network):
    torch.save(wrap(tiny), tmp_path / "file.pth")
    state, report = read_checkpoint(tmp_path / "file.pth")
    assert_same(state, tiny)
    assert (report.layout, report.network) == (layout, network)


def test_clip_equals_the_conversion_of_timm(tmp_path):
    """OpenAI's names, against timm's own reader of the same file."""
    model = timm.models.VisionTransformer(
        img_size=32, patch_size=16, embed_dim=24, depth=2, num_heads=2, num_classes=0, pre_norm=True
    )
    names = {"norm1": "ln_1", "norm2": "ln_2", "attn.qkv.": "attn.in_proj_"}
    names |= {"attn.proj": "attn.out_proj", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}
    top = {"cls_token": "class_embedding", "pos_embed": "positional_embedding"}
    top |= {"patch_embed.proj.weight": "conv1.weight"}
    source: dict[str, torch.Tensor] = {
        "visual.proj": torch.zeros(24, 5),
        "logit_scale": torch.ones(1),
    }
    for key, value in model.state_dict().items():
        new = top.get(key, key).replace("norm_pre", "ln_pre")
        if key.startswith("blocks."):
            new = new.replace("blocks.", "transformer.resblocks.")
            for ours, theirs in names.items():
                new = new.replace(ours, theirs)
        elif key.startswith("norm."):
            new = new.replace("norm.", "ln_post.")
        squeezed = value.reshape(-1, 24).squeeze(0) if key in ("cls_token", "pos_embed") else value
        source[f"visual.{new}"] = squeezed
    torch.save(source, tmp_path / "clip.pt")
    state, report = read_checkpoint(tmp_path / "clip.pt")
    theirs = timm.models.vision_transformer.checkpoint_filter_fn(dict(source), model)
    assert_same(state, {k: v for k, v in theirs.items() if not k.startswith("head")})
    assert report.layout == "CLIP naming"
    assert set(report.dropped) == {"visual.proj", "logit_scale"}
    assert "visual.proj" in str(report)


def test_dinov3_release_equals_the_conversion_of_timm(tmp_path):
    model = timm.create_model("vit_small_patch16_dinov3", num_classes=0, depth=2)
    source = {}
    for key, value in model.state_dict().items():
        new = key.replace("gamma_1", "ls1.gamma").replace("gamma_2", "ls2.gamma")
        source[new.replace("reg_token", "storage_tokens")] = torch.randn_like(value)
    source |= {"mask_token": torch.zeros(1, 384), "rope_embed.periods": torch.ones(16)}
    for block in (0, 1):
        source[f"blocks.{block}.attn.qkv.bias"] = torch.zeros(3 * 384)
        source[f"blocks.{block}.attn.qkv.bias_mask"] = torch.ones(3 * 384)
    torch.save(source, tmp_path / "dinov3.pth")
    state, report = read_checkpoint(tmp_path / "dinov3.pth")
    assert set(state) == set(model.state_dict())
    assert torch.equal(state["blocks.1.gamma_2"], source["blocks.1.ls2.gamma"])
    assert report.layout == "DINOv3 release"
    assert "all zero" in report.notes[0]


def test_dinov3_biases_that_matter_are_kept(tmp_path):
    model = timm.create_model("vit_small_patch16_dinov3_qkvb", num_classes=0, depth=1)
    source = {}
    for key, value in model.state_dict().items():
        if not key.endswith(("q_bias", "v_bias")):
            new = key.replace("gamma_1", "ls1.gamma").replace("gamma_2", "ls2.gamma")
            source[new.replace("reg_token", "storage_tokens")] = value
    source["blocks.0.attn.qkv.bias"] = torch.arange(3 * 384).float()
    torch.save(source, tmp_path / "dinov3.pth")
    state, _ = read_checkpoint(tmp_path / "dinov3.pth")
    assert set(state) == set(model.state_dict())
    assert torch.equal(state["blocks.0.attn.v_bias"], torch.arange(768, 3 * 384).float())


@pytest.mark.parametrize(
    ("prefix", "wrapped", "head"),
    [
        ("", False, "fc.weight"),
        ("module.", False, "module.projection_head.0.weight"),  # SwAV
        ("module.encoder_q.", True, "module.queue"),  # MoCo
        ("backbone.", True, "neck.mlp.0.weight"),  # DenseCL
    ],
)
def test_resnet_layouts(resnet_state, tmp_path, prefix, wrapped, head):
    expected = {k: v for k, v in resnet_state.items() if not k.startswith("fc.")}
    content = {**{prefix + k: v for k, v in expected.items()}, head: torch.zeros(3)}
    torch.save({"state_dict": content, "epoch": 1} if wrapped else content, tmp_path / "r50.pth")
    state, report = read_checkpoint(tmp_path / "r50.pth")
    assert_same(state, expected)
    assert any(key.endswith(head) for key in report.dropped)


def test_hugging_face_names_of_dinov3(tmp_path):
    """No key bias; query and value biases end up where timm has them."""
    model = timm.create_model("vit_small_patch16_dinov3_qkvb", num_classes=0, depth=1)
    expected = {key: torch.randn_like(value) for key, value in model.state_dict().items()}
    names = {
        "cls_token": "embeddings.cls_token",
        "reg_token": "embeddings.register_tokens",
        "patch_embed.proj.weight": "embeddings.patch_embeddings.weight",
        "patch_embed.proj.bias": "embeddings.patch_embeddings.bias",
        "blocks.0.gamma_1": "layer.0.layer_scale1.lambda1",
        "blocks.0.gamma_2": "layer.0.layer_scale2.lambda1",
        "blocks.0.attn.q_bias": "layer.0.attention.q_proj.bias",
        "blocks.0.attn.v_bias": "layer.0.attention.v_proj.bias",
    }
    modules = {
        "attn.proj": "attention.o_proj",
        "mlp.fc1": "mlp.up_proj",
        "mlp.fc2": "mlp.down_proj",
    }
    source = {"embeddings.mask_token": torch.zeros(1, 1, 384)}
    for key, value in expected.items():
        new = names.get(key, key.replace("blocks.", "layer."))
        for ours, theirs in modules.items():
            new = new.replace(ours, theirs)
        source[new] = value
    for name, part in zip("qkv", source.pop("layer.0.attn.qkv.weight").chunk(3), strict=True):
        source[f"layer.0.attention.{name}_proj.weight"] = part.clone()
    save_file(source, tmp_path / "model.safetensors")
    state, report = read_checkpoint(tmp_path / "model.safetensors")
    assert_same(state, expected)
    assert report.dropped == ("embeddings.mask_token",)


def test_optimiser_state_and_plain_data_are_dropped_by_name(tiny, tmp_path):
    content = {
        "model": tiny,
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]},
        "epoch": 3,
        "loss": np.float64(0.5),
        "history": np.zeros(3),
        "args": Namespace(arch="vit"),
    }
    torch.save(content, tmp_path / "file.pth")
    state, report = read_checkpoint(tmp_path / "file.pth")
    assert_same(state, tiny)
    assert set(report.dropped) == {"optimizer", "epoch", "loss", "history", "args"}
    assert len(report.sha256) == 64


def test_missing_keys_are_listed(tiny, tmp_path):
    del tiny["blocks.1.attn.qkv.weight"], tiny["norm.bias"]
    torch.save(tiny, tmp_path / "file.pth")
    with pytest.raises(ValueError, match="2 backbone") as error:
        read_checkpoint(tmp_path / "file.pth")
    assert "blocks.1.attn.qkv.weight" in str(error.value)
    assert "norm.bias" in str(error.value)
    assert str(tmp_path / "file.pth") in str(error.value)


@pytest.mark.parametrize("key", ["cls_token", "pos_embed", "patch_embed.proj.weight"])
def test_missing_stem_is_an_error(tiny, tmp_path, key):
    del tiny[key]
    torch.save(tiny, tmp_path / "file.pth")
    with pytest.raises(ValueError, match=key):
        read_checkpoint(tmp_path / "file.pth")


def test_files_that_are_no_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.pth"):
        read_checkpoint(tmp_path / "absent.pth")
    torch.save(torch.zeros(3), tmp_path / "tensor.pth")
    with pytest.raises(ValueError, match="dictionary"):
        read_checkpoint(tmp_path / "tensor.pth")
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    with pytest.raises(ValueError, match="no tensors"):
        read_checkpoint(tmp_path / "empty.pth")
    torch.save({"fc.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="layout"):
        read_checkpoint(tmp_path / "other.pth")


def test_network_that_is_not_in_the_file(tiny, tmp_path):
    torch.save(tiny, tmp_path / "file.pth")
    with pytest.raises(ValueError, match="teacher"):
        read_checkpoint(tmp_path / "file.pth", network="teacher")
    with pytest.raises(ValueError, match="both"):
        read_checkpoint(tmp_path / "file.pth", network="both")
