"""From whatever a person has to a ready encoder: a name, a folder, a function, a network."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import timm
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from leopart_kit.backbones.architecture import Architecture
from leopart_kit.backbones.attention import TimmModule
from leopart_kit.backbones.checkpoints import CheckpointReport, read_checkpoint
from leopart_kit.backbones.custom import make_custom
from leopart_kit.backbones.encoder import IMAGENET_MEAN, IMAGENET_STD, Encoder, as_triple
from leopart_kit.backbones.file_kinds import WEIGHT_SUFFIXES
from leopart_kit.backbones.filled import build_convolutional, build_vit
from leopart_kit.backbones.handcrafted import HandcraftedEncoder
from leopart_kit.backbones.package_file import package_weights
from leopart_kit.backbones.position_embedding import check_grid
from leopart_kit.backbones.precision import Precision
from leopart_kit.backbones.saved_backbone import load_backbone
from leopart_kit.backbones.vit import Facet, ViTEncoder
from leopart_kit.backbones.weights import hub_weights, seeded, shipped_weights
from leopart_kit.backbones.zoo import ZOO, EncoderSpec, list_encoders
from leopart_kit.parts import close_names, unknown_choice

EncoderLike = Encoder | str | Path | Callable[[Tensor], object]

_RANDOM = ("random", "none")
_STEGO_HEAD = re.compile(r"(^|\.)head\.(linear|nonlinear)\.")
_WITHOUT_SPEC = ("handcrafted", "custom")
_OPTIONS = {
    "ViT": {"weights", "block", "facet", "precision", "drop_path_rate", "network", "grid"},
    "dilated ResNet": {"weights", "precision", "network", "patch_size"},
    "ResNet": {"weights", "precision", "network"},
    "AlexNet": {"weights", "precision", "network"},
    "handcrafted": {"patch_size"},
    "custom": {"weights", "precision", "factory", "factory_options"},
}


def load_encoder(
    name: str,
    weights: str | Path = "auto",
    *,
    block: int = -1,
    facet: Facet = "token",
    precision: Precision = "fp32",
    drop_path_rate: float = 0.0,
    network: str = "auto",
    grid: Sequence[int] | None = None,
    seed: int = 0,
    patch_size: int | None = None,
    factory: str | None = None,
    factory_options: Mapping[str, object] | None = None,
) -> Encoder:
    """Load a backbone by name.

    Args:
        name: one of `list_encoders`, any plain ViT of timm (`vit_base_patch16_224.dino`),
            `handcrafted` or `custom`.
        weights: `auto` (local cache, then the hub through timm; the package for the demo's
            encoders; random for a network that is there to be trained from scratch), a checkpoint
            file in any layout that `read_checkpoint` knows, or `random` (also `none`). `custom`
            takes what a training has saved of it.
        block: of a vision transformer, -1 the last.
        facet: of that block, `token` (its output) or `key`, `query`, `value` (of its attention).
        precision: `fp32`, or `bf16` for autocast (tokens are float32 either way). A factory with
            a parameter `precision` receives it.
        drop_path_rate: stochastic depth of the last block in training, rising from 0.
        network: which network of a file that holds several, see `read_checkpoint`.
        grid: rows and columns, in patches, of the positions in the weight file, where these are
            not those of a square image.
        seed: of random weights.
        patch_size: of `handcrafted` (default 8) and the stride of a dilated ResNet (16 or 8,
            default 16).
        factory: for `custom`, `package.module:function`. It is called with
            `factory_options` and returns an `Encoder`, or a callable with the attributes
            `patch_size`, `embed_dim` and, if other than ImageNet's, `mean` and `std`.

    Returns:
        The encoder in evaluation mode, on the CPU.

    Raises:
        ValueError: unknown name, an option that this encoder does not have, or weights of another
            network.
        FileNotFoundError: no such weight file, or no weights in the cache and on the hub.
    """
    name, network = _text("name", name), _text("network", network)
    weights = weights if isinstance(weights, Path) else _text("weights", weights)
    spec = None if name in _WITHOUT_SPEC else _find_spec(name)
    given = {
        "weights": None if str(weights) in ("auto", *_RANDOM) else weights,
        "block": block if block != -1 else None,
        "facet": facet if facet != "token" else None,
        "precision": precision if precision != "fp32" else None,
        "drop_path_rate": drop_path_rate or None,
        "network": network if network != "auto" else None,
        "grid": grid,
        "patch_size": patch_size,
        "factory": factory,
        "factory_options": factory_options,
    }
    _check_options(name, _kind(spec) if spec else name, given)
    if spec is None:
        if name == "custom":
            with seeded(seed):
                made = make_custom(factory, factory_options or {}, precision)
            if given["weights"] is not None:
                load_backbone(made, Path(weights).expanduser())
            return made.eval()
        return HandcraftedEncoder(8 if patch_size is None else patch_size).eval()
    path, source = _locate(spec, weights)
    if path is None and grid is not None:
        raise ValueError(f"encoder.grid={list(grid)} is of a weight file, and {name} is random")
    positions = None if grid is None else check_grid(grid)
    loaded = None if path is None else read_checkpoint(path, network, positions)
    if loaded is not None:
        _check_whole(loaded[1], name)
    with seeded(seed):
        if spec.architecture.kind != "ViT":
            stride = 16 if patch_size is None else patch_size
            return build_convolutional(spec, loaded, source, stride, precision).eval()
        vit = build_vit(spec, loaded, positions, drop_path_rate)
    return ViTEncoder(
        vit,
        name=spec.name,
        mean=spec.mean,
        std=spec.std,
        position_rule=spec.position_rule,
        weights=source,
        block=block,
        facet=facet,
        precision=precision,
    ).eval()


def _check_whole(report: CheckpointReport, name: str) -> None:
    """Raise `ValueError` for what STEGO has trained: without its head that is the frozen start."""
    keys = report.dropped
    if any(k.endswith("centroids") for k in keys) and any(_STEGO_HEAD.search(k) for k in keys):
        raise ValueError(
            f"{report.path} holds a head of STEGO, without which {name} is as it was before the "
            "training: load both by encoder=custom "
            "encoder.factory=leopart_kit.methods.stego_encoder:load_stego "
            f"'encoder.factory_options={{weights: {report.path}, name: {name}}}'"
        )


def _text(setting: str, value: object) -> str:
    """A name or path as text: one of digits alone, such as a file called 3, is read as a number."""
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"encoder.{setting}={value!r} must be a text")


def has_option(name: str, option: str) -> bool:
    """True if an option of `load_encoder` is one of the encoder of this name."""
    name = _text("name", name)
    kind = name if name in _WITHOUT_SPEC else _kind(_find_spec(name))
    return option in _OPTIONS[kind]


def _kind(spec: EncoderSpec) -> str:
    dilated = spec.architecture.kind == "ResNet" and not spec.resnet
    return "dilated ResNet" if dilated else spec.architecture.kind


def _check_options(name: str, kind: str, given: dict[str, object]) -> None:
    for option, value in given.items():
        if value is not None and option not in _OPTIONS[kind]:
            raise ValueError(f"{name} has no option {option!r} (it is {value!r}): leave it out")


def _find_spec(name: str) -> EncoderSpec:
    if name in ZOO:
        return ZOO[name]
    if name == "timm":
        raise ValueError(
            "encoder=timm needs the name of a model, for example "
            "encoder.name=vit_base_patch16_224.dino"
        )
    if timm.models.is_model(name):
        try:
            config = timm.get_pretrained_cfg(name, allow_unregistered=True)
        except RuntimeError as error:
            raise ValueError(f"{name}: {error}") from error
        mean, std = (config.mean, config.std) if config else (IMAGENET_MEAN, IMAGENET_STD)
        tagged = name if "." in name or not (config and config.tag) else f"{name}.{config.tag}"
        return EncoderSpec(
            name, tagged, Architecture("ViT", 0, 0, 0), as_triple(mean), as_triple(std)
        )
    if "/" in name or name.endswith(WEIGHT_SUFFIXES):
        raise ValueError(
            f"encoder {name!r} is a file of weights: name its network as the encoder, such as "
            "dinov2_vits14, and give the file as its weights"
        )
    near = close_names(name, (*list_encoders(), *timm.list_models("*vit*")))
    raise ValueError(unknown_choice("encoder", name, near or list_encoders()))


def _locate(spec: EncoderSpec, weights: str | Path) -> tuple[Path | None, str]:
    """Weight file (`None` for random weights) and its description."""
    if str(weights) in _RANDOM or (str(weights) == "auto" and spec.is_random):
        return None, "random"
    if str(weights) == "auto" and spec.shipped:
        return shipped_weights(spec.shipped)
    if str(weights) == "auto" and spec.package:
        return package_weights(spec.package, spec.name)
    if str(weights) == "auto":
        return hub_weights(spec.timm_name if spec.on_timm_hub else None, spec.name, spec.release)
    return Path(weights).expanduser(), str(weights)


def as_encoder(given: EncoderLike) -> Encoder:
    """The encoder that is meant.

    Args:
        given: an encoder; a name, see `load_encoder`; a folder of `save_pretrained`, or its
            `organisation/name` on the Hugging Face hub; a plain vision transformer of timm, at any
            image size; or any other network or function that gives patch tokens, see
            `Encoder.from_module`.

    Raises:
        ValueError: an unknown name, or a network whose patch tokens are not found; says what to
            do.
        FileNotFoundError: no weights in the cache and on the hub.
    """
    if isinstance(given, Encoder):
        return given
    if isinstance(given, (str, Path)):
        return _named(str(given))
    if isinstance(given, (VisionTransformer, Eva)):
        return _of_timm(given)
    return Encoder.from_module(given)


def _named(name: str) -> Encoder:
    path = Path(name).expanduser()
    if path.suffix and path.is_file():
        raise ValueError(
            f"{name} is a file of weights: say whose, as load_encoder('dino_vits16', {name!r})"
        )
    if path.is_dir() or name.count("/") == 1:
        return Encoder.from_pretrained(name)
    return load_encoder(name)


def _of_timm(network: TimmModule) -> Encoder:
    """A plain transformer behind the whole contract; one with other parts as any network."""
    config = getattr(network, "pretrained_cfg", None) or {}
    parts = (config.get("architecture"), config.get("tag"))
    name = ".".join(part for part in parts if part) or type(network).__name__
    try:
        return ViTEncoder(
            network,
            name=name,
            mean=as_triple(config.get("mean", IMAGENET_MEAN)),
            std=as_triple(config.get("std", IMAGENET_STD)),
            weights="given",
        )
    except ValueError:
        return Encoder.from_module(network)
