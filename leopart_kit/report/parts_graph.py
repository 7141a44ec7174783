"""The graph of parts as a drawing: where each part lies, how thick its edges are, how it looks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np
from PIL import Image
from scipy.ndimage import uniform_filter

from leopart_kit.data.palettes import cluster_palette
from leopart_kit.evaluation.result import ObjectView, Result
from leopart_kit.report.part_crops import part_crop
from leopart_kit.report.pictures import css_colour, photo_uri

Images = Callable[[int], np.ndarray]
"""From the row of an image in a result to the image, uint8 RGB `[H, W, 3]`."""

_THUMBNAIL_SIDE = 54  # pixels as stored; drawn at 36, so sharp on denser screens too
_CONTEXT = 6  # patches around the middle one
_APART = 46  # pixels between the centres of two nodes at least
_MARGIN = 28
_THINNEST, _THICKEST = 0.75, 5.0
_SPRING_STEPS, _PUSHES = 150, 200
_PULL_OF_ALL, _BETWEEN = 0.5, 0.1
_SEED = 0


@dataclass(frozen=True)
class Node:
    """A part in the drawing; `thumbnail` is None for background, which is drawn as a disc."""

    part: int
    x: float
    y: float
    object: int
    colour: str
    ink: str  # colour of text upon `colour`
    thumbnail: str | None
    title: str


@dataclass(frozen=True)
class Edge:
    """A line between two nodes; `width` in pixels grows with the weight."""

    x1: float
    y1: float
    x2: float
    y2: float
    width: float
    title: str


@dataclass(frozen=True)
class ObjectEntry:
    """An object in the legend; `class_name` is None where the ground truth named none."""

    id: int
    colour: str
    class_name: str | None
    num_parts: int


@dataclass(frozen=True)
class GraphView:
    """The drawing, `width` by `height` pixels, and the number of parts it leaves out."""

    width: int
    height: int
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    objects: tuple[ObjectEntry, ...]
    num_parts: int
    num_unconnected: int


def graph_view(result: Result, objects: ObjectView, images: Images) -> GraphView:
    """The parts that have an edge, as nodes with a picture of each; parts without are counted."""
    num_parts = len(objects.object_of_part) - 1
    edges = [edge for edge in objects.edges if edge[0] != edge[1]]
    drawn = sorted({part for i, j, _ in edges for part in (i, j)})
    where = spread_out(edges, drawn, objects.object_of_part[drawn])
    places = dict(zip(drawn, where, strict=True))
    width, height = (
        int(max(xy[axis] for xy in places.values())) if places else 0 for axis in (0, 1)
    )
    return GraphView(
        width=width + _MARGIN,
        height=height + _MARGIN,
        nodes=_nodes(result, objects, images, places),
        edges=_edges(edges, places),
        objects=_legend(result, objects, drawn),
        num_parts=num_parts,
        num_unconnected=num_parts - len(set(drawn) - {0}),
    )


def spread_out(
    edges: Sequence[tuple[int, int, float]], parts: Sequence[int], groups: np.ndarray
) -> np.ndarray:
    """Places in pixels of parts `[n, 2]`: near each other where edges are heavy, none on another.

    Springs (Fruchterman & Reingold 1991) from a fixed start, weaker between the groups `[n]`; then
    nodes that touch are pushed apart. The same graph is always drawn alike.
    """
    if not parts:
        return np.zeros((0, 2))
    row = {part: index for index, part in enumerate(parts)}
    # A weak pull between all keeps the pieces of a graph together that has several.
    pull = np.full((len(parts), len(parts)), _PULL_OF_ALL / len(parts))
    heaviest = max(weight for _, _, weight in edges)
    for i, j, weight in edges:
        a, b = row[i], row[j]
        strength = (weight / heaviest) ** 0.5  # few edges are heavy by far
        pull[a, b] = pull[b, a] = strength if groups[a] == groups[b] else _BETWEEN * strength
    np.fill_diagonal(pull, 0)
    springs = nx.spring_layout(
        nx.from_numpy_array(pull), iterations=_SPRING_STEPS, seed=_SEED, method="force"
    )
    places = np.array([springs[index] for index in range(len(parts))])
    extent = np.ptp(places, axis=0).max(initial=1e-9)
    places = _pushed_apart(places / extent * _APART * 1.5 * len(parts) ** 0.5)
    return places - places.min(axis=0) + _MARGIN


def _pushed_apart(places: np.ndarray) -> np.ndarray:
    """The places moved until no two are nearer than `_APART`, or the pushes are used up."""
    # Two nodes in one place have no direction to part in.
    places = places + np.random.default_rng(_SEED).normal(0, 1e-3, places.shape)
    for _ in range(_PUSHES):
        gaps = places[:, None] - places[None]
        distances = np.linalg.norm(gaps, axis=-1)
        np.fill_diagonal(distances, np.inf)
        missing = np.maximum(_APART - distances, 0)
        if missing.max() < 0.5:
            break
        places = places + (gaps / distances[..., None] * missing[..., None]).sum(axis=1) * 0.5
    return places


def _edges(
    edges: Sequence[tuple[int, int, float]], places: dict[int, np.ndarray]
) -> tuple[Edge, ...]:
    """Lines, the heaviest last and so on top."""
    heaviest = max((weight for _, _, weight in edges), default=1.0)
    return tuple(
        Edge(
            *(round(float(value), 1) for value in (*places[i], *places[j])),
            width=round(_THINNEST + (_THICKEST - _THINNEST) * weight / heaviest, 2),
            title=f"{_part_name(i)} and {_part_name(j)}: {weight:.3f}",
        )
        for i, j, weight in sorted(edges, key=lambda edge: edge[2])
    )


def _nodes(
    result: Result,
    objects: ObjectView,
    images: Images,
    places: dict[int, np.ndarray],
) -> tuple[Node, ...]:
    colours = object_colours(objects)
    names = class_names(result, objects)
    counts = part_counts(objects)
    crops = thumbnails(objects, images, counts, [part for part in places if part])
    nodes = []
    for part, (x, y) in places.items():
        item = int(objects.object_of_part[part])
        belongs = f"object {item}" if item else "no object"
        named = f" ({names[item]})" if item and names[item] else ""
        share = 100 * counts[:, part].sum() / max(counts.sum(), 1)
        found = int((counts[:, part] > 0).sum())
        nodes.append(
            Node(
                part=part,
                x=round(float(x), 1),
                y=round(float(y), 1),
                object=item,
                colour=css_colour(colours[item]),
                ink=_ink(colours[item]),
                thumbnail=crops.get(part),
                title=f"{_part_name(part)}, {belongs}{named}: {share:.1f} % of all patches, in "
                f"{found} image{'' if found == 1 else 's'}",
            )
        )
    return tuple(nodes)


def _part_name(part: int) -> str:
    return f"part {part}" if part else "background"


def _legend(result: Result, objects: ObjectView, drawn: Sequence[int]) -> tuple[ObjectEntry, ...]:
    """The objects that are drawn, by id."""
    colours, names = object_colours(objects), class_names(result, objects)
    of_drawn = objects.object_of_part[list(drawn)]
    return tuple(
        ObjectEntry(
            id=item,
            colour=css_colour(colours[item]),
            class_name=names[item],
            num_parts=sum(objects.object_of_part[part] == item for part in drawn if part),
        )
        for item in np.unique(of_drawn[of_drawn > 0]).tolist()
    )


def object_colours(objects: ObjectView) -> np.ndarray:
    """uint8 `[objects + 1, 3]`, those that the objects have in the page's pictures of clusters."""
    return cluster_palette(int(objects.object_of_part.max()) + 1)


