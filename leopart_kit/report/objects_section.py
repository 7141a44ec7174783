"""The merging of parts into objects as a section of the page: figures, graph and attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from leopart_kit.data import SegmentationDataset
from leopart_kit.evaluation.result import ObjectView, Result
from leopart_kit.report import wording
from leopart_kit.report.comparison import comparison
from leopart_kit.report.page import Section
from leopart_kit.report.parts_graph import Images, graph_view, resized
from leopart_kit.report.pictures import photo_uri
from leopart_kit.report.sample_view import Panel

_NAMES_SHOWN = 5
_PICTURE_SIDE = 200  # pixels, of the pictures of attention
_HEAT = (255, 150, 30)
_FULL_HEAT = 4.0  # times even attention; noise of an even head is no heat
_FADED = 150
_COLUMNS = {
    "num_clusters": "Parts",
    "edge_threshold": "Edge threshold",
    "markov_time": "Markov time",
    "num_communities": "Objects",
    "stability": "Stability",
    "modularity": "Modularity",
    "coverage": "Coverage",
    "score": "Score",
}


@dataclass(frozen=True)
class AttentionView:
    """Pictures of one image, all of one size: photo, attention of each head, foreground."""

    name: str
    size: tuple[int, int]  # (width, height)
    panels: tuple[Panel, ...]


def objects_section(result: Result, dataset: SegmentationDataset) -> Section:
    """The section of `write_page` on parts and objects; works without ground truth.

    Args:
        result: of the protocol `unsupervised`.
        dataset: holds the images that were measured.

    Raises:
        ValueError: the result holds no objects.
    """
    objects, indices = result.objects, result.image_indices
    if objects is None or indices is None:
        raise ValueError("this result holds no objects; evaluate with protocol=unsupervised")

    def images(row: int) -> np.ndarray:
        return dataset.load_image(int(indices[row])).permute(1, 2, 0).numpy()

    details = result.details
    data = {
        "rows": comparison(result),
        "cost": cost_of_no_labels(details.get("comparison", ())),
        "chosen": chosen_facts(details),
        "tried": tried_table(details.get("tried", ())),
        "foreground": foreground_facts(result),
        "graph": graph_view(result, objects, images),
        "attention": attention_views(result, objects, images),
    }
    return Section("objects", "Parts and objects", "objects.html", data)


def cost_of_no_labels(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Difference of the choice without labels from that by labels; None unless both are there."""
    chosen_by = {
        row["chosen_by"]: row
        for row in rows
        if row.get("kind") == "communities" and row["refinement"] == "none"
    }
    if not {"stability", "labels"} <= chosen_by.keys():
        return None
    without, by_labels = chosen_by["stability"], chosen_by["labels"]
    change = wording.signed(without["miou"] - by_labels["miou"])
    present = wording.signed(without["miou_present"] - by_labels["miou_present"])
    return (
        f"Choosing without labels instead of by the labels of the training images: {change} points "
        f"of mIoU over all classes, {present} over those present."
    )


