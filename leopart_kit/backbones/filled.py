"""Networks of the zoo and of timm, filled with the weights of a file."""

from __future__ import annotations

from typing import Any

import timm
from torch import Tensor, nn

from leopart_kit.backbones.alexnet import AlexNetEncoder
from leopart_kit.backbones.architecture import describe
from leopart_kit.backbones.attention import TimmModule
from leopart_kit.backbones.checkpoints import CheckpointReport
from leopart_kit.backbones.encoder import Encoder
from leopart_kit.backbones.position_embedding import Grid, stored_grid
from leopart_kit.backbones.precision import Precision
from leopart_kit.backbones.residual_network import ResidualNetwork
from leopart_kit.backbones.resnet import DilatedResNet, ResNetEncoder
from leopart_kit.backbones.zoo import EncoderSpec, names_that_fit

Loaded = tuple[dict[str, Tensor], CheckpointReport]


def build_convolutional(
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


def build_vit(
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
