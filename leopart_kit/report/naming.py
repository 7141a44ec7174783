"""parts.html: one self-contained page on which a person names the parts that were found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from leopart_kit.masks.part_classes import BACKGROUND
from leopart_kit.masks.part_names import PartNames
from leopart_kit.report.page import Script, page_environment
from leopart_kit.report.part_crops import Crop, PartPhoto
from leopart_kit.report.part_likeness import alike_order, alike_pairs
from leopart_kit.report.pictures import bytes_text, css_colour
from leopart_kit.report.results_json import writable_output_dir
from leopart_kit.whole_file import write_whole_text

PAGE_NAME = "parts.html"

_SCRIPTS = ("naming_state.js", "naming_photo.js", "naming.js")


@dataclass(frozen=True, eq=False)
class PartView:
    """A cluster, or a community of clusters, as the page shows it.

    Attributes:
        id: number of the cluster or the community.
        colour: uint8 `[3]`, its colour in every picture (`cluster_palette`).
        share: percent of all patches that belong to it.
        images: integers `[n]`, the images it occurs in.
        best, uncertain: its crops, the most telling first.
        feature: float `[d]`, the mean of its patches, by which parts are alike; or None.
        kind: `part` for a cluster, `object` for a community.
        community: the object that a part belongs to, if any.
        suggested_name: offered beside the text field, not filled in.
    """

    id: int
    colour: np.ndarray
    share: float
    images: np.ndarray
    best: Sequence[Crop]
    uncertain: Sequence[Crop] = ()
    feature: np.ndarray | None = None
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
    photos: Mapping[int, PartPhoto] | None = None,
) -> Path:
    """Write the page and return its path.

    It works from the file system, without server or network. What is typed is kept in the
    browser's storage under the model's id, goes before `names`, and leaves the page as a
    `names.json` for `read_names`. Merged parts have one name there.

    Args:
        parts: in the order in which they are shown.
        path: the file; its folder is created.
        model_id: fingerprint of the model; another model's page shares no names with it.
        title: what the parts were found in.
        names: names to start with; those of parts not on the page are kept and written out again.
        photos: whole photographs of the crops, by the index of the image.

    Raises:
        ValueError: no part, the same part twice, or a folder that cannot be written.
        OSError: the page cannot be written; carries its name.
    """
    path = Path(path)
    html = render_naming_page(parts, model_id=model_id, title=title, names=names, photos=photos)
    writable_output_dir(path.parent)
    write_whole_text(path, html)
    return path


def render_naming_page(
    parts: Sequence[PartView],
    *,
    model_id: str,
    title: str,
    names: PartNames | None = None,
    photos: Mapping[int, PartPhoto] | None = None,
) -> str:
    """The page of `write_naming_page` as text."""
    keys = [part.key for part in parts]
    if not keys:
        raise ValueError("no part to name: the page needs at least one")
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"part {twice!r} is given twice; every part must come once")
    photos = photos or {}
    return (
        page_environment()
        .get_template("naming.html")
        .render(
            parts=[_view(part, photos) for part in parts],
            facts=_facts(parts, photos),
            kind=parts[0].kind,
            model_id=model_id,
            title=title,
            names=json.loads((names or PartNames()).to_json()),
            background=BACKGROUND,
            scripts=[Script.read(*_SCRIPTS)],
        )
    )


def _view(part: PartView, photos: Mapping[int, PartPhoto]) -> dict[str, Any]:
    return {
        "part": part,
        "colour": css_colour(np.asarray(part.colour, dtype=np.uint8)),
        "groups": [
            (caption, [(crop, crop.image if crop.image in photos else "") for crop in crops])
            for caption, crops in (("Most typical", part.best), ("Least certain", part.uncertain))
            if len(crops)
        ],
    }


def _facts(parts: Sequence[PartView], photos: Mapping[int, PartPhoto]) -> dict[str, Any]:
    """Everything that the scripts know beyond the page's own text, as JSON."""
    seen = sorted({int(image) for part in parts for image in part.images})
    place = {image: index for index, image in enumerate(seen)}
    order, pairs = list(range(len(parts))), []
    features = [part.feature for part in parts if part.feature is not None]
    if len(features) == len(parts):
        order = alike_order(np.stack(features))
        pairs = alike_pairs(np.stack(features))
    return {
        "shares": {part.key: round(float(part.share), 5) for part in parts},
        "images": {part.key: _bits([place[int(i)] for i in part.images]) for part in parts},
        "num_images": len(seen),
        "alike_order": [parts[index].key for index in order],
        "alike_pairs": [[parts[a].key, parts[b].key, round(value, 3)] for a, b, value in pairs],
        "ids": {str(part.id): part.key for part in parts},
        "colours": {part.key: css_colour(np.asarray(part.colour, np.uint8)) for part in parts},
        "photos": {str(image): photo.facts() for image, photo in photos.items()},
    }


def _bits(places: Sequence[int]) -> str:
    """A set of small numbers as the text of a bit field, bit 0 first."""
    field = np.zeros(max(places, default=-1) + 1, dtype=bool)
    field[list(places)] = True
    return bytes_text(np.packbits(field, bitorder="little"))
