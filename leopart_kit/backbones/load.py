"""From a name to a ready encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import timm
from torch import Tensor, nn

from leopart_kit.backbones.alexnet import AlexNetEncoder
from leopart_kit.backbones.architecture import Architecture, describe
from leopart_kit.backbones.attention import TimmModule
from leopart_kit.backbones.checkpoints import CheckpointReport, read_checkpoint
from leopart_kit.backbones.custom import custom_encoder
from leopart_kit.backbones.encoder import IMAGENET_MEAN, IMAGENET_STD, Encoder, as_triple
from leopart_kit.backbones.handcrafted import HandcraftedEncoder
from leopart_kit.backbones.package_file import package_weights
from leopart_kit.backbones.position_embedding import Grid, check_grid, stored_grid
from leopart_kit.backbones.precision import Precision
from leopart_kit.backbones.residual_network import ResidualNetwork
from leopart_kit.backbones.resnet import DilatedResNet, ResNetEncoder
from leopart_kit.backbones.vit import Facet, ViTEncoder
from leopart_kit.backbones.weights import hub_weights, seeded, shipped_weights
from leopart_kit.backbones.zoo import ZOO, EncoderSpec, close_names, list_encoders, names_that_fit

Loaded = tuple[dict[str, Tensor], CheckpointReport]

_RANDOM = ("random", "none")
_WITHOUT_WEIGHTS = ("handcrafted", "custom")
_OPTIONS = {
    "ViT": {"weights", "block", "facet", "precision", "drop_path_rate", "network", "grid"},
    "dilated ResNet": {"weights", "precision", "network", "patch_size"},
    "ResNet": {"weights", "precision", "network"},
    "AlexNet": {"weights", "precision", "network"},
    "handcrafted": {"patch_size"},
    "custom": {"factory", "factory_options"},
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
            file in any layout that `read_checkpoint` knows, or `random` (also `none`).
        block: of a vision transformer, -1 the last.
        facet: of that block, `token` (its output) or `key`, `query`, `value` (of its attention).
        precision: `fp32`, or `bf16` for autocast (tokens are float32 either way).
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
    spec = None if name in _WITHOUT_WEIGHTS else _find_spec(name)
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
            return custom_encoder(factory, factory_options or {}).eval()
        return HandcraftedEncoder(8 if patch_size is None else patch_size).eval()
    path, source = _locate(spec, weights)
    if path is None and grid is not None:
        raise ValueError(f"encoder.grid={list(grid)} is of a weight file, and {name} is random")
    positions = None if grid is None else check_grid(grid)
    loaded = None if path is None else read_checkpoint(path, network, positions)
    with seeded(seed):
        if spec.architecture.kind != "ViT":
            stride = 16 if patch_size is None else patch_size
            return _convolutional(spec, loaded, source, stride, precision).eval()
        vit = _build_vit(spec, loaded, positions, drop_path_rate)
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


def _text(setting: str, value: object) -> str:
    """A name or path as text: one of digits alone, such as a file called 3, is read as a number."""
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"encoder.{setting}={value!r} must be a text")


def takes_patch_size(name: str) -> bool:
    """True if `patch_size` is an option of the encoder of this name."""
    kind = name if name in _WITHOUT_WEIGHTS else _kind(_find_spec(name))
    return "patch_size" in _OPTIONS[kind]


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
    candidates = (*list_encoders(), *timm.list_models("*vit*"))
    raise ValueError(f"unknown encoder {name!r}: {close_names(name, candidates)}")


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


def _convolutional(
    spec: EncoderSpec, loaded: Loaded | None, source: str, stride: int, precision: Precision
) -> Encoder:
    """A ResNet or an AlexNet; the stride is that of a dilated ResNet."""
    common: dict[str, Any] = {
        "name": spec.name,
        "mean": spec.mean,
        "std": spec.std,
        "precision": precision,
        "weights": source,
    }
    if spec.architecture.kind == "AlexNet":
        encoder = AlexNetEncoder(**common)
        network = encoder.convolutions
    elif spec.resnet:
        network = ResidualNetwork(**spec.resnet)
        encoder = ResNetEncoder(
            network, embed_dim=network.embed_dim, patch_size=network.stride, **common
        )
    else:
        encoder = DilatedResNet(stride=stride, **common)
        network = encoder.resnet
    if loaded is not None:
        _fill(network, spec, *loaded)
    return encoder


def _build_vit(
    spec: EncoderSpec, loaded: Loaded | None, grid: Grid | None, drop_path_rate: float
) -> TimmModule:
    """The timm network without classifier, at the checkpoint's own grid and with its weights."""
    timm_name = spec.timm_name
    if loaded is not None and any(key.endswith("attn.q_bias") for key in loaded[0]):
        timm_name = timm_name.replace("_dinov3.", "_dinov3_qkvb.")
    vit = _create(timm_name, spec, drop_path_rate)
    for head in ("head", "head_dist", "fc_norm", "attn_pool"):
        if isinstance(getattr(vit, head, None), nn.Module):
            setattr(vit, head, nn.Identity())
    if loaded is not None:
        _match_grid(vit, *loaded, grid)
        _fill(vit, spec, *loaded)
    return vit


