"""`leopart export` as its tests call it, on images of two colours."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image

from leopart_kit.cli.export_masks import main
from tests.cli.command import error_of_command, run_command_line
from tests.evaluation.tiny_data import COLOURS, SIDE

TINY = ("protocol.resolution=[32,32]", "export.upsampling=nearest")
COLOURS_OF_PATCHES = ("encoder=custom", "encoder.factory=tests.cli.mean_colours:mean_colours")
ALL = "export.formats=[png,coco_rle,coco_polygons,panoptic,labelme,yolo]"
FOUR = "protocol.num_clusters=4"


def arguments(*overrides: str) -> list[str]:
    """The overrides after those of a run that takes a fraction of a second on colours."""
    fixed = any(text.startswith("model=") for text in overrides)
    encoder = () if any(text.startswith("encoder=") for text in overrides) else COLOURS_OF_PATCHES
    tiny = [text for text in TINY if not (fixed and text.startswith("protocol."))]
    return [*tiny, *encoder, *overrides]


def export(*overrides: str) -> None:
    run_command_line(main, "leopart export", arguments(*overrides))


def error_of(*overrides: str) -> str:
    return error_of_command(main, "leopart export", arguments(*overrides))


def two_colours(top: int, bottom: int, size: tuple[int, int] = (SIDE, SIDE)) -> Image.Image:
    """An image of one colour of `COLOURS` above another."""
    ids = np.full(size, bottom)
    ids[: size[0] // 2] = top
    return Image.fromarray(COLOURS[ids])


def write_images(folder: Path) -> Path:
    """Four images of four colours, three of them with one stem in three folders."""
    for index, name in enumerate(["a.png", "b.png", "x/a.png", "y/z/a.png"]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        two_colours(index, (index + 1) % 4).save(folder / name)
    return folder


def labels_of(out: Path, name: str) -> np.ndarray:
    with Image.open(out / "masks" / f"{name}.png") as mask:
        return np.array(mask)


def class_of_colour(out: Path) -> list[int]:
    """The class of each colour, from the masks of `images`."""
    masks = [labels_of(out, name) for name in ("a", "b", "x/a", "y/z/a")]
    return [int(mask[2, 2]) for mask in masks]


def named_parts(out: Path) -> list[str]:
    """The key of every part on the page, as `names.json` has it."""
    html = (out / "parts.html").read_text(encoding="utf-8")
    return re.findall(r'data-key="([^"]+)"', html)
