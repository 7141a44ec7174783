# timm modules are untyped: tests reach into them by attribute.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportIndexIssue=false, reportOptionalMemberAccess=false

"""Names, weights and options on their way to an encoder; and every way they can be wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import timm
import torch
from torchvision.models import resnet50

from leopart_kit.backbones import Encoder, list_encoders, load_encoder
from leopart_kit.backbones.architecture import describe
from leopart_kit.backbones.zoo import ZOO
from tests.backbones import checkpoint_files as files

TINY = "vit_tiny_patch16_224.augreg_in21k"


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No cache and no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "empty"))


def images(height: int, width: int) -> torch.Tensor:
    return torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("name", sorted(ZOO))
def test_zoo_entry_describes_the_network_of_timm(name):
    spec = ZOO[name]
    assert timm.models.is_model(spec.timm_name) != (spec.timm_name == "")
    assert spec.timm_name or spec.from_scratch
    if spec.on_timm_hub:
        config = timm.get_pretrained_cfg(spec.timm_name)
        assert config is not None
        assert config.hf_hub_id
        assert tuple(config.mean) == spec.mean
        assert tuple(config.std) == spec.std
    if spec.architecture.kind == "ViT":
        with torch.device("meta"):
            vit = timm.create_model(spec.timm_name, num_classes=0, **spec.timm_options)
        assert describe(vit.state_dict()) == spec.architecture
    if not spec.timm_name:
        network = next(load_encoder(name).children())
        assert describe(network.state_dict()) == spec.architecture


def test_the_names_of_the_papers_are_there():
    wanted = {
        *("dino_vits16", "dino_vits8", "dino_vitb16", "dino_vitb8"),
        *("dinov2_vits14", "dinov2_vitb14", "dinov2_vitl14", "dinov2_vits14_reg"),
        *("dinov3_vits16", "dinov3_vitb16", "dinov3_vitl16", "mae_vitb16", "mae_vitl16"),
        *("mocov3_vits16", "mocov3_vitb16", "ibot_vits16", "ibot_vitb16", "ibot_vitl16"),
        *("clip_vitb16", "clip_vitb32", "clip_vitl14", "deit_vits16", "deit_vitb16"),
        *("supervised_vits16", "supervised_vitb16", "supervised_vitl16", "random_vits16"),
        *("densecl_resnet50_dilated", "swav_resnet50_dilated", "moco_resnet50_dilated"),
        *("handcrafted", "custom"),
    }
    assert wanted <= set(list_encoders())
    assert list(list_encoders()) == sorted(list_encoders())


@pytest.mark.parametrize(
    ("name", "manifest"),
    [
        ("dino_vits16", "dino_vits16_full"),
        ("dinov2_vits14", "hf_dinov2_small"),
        ("dinov2_vits14_reg", "dinov2_vits14_reg_hub"),
        ("dinov3_vits16", "timm_vit_small_patch16_dinov3.lvd1689m"),
    ],
)
def test_a_file_gives_the_tokens_that_timm_computes(name, manifest, tmp_path):
    path, state, _ = files.write(manifest, tmp_path, side=6)
    encoder = load_encoder(name, path)
    size = 6 * encoder.patch_size
    reference = timm.create_model(ZOO[name].timm_name, num_classes=0, img_size=size).eval()
    reference.load_state_dict({k: v.float() for k, v in state.items()})
    with torch.inference_mode():
        expected = reference.forward_features(images(size, size))[:, reference.num_prefix_tokens :]
        tokens = encoder.patch_tokens(images(size, size)).flatten(2).transpose(1, 2)
    # registers: CLS is a sum that fp16 rounds, and all tokens attend to it
    tolerance = 5e-3 if name.endswith("_reg") else 1e-4
    torch.testing.assert_close(tokens, expected, rtol=tolerance, atol=tolerance)
    assert encoder.weights == str(path)
    assert not encoder.training


def test_the_grid_of_the_file_is_kept(tmp_path):
    """A DINOv2 file with 32 x 32 positions is read as it is, not resampled to 37 x 37."""
    state = files.random_state("timm_vit_small_patch14_dinov2.lvd142m", side=32)
    torch.save(state, tmp_path / "small.pth")
    encoder = load_encoder("dinov2_vits14", tmp_path / "small.pth")
    assert torch.equal(encoder.vit.pos_embed.data, state["pos_embed"].float())
    assert encoder.vit.patch_embed.grid_size == (32, 32)


def test_resnet_equals_torchvision_with_dilation(tmp_path):
    torch.manual_seed(0)
    reference = resnet50(replace_stride_with_dilation=[False, False, True]).eval()
    torch.save({f"module.{k}": v for k, v in reference.state_dict().items()}, tmp_path / "r.pth")
    encoder = load_encoder("swav_resnet50_dilated", tmp_path / "r.pth")
    seen: list[torch.Tensor] = []
    reference.layer4.register_forward_hook(lambda _m, _i, output: seen.append(output))
    with torch.inference_mode():
        reference(images(64, 96))
        tokens = encoder.patch_tokens(images(64, 96))
    assert tokens.shape == (1, 2048, 4, 6)
    torch.testing.assert_close(tokens, seen[0])
    with pytest.raises(ValueError, match="CLS attention"):
        encoder.attention(images(64, 96))
    fine = load_encoder("swav_resnet50_dilated", tmp_path / "r.pth", patch_size=8)
    with torch.inference_mode():
        assert fine.patch_tokens(images(60, 96)).shape == (1, 2048, 8, 12)


def test_random_weights_follow_the_seed():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    prints = [load_encoder(TINY, "random", seed=seed).fingerprint() for seed in (0, 0, 1)]
    assert torch.equal(torch.rand(1), expected), "the global generator moved"
    assert prints[0] == prints[1] != prints[2]
    assert load_encoder("random_vits16").weights == "random"


def test_block_and_facet_change_the_fingerprint():
    prints = {
        load_encoder(TINY, "random", **options).fingerprint()
        for options in ({}, {"block": 5}, {"facet": "key"}, {"precision": "bf16"})
    }
    assert len(prints) == 4


def test_any_vit_of_timm_by_its_name():
    encoder = load_encoder(TINY, "random")
    assert (encoder.embed_dim, encoder.patch_size, encoder.mean) == (192, 16, (0.5, 0.5, 0.5))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dino_vits61", "dino_vits16"),
        ("timm", "encoder.name"),
        ("run/backbone.safetensors", "file of weights"),
        ("backbone.pth", "file of weights"),
        ("vit_base_patch16_224.dinosaur", "dinosaur"),
        ("resnet34", "resnet34"),
        ("swin_tiny_patch4_window7_224", "plain vision transformer"),
    ],
)
def test_unknown_names(name, message):
    with pytest.raises(ValueError, match=message):
        load_encoder(name, "random")


def test_names_of_digits_are_texts(tmp_path: Path, monkeypatch):
    """A command line reads them as numbers."""
    monkeypatch.chdir(tmp_path)
    torch.save(load_encoder("vitmini8", seed=1).vit.state_dict(), "3")
    loaded = load_encoder("vitmini8", 3)
    assert loaded.weights == "3"
    assert torch.equal(loaded.vit.cls_token, load_encoder("vitmini8", seed=1).vit.cls_token)
    with pytest.raises(FileNotFoundError, match=r"2\.5"):
        load_encoder("vitmini8", 2.5)
    with pytest.raises(ValueError, match="unknown encoder '3'"):
        load_encoder(3)
    with pytest.raises(ValueError, match=r"3: .*7 network"):
        load_encoder("vitmini8", 3, network=7)


@pytest.mark.parametrize("value", [None, True, [3], {"a": 1}, ()])
@pytest.mark.parametrize("setting", ["name", "weights", "network"])
def test_names_that_are_none(setting: str, value: object):
    with pytest.raises(ValueError, match=f"encoder.{setting}"):
        load_encoder(**{"name": "vitmini8", setting: value})


def test_offline_error_says_what_to_do(offline):
    with pytest.raises(FileNotFoundError, match=r"dino_vits16: .*encoder\.weights=FILE"):
        load_encoder("dino_vits16")
    with pytest.raises(FileNotFoundError, match=r"bytedance/ibot.*encoder\.weights=FILE"):
        load_encoder("ibot_vits16")


def test_cached_hub_weights_need_no_network(offline, monkeypatch, tmp_path):
    path, state, _ = files.write("timm_vit_small_patch16_224.dino", tmp_path)
    asked: list[tuple[str, bool]] = []

    def cached(repository: str, file_name: str, local_files_only: bool = False) -> str:
        asked.append((repository, local_files_only))
        return str(path)

    monkeypatch.setattr("leopart_kit.backbones.weights.hf_hub_download", cached)
    encoder = load_encoder("dino_vits16")
    assert asked == [("timm/vit_small_patch16_224.dino", True)]
    assert encoder.weights == "timm hub: timm/vit_small_patch16_224.dino"
    assert torch.equal(encoder.vit.norm.weight.data, state["norm.weight"].float())


def test_another_architecture_is_named(tmp_path):
    path, _, _ = files.write("mae_vitb16_pretrain", tmp_path)
    with pytest.raises(ValueError, match="dim 768") as error:
        load_encoder("dinov2_vits14", path)
    assert "mae_vitb16" in str(error.value)
    assert str(path) in str(error.value)
    path.unlink()


def test_a_missing_last_block_is_not_passed_over(tmp_path):
    state = files.random_state("timm_vit_small_patch16_224.dino")
    short = {k: v for k, v in state.items() if not k.startswith("blocks.11.")}
    torch.save(short, tmp_path / "short.pth")
    with pytest.raises(ValueError, match="depth 11"):
        load_encoder("dino_vits16", tmp_path / "short.pth")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("handcrafted", {"block": 3}, "no option 'block'"),
        ("handcrafted", {"precision": "bf16"}, "no option 'precision'"),
        ("random_vits16", {"patch_size": 8}, "no option 'patch_size'"),
        ("random_vits16", {"factory": "a:b"}, "no option 'factory'"),
        ("random_vits16", {"block": 12}, "has 12 blocks"),
        ("random_vits16", {"block": "3"}, "has 12 blocks"),
        ("random_resnet50_dilated", {"grid": (2, 4)}, "no option 'grid'"),
        ("handcrafted", {"patch_size": "8"}, "patch_size"),
        ("random_resnet50_dilated", {"facet": "key"}, "no option 'facet'"),
        ("random_resnet50_dilated", {"patch_size": 32}, "stride 16 or 8"),
        ("custom", {}, "package.module"),
        ("custom", {"factory": 3}, "package.module"),
        ("custom", {"factory": "math:gcd", "factory_options": 3}, "factory_options"),
        ("custom", {"factory": "nowhere.at.all:fn"}, r"nowhere.at.all"),
        ("custom", {"factory": "math:nothing"}, "'nothing'"),
        ("custom", {"factory": "math:gcd"}, "math:gcd"),
    ],
)
def test_options_that_do_not_apply(name, options, message):
    with pytest.raises(ValueError, match=message):
        load_encoder(name, **options)


def test_custom_factories(tmp_path: Path, monkeypatch):
    (tmp_path / "my_encoders.py").write_text(
        "import torch\n"
        "from leopart_kit.backbones import Encoder\n"
        "class Net(torch.nn.AvgPool2d):\n"
        "    patch_size, embed_dim, mean, std = 4, 3, [0, 0, 0], [1, 1, 1]\n"
        "def plain():\n"
        "    return Net(4)\n"
        "def ready(side):\n"
        "    return Encoder.from_module(torch.nn.AvgPool2d(side), side, 3)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    plain = load_encoder("custom", factory="my_encoders:plain")
    ready = load_encoder("custom", factory="my_encoders:ready", factory_options={"side": 2})
    assert isinstance(ready, Encoder)
    assert (plain.patch_size, plain.mean, plain.std) == (4, (0.0,) * 3, (1.0,) * 3)
    assert ready.patch_tokens(torch.zeros(1, 3, 8, 8)).shape == (1, 3, 4, 4)


def test_real_fp16_weights(shared_dir):
    """A fine-tuned DINOv2 ViT-S/14: objects stand out from the background in its attention."""
    path = shared_dir / "weights" / "vits14_saliency_fp16.safetensors"
    encoder = load_encoder("dinov2_vits14", path)
    assert encoder.vit.patch_embed.grid_size == (37, 37)
    image = torch.randint(0, 256, (1, 3, 98, 126), dtype=torch.uint8)
    with torch.inference_mode():
        tokens, attention = encoder.tokens_and_attention(encoder.preprocess(image))
    assert tokens.shape == (1, 384, 7, 9)
    assert bool(tokens.isfinite().all())
    assert bool(((attention.sum(dim=(2, 3)) > 0) & (attention.sum(dim=(2, 3)) < 1)).all())
