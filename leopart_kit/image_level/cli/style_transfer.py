"""`leopart style`: paint an image in the manner of another with a network's first layers."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

from omegaconf import DictConfig
from PIL import Image
from pydantic import Field
from torch import Tensor

from leopart_kit.backbones.encoder_settings import EncoderSettings
from leopart_kit.cli.build import build_encoder
from leopart_kit.cli.commands import Precision, read_command
from leopart_kit.cli.config import keep_settings, run_command
from leopart_kit.data import read_image
from leopart_kit.evaluation import resize_image
from leopart_kit.evaluation.task import choose_device
from leopart_kit.image_level.report.filters import first_convolution, write_filters
from leopart_kit.image_level.style import StyleSettings, stylize
from leopart_kit.progress import rich_progress
from leopart_kit.report.results_json import writable_output_dir
from leopart_kit.settings import Group, PathText, Text, settings
from leopart_kit.whole_file import whole_file

logger = logging.getLogger(__name__)


@settings
class StyleCommand:
    """Paint one image in the manner of another with a network's first layers."""

    encoder: Annotated[EncoderSettings, Group()]
    content: PathText
    """Image to paint."""
    style: PathText
    """Image whose manner it takes over."""
    size: Annotated[int, Field(ge=16)] = 320
    """Longer side of both in pixels."""
    output_dir: Text = "outputs/style/${now:%Y-%m-%d_%H-%M-%S}"
    """Folder of everything that the run writes."""
    device: Text = "auto"
    """auto, cpu, cuda, cuda:1, …"""
    precision: Precision = "fp32"
    """Of the encoder; bf16 by autocast."""
    transfer: StyleSettings = Field(default_factory=StyleSettings)
    """Objective that the pixels are changed for."""


PART = StyleCommand


def style_transfer(config: DictConfig, output_dir: Path) -> None:
    """Write stylised.png, and filters.png where the network has a first convolution."""
    command = read_command(StyleCommand, config)
    writable_output_dir(output_dir)
    device = choose_device(command.device)
    content, style = (
        shrink(read_image(Path(file).expanduser()), command.size)
        for file in (command.content, command.style)
    )
    encoder = build_encoder(config.encoder, command.precision)
    keep_settings(config, output_dir)
    painted = stylize(encoder, content, style, command.transfer, device=device, track=rich_progress)
    path = output_dir / "stylised.png"
    with whole_file(path) as temporary:
        Image.fromarray(painted.permute(1, 2, 0).numpy()).save(temporary, format="PNG")
    logger.info("image: %s", path)
    if first_convolution(encoder) is not None:
        logger.info("filters: %s", write_filters(encoder, output_dir / "filters.png"))


def shrink(image: Tensor, longest: int) -> Tensor:
    """The image with its longer side at most `longest` pixels."""
    height, width = image.shape[1:]
    scale = min(1.0, longest / max(height, width))
    return resize_image(image, (max(1, round(height * scale)), max(1, round(width * scale))))


def main() -> None:
    """Entry point of `leopart style`."""
    run_command("style_transfer", style_transfer)