def chosen_facts(details: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The settings that parts were made and merged by, by their names in words."""
    chosen = details.get("chosen", {})
    facts = [(title, f"{chosen[key]:.3g}") for key, title in _COLUMNS.items() if key in chosen]
    found = [entry["num_communities"] for entry in details.get("communities", ())]
    if len(found) > 1:
        facts.append(("Objects of each seed", ", ".join(map(str, found))))
    return facts


def tried_table(tried: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Heads and cells of the combinations that were tried; None where there was no choice."""
    if len(tried) < 2:
        return None
    columns = {key: title for key, title in _COLUMNS.items() if key in tried[0]}
    cells = [[f"{candidate[key]:.3g}" for key in columns] for candidate in tried]
    return {"heads": list(columns.values()), "rows": cells}


def foreground_facts(result: Result) -> list[tuple[str, str]]:
    """The foreground, and its fit and that of the outlines to the ground truth."""
    found, total = result.details.get("foreground", {}), len(result.image_names)
    facts = []
    if "jaccard" in found:
        facts = [
            ("Jaccard index of the foreground", f"{wording.rate(found['jaccard'])} %"),
            (
                "Jaccard index of the attention alone",
                f"{wording.rate(found['jaccard_of_attention'])} %",
            ),
        ]
    threshold = result.details.get("chosen", {}).get("foreground_threshold")
    if threshold is not None:
        ious = result.details.get("tried_foreground_iou", {})
        best = f"; IoU {wording.rate(max(ious.values()))} % on training images" if ious else ""
        facts.append(
            (
                "Foreground clusters",
                f"{found['clusters']}, by {threshold:.2f} inside attention{best}",
            )
        )
    if found:
        empty = found["images_without_foreground"]
        facts += [
            ("Share of all patches", wording.share(100 * found["share_of_patches"])),
            ("Images without foreground", _names(empty)),
            ("Images in doubt", f"{found['images_in_doubt']} of {total}"),
        ]
    boundary = result.details.get("boundary")
    if boundary:
        precision, recall = wording.rate(boundary["precision"]), wording.rate(boundary["recall"])
        facts.append(
            (
                "Boundary F-measure",
                f"{wording.rate(boundary['f_measure'])} % (precision {precision}, recall {recall})",
            )
        )
    return facts


def _names(names: Sequence[str]) -> str:
    """The number, and the first of them by name."""
    if not names:
        return "none"
    more = ", …" if len(names) > _NAMES_SHOWN else ""
    return f"{len(names)}: {', '.join(names[:_NAMES_SHOWN])}{more}"


def attention_views(result: Result, objects: ObjectView, images: Images) -> list[AttentionView]:
    """The images of `ObjectView.attention`, in the order of the result."""
    views = []
    for row, heads in sorted(objects.attention.items()):
        image = images(row)
        scale = min(1.0, _PICTURE_SIDE / max(image.shape[:2]))
        height, width = (max(1, round(side * scale)) for side in image.shape[:2])
        photo = resized(image, height, width)
        name = result.image_names[row]
        panels = [Panel("Image", f"Photo {name}", photo_uri(photo))]
        for number, attention in enumerate(heads, start=1):
            alt = f"Attention of head {number} on {name}"
            panels.append(Panel(f"Head {number}", alt, photo_uri(heated(photo, attention))))
        mask = objects.foreground[row]
        alt = f"Foreground of {name}: {100 * mask.mean():.0f} % of the patches"
        panels.append(Panel("Foreground", alt, photo_uri(faded(photo, mask))))
        views.append(AttentionView(name, (width, height), tuple(panels)))
    return views


def heated(photo: np.ndarray, attention: np.ndarray) -> np.ndarray:
    """The photo in grey with attention `[h, w]` as heat upon it.

    Full heat is the largest value; where none is far from even attention, 1, it is `_FULL_HEAT`.
    """
    values = attention.astype(np.float32)
    heat = _stretched(values / max(float(values.max()), _FULL_HEAT), photo.shape)[..., None]
    grey = 0.8 * photo.mean(axis=-1, keepdims=True)
    return (grey * (1 - heat) + np.array(_HEAT) * heat).astype(np.uint8)


def faded(photo: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The photo with what lies outside of a mask `[h, w]` faded, as in the crops of parts."""
    outside = 0.3 * photo.mean(axis=-1, keepdims=True) + 0.7 * _FADED
    inside = _stretched(mask, photo.shape)[..., None]
    return np.where(inside, photo, outside).astype(np.uint8)


def _stretched(values: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Each patch as a rectangle of the size of its share of the picture."""
    rows = np.arange(shape[0]) * values.shape[0] // shape[0]
    columns = np.arange(shape[1]) * values.shape[1] // shape[1]
    return values[rows[:, None], columns]