def _create(timm_name: str, spec: EncoderSpec, drop_path_rate: float) -> TimmModule:
    options: dict[str, Any] = {"dynamic_img_size": True, **spec.timm_options}
    try:
        return timm.create_model(
            timm_name, pretrained=False, num_classes=0, drop_path_rate=drop_path_rate, **options
        )
    except Exception as error:  # each class of timm refuses in its own way what it does not have
        raise ValueError(
            f"{timm_name} is no plain vision transformer ({' '.join(str(error).split())}): wrap it "
            "with encoder=custom"
        ) from error


def _match_grid(
    vit: TimmModule, state: dict[str, Tensor], report: CheckpointReport, given: Grid | None
) -> None:
    """Give the network the grid of the file, so that no position is resampled while loading."""
    position = state.get("pos_embed")
    if position is None or getattr(vit, "pos_embed", None) is None:
        if given is not None:
            raise ValueError(f"{report.path}: no positions of a grid in it; leave encoder.grid out")
        return
    prefix = 0 if vit.no_embed_class else vit.num_prefix_tokens
    try:
        grid = stored_grid(position.shape[1], prefix, given)
    except ValueError as error:
        raise ValueError(f"{report.path}: {error}") from error
    if grid != tuple(vit.patch_embed.grid_size):
        patch = vit.patch_embed.patch_size[0]
        vit.set_input_size(img_size=(grid[0] * patch, grid[1] * patch))


def _fill(
    network: nn.Module, spec: EncoderSpec, state: dict[str, Tensor], report: CheckpointReport
) -> None:
    """Copy a state dict into a network of the same architecture; every weight must be in it."""
    own = network.state_dict()
    wanted, found = describe(own), report.architecture
    if found != wanted:
        names = names_that_fit(found)
        advice = f"use encoder={' or '.join(names)}" if names else "no named encoder fits it"
        raise ValueError(
            f"{report.path} holds {found}, but {spec.name} is {wanted}: {advice}, or give "
            "another file"
        )
    counters = {key for key in own if key.endswith("num_batches_tracked")}
    missing = [key for key in own if key not in state and key not in counters]
    if missing:
        raise ValueError(
            f"{report.path}: {len(missing)} backbone keys of {spec.name} are missing: "
            f"{', '.join(missing[:12])}{' ...' if len(missing) > 12 else ''}"
        )
    shapes = [k for k in own if k in state and own[k].shape != state[k].shape]
    if shapes:
        raise ValueError(
            f"{report.path}: {shapes[0]} has shape {list(state[shapes[0]].shape)}, {spec.name} "
            f"needs {list(own[shapes[0]].shape)}"
        )
    extra = [key for key in state if key not in own and not key.startswith("fc_norm.")]
    if extra:
        raise ValueError(
            f"{report.path}: {spec.name} has no place for {len(extra)} backbone keys of the file: "
            f"{', '.join(extra[:12])}"
        )
    network.load_state_dict({k: v for k, v in state.items() if k in own}, strict=False)
