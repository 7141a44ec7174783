"""parts.html: one self-contained page on which a person names the parts that were found."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from leopart_kit.masks.part_classes import BACKGROUND
from leopart_kit.masks.part_names import PartNames
from leopart_kit.report.page import Script, page_environment
from leopart_kit.report.pictures import css_colour
from leopart_kit.report.results_json import writable_output_dir
from leopart_kit.whole_file import write_whole_text

PAGE_NAME = "parts.html"

_CROP_SIDE = 96  # pixels; 300 parts with 12 crops each make a page of less than 10 MB
_QUALITY = 68
_FADED = 150  # grey level that stands out against neither a light nor a dark page


@dataclass(frozen=True, eq=False)
class PartView:
    """A cluster, or a community of clusters, as the page shows it.

    Attributes:
        id: number of the cluster or the community.
        colour: uint8 `[3]`, its colour in every picture (`cluster_palette`).
        share: percent of all patches that belong to it.
        num_images: images it occurs in.
        best, uncertain: crops, uint8 RGB `[h, w, 3]` (see `part_crop`), the most telling first.
        kind: `part` for a cluster, `object` for a community.
        community: the object that a part belongs to, if any.
        suggested_name: offered beside the text field, not filled in.
    """

    id: int
    colour: np.ndarray
    share: float
    num_images: int
    best: Sequence[np.ndarray]
    uncertain: Sequence[np.ndarray] = ()
    kind: Literal["part", "object"] = "part"
    community: int | None = None
    suggested_name: str | None = None

    @property
    def key(self) -> str:
        """Its key in `names.json`."""
        return str(self.id) if self.kind == "part" else f"object_{self.id:03d}"

    @property
    def title(self) -> str:
        """Title on the page as long as there is no name."""
        return f"{self.kind.capitalize()} {self.id}"


def write_naming_page(
    parts: Sequence[PartView],
    path: str | Path,
    *,
    model_id: str,
    title: str,
    names: PartNames | None = None,
) -> Path:
    """Write the page and return its path.

    It works from the file system, without server or network. What is typed is kept in the
    browser's storage under the model's id, goes before `names`, and leaves the page as a
    `names.json` for `read_names`.

    Args:
        parts: in the order in which they are shown.
        path: the file; its folder is created.
        model_id: fingerprint of the model; another model's page shares no names with it.
        title: what the parts were found in.
        names: names to start with; those of parts not on the page are kept and written out again.

    Raises:
        ValueError: no part, the same part twice, or a folder that cannot be written.
        OSError: the page cannot be written; carries its name.
    """
    path = Path(path)
    html = render_naming_page(parts, model_id=model_id, title=title, names=names)
    writable_output_dir(path.parent)
    write_whole_text(path, html)
    return path


def render_naming_page(
    parts: Sequence[PartView], *, model_id: str, title: str, names: PartNames | None = None
) -> str:
    """The page of `write_naming_page` as text."""
    keys = [part.key for part in parts]
    if not keys:
        raise ValueError("no part to name: the page needs at least one")
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"part {twice!r} is given twice; every part must come once")
    return (
        page_environment()
        .get_template("naming.html")
        .render(
            parts=[_view(part) for part in parts],
            model_id=model_id,
            title=title,
            names=json.loads((names or PartNames()).to_json()),
            background=BACKGROUND,
            scripts=[Script.read("naming.js")],
        )
    )


def part_crop(
    image: np.ndarray, labels: np.ndarray, row: int, column: int, context: int = 3
) -> np.ndarray:
    """The image around a patch, with everything that is not of its cluster faded.

    Args:
        image: uint8 RGB `[H, W, 3]`.
        labels: integers `[h, w]`, the cluster of each patch.
        row, column: the patch.
        context: how many patches to show on each side of it.

    Returns:
        uint8 RGB `[n, m, 3]`, up to 2 · context + 1 patches a side; moved inwards at the border
        of the image.
    """
    spans = [
        _span(place, context, patches, pixels)
        for place, patches, pixels in zip((row, column), labels.shape, image.shape, strict=False)
    ]
    rows, columns = (np.arange(*span) for span in spans)
    patch_rows = rows * labels.shape[0] // image.shape[0]
    patch_columns = columns * labels.shape[1] // image.shape[1]
    own = labels[patch_rows[:, None], patch_columns] == labels[row, column]
    crop = image[rows[:, None], columns]
    faded = 0.3 * crop.mean(axis=-1, keepdims=True) + 0.7 * _FADED
    return np.where(own[..., None], crop, faded).astype(np.uint8)


def _span(place: int, context: int, patches: int, pixels: int) -> tuple[int, int]:
    """First and last pixel + 1 of the window along one side of the image."""
    size = min(2 * context + 1, patches)
    first = min(max(place - context, 0), patches - size)
    start, stop = first * pixels // patches, (first + size) * pixels // patches
    return start, max(stop, start + 1)


def _view(part: PartView) -> dict[str, Any]:
    return {
        "part": part,
        "colour": css_colour(np.asarray(part.colour, dtype=np.uint8)),
        "groups": [
            (caption, [_crop_uri(crop) for crop in crops])
            for caption, crops in (("Most typical", part.best), ("Least certain", part.uncertain))
            if len(crops)
        ],
    }


def _crop_uri(crop: np.ndarray) -> str:
    picture = Image.fromarray(crop).resize((_CROP_SIDE, _CROP_SIDE), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    picture.save(buffer, format="WEBP", quality=_QUALITY, method=4)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
