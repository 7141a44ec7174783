"""`leopart-style`: paint an image in the manner of another with a network's first layers."""

from __future__ import annotations

import logging
from pathlib import Path

from omegaconf import DictConfig
from PIL import Image
from torch import Tensor

from leopart_kit.cli.build import build_encoder, build_part, choose_device, plain
from leopart_kit.cli.config import keep_settings, run_command
from leopart_kit.data import read_image
from leopart_kit.evaluation import resize_image
from leopart_kit.progress import rich_progress
from leopart_kit.report.filters import first_convolution, write_filters
from leopart_kit.report.output import writable_output_dir
from leopart_kit.style import StyleSettings, stylize
from leopart_kit.whole_file import whole_file

logger = logging.getLogger(__name__)


def style_transfer(config: DictConfig, output_dir: Path) -> None:
    """Write stylised.png, and filters.png where the network has a first convolution."""
    writable_output_dir(output_dir)
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in plain(config.transfer).items()}
    settings = build_part(StyleSettings, "transfer", options)
    device = choose_device(str(config.device))
    if type(config.size) is not int or config.size < 16:
        raise ValueError(f"size must be a whole number of at least 16 pixels, got {config.size!r}")
    content, style = (
        shrink(read_image(Path(config[key]).expanduser()), config.size)
        for key in ("content", "style")
    )
    encoder = build_encoder(config.encoder, config.precision)
    keep_settings(config, output_dir)
    painted = stylize(encoder, content, style, settings, device=device, track=rich_progress)
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
    """Entry point of `leopart-style`."""
    run_command("style_transfer", style_transfer)