def class_names(result: Result, objects: ObjectView) -> list[str | None]:
    """Class of each object in the ground truth for the first seed, None for none."""
    number = int(objects.object_of_part.max()) + 1
    if result.matching is None:
        return [None] * number
    classes = next(iter(result.matching.cluster_to_class.values()))
    found = [result.dataset.class_names[c] if c >= 0 else None for c in classes[:number]]
    # An object that is in none of the scored images has not been matched.
    return found + [None] * (number - len(found))


def part_counts(objects: ObjectView) -> np.ndarray:
    """Patches of each part in each image, int64 `[N, K + 1]`."""
    number = len(objects.object_of_part)
    return np.array([np.bincount(found.ravel(), minlength=number) for found in objects.part_maps])


def thumbnails(
    objects: ObjectView, images: Images, counts: np.ndarray, parts: Sequence[int]
) -> dict[int, str]:
    """A picture of each part that occurs, as data URI: where it covers most of an image.

    The crop is around the patch with most of the part about it; each image is read once.
    """
    of_image: dict[int, list[int]] = defaultdict(list)
    for part in parts:
        if counts[:, part].any():
            of_image[int(counts[:, part].argmax())].append(part)
    found = {}
    for row, wanted in of_image.items():
        image = images(row)
        labels = objects.part_maps[row]
        for part in wanted:
            inside = (labels == part).astype(float)
            density = np.where(inside > 0, uniform_filter(inside, 5, mode="constant"), -1)
            place = np.unravel_index(int(density.argmax()), labels.shape)
            crop = part_crop(image, labels, int(place[0]), int(place[1]), _CONTEXT)
            found[part] = photo_uri(resized(crop, _THUMBNAIL_SIDE, _THUMBNAIL_SIDE))
    return found


def resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """uint8 RGB `[H, W, 3]` → `[height, width, 3]`."""
    picture = Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def _ink(colour: np.ndarray) -> str:
    """Black or white, whichever reads better on a colour."""
    luminance = colour.astype(float) @ (0.2126, 0.7152, 0.0722)
    return "#000" if luminance > 130 else "#fff"
