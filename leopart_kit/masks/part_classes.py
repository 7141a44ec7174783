"""The classes of exported masks: clusters or communities, merged by name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from leopart_kit.data.palettes import cluster_palette
from leopart_kit.masks.part_model import PartModel
from leopart_kit.whole_file import whole_file

Level = Literal["parts", "objects"]
BACKGROUND = "background"


class MaskClass(NamedTuple):
    """A class of masks: `id` from 1 up, a colour (R, G, B), the clusters it is made of."""

    id: int
    name: str
    colour: tuple[int, int, int]
    clusters: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class ClassTable:
    """Classes by rising id, and the class id of each cluster int64 `[K]`, 0 for none.

    Ids have gaps where clusters were merged or dropped, so that an id means the same with whatever
    names.
    """

    classes: tuple[MaskClass, ...]
    of_cluster: np.ndarray

    @property
    def palette(self) -> np.ndarray:
        """Colours by class id, black for 0: uint8 `[highest id + 1, 3]`."""
        colours = np.zeros((self.classes[-1].id + 1, 3), dtype=np.uint8)
        for item in self.classes:
            colours[item.id] = item.colour
        return colours

    def write(self, path: Path) -> None:
        """Write the classes as JSON; raises `OSError`."""
        entries = [item._asdict() for item in self.classes]
        with whole_file(path) as temporary:
            temporary.write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n", "utf-8")


def part_classes(model: PartModel, level: Level = "parts") -> ClassTable:
    """The classes of a model's clusters.

    Clusters with one name are one class, whose id and colour are those of the lowest cluster: id
    k + 1 for cluster k. `part_007` stands for a name that was not given. A class named
    `background` drops out, and so do clusters outside the foreground.

    At the level `objects` the same holds for communities. A community without a name of its own
    takes the name that all its parts share; else it is `object_002`. Parts named `background` and
    those of no community drop out.

    Raises:
        ValueError: no communities in the model, or no class is left.
    """
    keys, names = _parts(model) if level == "parts" else _objects(model)
    members: dict[str, list[int]] = {}
    for cluster in np.flatnonzero(keys >= 0).tolist():
        name = names[int(keys[cluster])]
        if name.lower() != BACKGROUND:
            members.setdefault(name, []).append(cluster)
    if not members:
        raise ValueError(
            f"no class is left to export: all {model.num_clusters} clusters are background or "
            "belong to no object; name fewer of them background, or export other clusters"
        )
    colours = cluster_palette(int(keys.max()) + 1)
    classes = []
    of_cluster = np.zeros(model.num_clusters, dtype=np.int64)
    for name, clusters in members.items():
        first = int(keys[clusters].min())
        red, green, blue = colours[first].tolist()
        of_cluster[clusters] = first + 1
        classes.append(MaskClass(first + 1, name, (red, green, blue), tuple(clusters)))
    return ClassTable(tuple(sorted(classes)), of_cluster)


def _parts(model: PartModel) -> tuple[np.ndarray, Sequence[str]]:
    """Each cluster for itself, -1 outside the foreground; and the names of all."""
    clusters = np.arange(model.num_clusters)
    given = model.names.parts
    names = [given.get(cluster, f"part_{cluster:03d}") for cluster in clusters.tolist()]
    return np.where(model.foreground, clusters, -1), names


def _objects(model: PartModel) -> tuple[np.ndarray, Sequence[str]]:
    """The community of each cluster, -1 for none and background; and the names of all."""
    if model.communities is None:
        raise ValueError(
            "the model knows parts but no objects; set export.level=parts, or make a new model "
            "with export.level=objects"
        )
    part_names = [model.names.parts.get(cluster) for cluster in range(model.num_clusters)]
    dropped = [name is not None and name.lower() == BACKGROUND for name in part_names]
    keys = np.where(model.foreground & ~np.array(dropped), model.communities, -1)
    names = []
    for community in range(model.num_communities):
        shared = {part_names[cluster] for cluster in np.flatnonzero(keys == community)}
        only = shared.pop() if len(shared) == 1 else None
        names.append(model.names.objects.get(community) or only or f"object_{community:03d}")
    return keys, names
