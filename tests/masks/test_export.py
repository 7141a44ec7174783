"""Every format, read back the way its own tools read it, shows the masks of the PNG."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from leopart_kit.data.palettes import cluster_palette
from leopart_kit.masks import (
    ExportSettings,
    ExportSummary,
    LabelledImage,
    PartNames,
    export_masks,
    part_classes,
)
from leopart_kit.masks.export import Format
from leopart_kit.masks.part_classes import ClassTable
from leopart_kit.masks.regions import Instances
from leopart_kit.masks.written_files import LIST_NAME
from tests.masks.part_models import model_of
from tests.masks.read_exports import (
    masks_of,
    read_coco,
    read_labelme,
    read_panoptic,
    read_png,
    read_yolo,
    worst_overlap,
)

ALL: tuple[Format, ...] = (
    "png",
    "coco_rle",
    "coco_polygons",
    "panoptic",
    "labelme",
    "yolo",
)
NAMES = {1: "left wheel", 3: "left wheel", 0: "background", 5: 'Tür: "x"'}
TABLE = part_classes(model_of(6, names=PartNames(NAMES)))
CLASS_IDS = [0, *(item.id for item in TABLE.classes)]


def photo(folder: Path, name: str, labels: np.ndarray) -> LabelledImage:
    file_name = f"{name}.jpg"
    return LabelledImage(name, folder / "photos" / file_name, file_name, labels)


def blobs(seed: int, size: tuple[int, int]) -> np.ndarray:
    """A label map of smooth borders, with holes and small parts."""
    rng = np.random.default_rng(seed)
    fields = rng.normal(size=(len(CLASS_IDS), *size)).astype(np.float32)
    smooth = [cv2.GaussianBlur(field, (0, 0), 4) for field in fields]
    return np.array(CLASS_IDS)[np.argmax(smooth, axis=0)]


def export(
    folder: Path,
    maps: dict[str, np.ndarray],
    formats: tuple[Format, ...] = ALL,
    table: ClassTable = TABLE,
    **options: Any,
) -> ExportSummary:
    (folder / "photos").mkdir(exist_ok=True)
    out = folder / "out"
    out.mkdir(exist_ok=True)
    images = [photo(folder, name, labels) for name, labels in maps.items()]
    options = {"polygon_tolerance": 0, **options}
    return export_masks(images, len(images), table, out, ExportSettings(formats, **options))


def check_all(folder: Path, maps: dict[str, np.ndarray]) -> None:
    out, expected = folder / "out", masks_of(maps)
    sizes = {name: (labels.shape[0], labels.shape[1]) for name, labels in maps.items()}
    assert worst_overlap(read_png(out), expected) == 1
    assert worst_overlap(read_coco(out / "coco" / "instances.json"), expected) == 1
    assert worst_overlap(read_panoptic(out), expected) == 1
    assert worst_overlap(read_coco(out / "coco" / "instances_polygons.json"), expected) == 1
    for pixels in (np.rint, np.trunc):
        assert worst_overlap(read_labelme(out, TABLE, pixels), expected) >= 0.97
        assert worst_overlap(read_yolo(out, TABLE, sizes, pixels), expected) >= 0.97


@pytest.mark.parametrize("instances", ["components", "whole"])
def test_every_format_reads_back_as_the_png(tmp_path: Path, instances: Instances):
    maps = {
        "a": blobs(0, (60, 90)),
        "trips/rome/a": blobs(1, (75, 50)),  # the same stem in another folder
        "nothing": np.zeros((20, 30), dtype=np.int64),
        "flat": np.full((30, 20), 2),
        "dot": np.array([[6]]),
        "long": blobs(2, (600, 8)),
    }
    summary = export(tmp_path, maps, instances=instances)
    check_all(tmp_path, maps)
    assert (summary.num_images, summary.num_empty) == (6, 1)
    content = json.loads((tmp_path / "out/coco/instances.json").read_text("utf-8"))
    assert summary.num_regions == len(content["annotations"])
    assert [image["file_name"] for image in content["images"]] == [f"{name}.jpg" for name in maps]
    assert len(read_png(tmp_path / "out")) == len(masks_of(maps))
    written = {p.relative_to(tmp_path / "out").as_posix() for p in tmp_path.rglob("out/**/*.png")}
    assert {"masks/trips/rome/a.png", "coco/panoptic/nothing.png"} <= written


@settings(max_examples=25)
@given(
    labels=hnp.arrays(
        np.int64,
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12),
        elements=st.sampled_from(CLASS_IDS),
    )
)
def test_any_label_map_survives(tmp_path_factory: pytest.TempPathFactory, labels: np.ndarray):
    folder = tmp_path_factory.mktemp("export")
    export(folder, {"a": labels})
    check_all(folder, {"a": labels})


def test_small_regions_are_gone_from_every_format(tmp_path: Path):
    maps = {"a": blobs(3, (60, 80))}
    maps["a"][:8, :8] = 0
    maps["a"][5, 5] = 6  # nobody's neighbour
    export(tmp_path, maps, min_area=40)
    expected = read_png(tmp_path / "out")
    kept = np.sum(list(expected.values()), axis=0)
    assert kept.max() == 1
    assert kept[5, 5] == 0
    check_all(tmp_path, {"a": sum(mask * key[1] for key, mask in expected.items())})  # type: ignore


def test_components_are_things_and_whole_classes_stuff(tmp_path: Path):
    maps = {"a": np.array([[2, 0, 2], [0, 0, 0], [3, 3, 3]])}
    export(tmp_path, maps)
    panoptic = json.loads((tmp_path / "out/coco/panoptic.json").read_text())
    assert {category["isthing"] for category in panoptic["categories"]} == {1}
    (annotation,) = panoptic["annotations"]
    assert [segment["category_id"] for segment in annotation["segments_info"]] == [2, 2, 3]
    red, green, blue = TABLE.classes[0].colour
    first = red + 256 * green + 65536 * blue
    assert [s["id"] for s in annotation["segments_info"]][:2] == [first, first + 1]
    labelme = json.loads((tmp_path / "out/labelme/a.json").read_text())
    assert [shape["group_id"] for shape in labelme["shapes"]] == [None, None, None]

    export(tmp_path, maps, instances="whole")
    panoptic = json.loads((tmp_path / "out/coco/panoptic.json").read_text())
    assert {category["isthing"] for category in panoptic["categories"]} == {0}
    assert len(panoptic["annotations"][0]["segments_info"]) == 2
    labelme = json.loads((tmp_path / "out/labelme/a.json").read_text())
    assert [shape["group_id"] for shape in labelme["shapes"]] == [1, 1, None]


def test_ids_names_and_colours_are_those_of_the_classes(tmp_path: Path):
    export(tmp_path, {"a": np.array([[2, 6, 0]])})
    out = tmp_path / "out"
    coco = json.loads((out / "coco/instances.json").read_text("utf-8"))
    named = {category["id"]: category["name"] for category in coco["categories"]}
    assert named == {2: "left wheel", 3: "part_002", 5: "part_004", 6: 'Tür: "x"'}
    with Image.open(out / "masks/a.png") as image:
        palette = np.array(image.getpalette()).reshape(-1, 3)
    np.testing.assert_array_equal(palette[[0, 2, 6]], [[0, 0, 0], *cluster_palette(6)[[1, 5]]])
    data = yaml.safe_load((out / "yolo/data.yaml").read_text("utf-8"))
    assert data["names"] == {0: "left wheel", 1: "part_002", 2: "part_004", 3: 'Tür: "x"'}
    assert "path" not in data  # so that the folder may be moved
    assert (out / "yolo/images/a.jpg").readlink() == tmp_path / "photos/a.jpg"
    assert (out / "yolo/labels/a.txt").read_text().split()[0] == "0"


def test_more_than_256_ids_are_sixteen_bit(tmp_path: Path):
    labels = np.array([[0, 1, 299, 300]])
    export(tmp_path, {"a": labels}, ("png",), part_classes(model_of(300)))
    with Image.open(tmp_path / "out/masks/a.png") as image:
        np.testing.assert_array_equal(np.asarray(image), labels)


def test_a_folder_for_each_class(tmp_path: Path):
    maps = {"a": np.array([[2, 2, 3]]), "sub/b": np.array([[0, 3, 3]])}
    export(tmp_path, maps, group_by="cluster")
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {"classes.json", "clusters", LIST_NAME}
    assert {path.name for path in (out / "clusters").iterdir()} == {"left_wheel", "part_002"}
    wheel, other = out / "clusters/left_wheel", out / "clusters/part_002"
    only = {("a", 2): np.array([[True, True, False]])}
    assert worst_overlap(read_png(wheel), only) == 1
    assert worst_overlap(read_coco(wheel / "coco/instances.json"), only) == 1
    assert worst_overlap(read_panoptic(wheel), only) == 1
    assert set(read_png(other)) == {("a", 3), ("sub/b", 3)}
    assert worst_overlap(read_panoptic(other), read_png(other)) == 1
    data = yaml.safe_load((other / "yolo/data.yaml").read_text())
    assert data["names"] == {0: "part_002"}
    assert (other / "yolo/labels/sub/b.txt").read_text().startswith("0 ")


def test_a_class_of_any_name_has_a_folder(tmp_path: Path):
    names = {0: "..", 1: "🚗" * 90, 2: "日" * 300, 3: "日" * 301, 4: "a/b", 5: "A b", 6: "A b_006"}
    table = part_classes(model_of(7, names=PartNames(names)))
    export(tmp_path, {"a": np.arange(1, 8)[None]}, ALL, table, group_by="cluster")
    folders = list((tmp_path / "out/clusters").iterdir())
    assert sorted(key for folder in folders for key in read_png(folder)) == [
        ("a", class_id) for class_id in range(1, 8)
    ]
    assert {"a_b", "A_b_006"} < {folder.name for folder in folders}


def test_an_interrupted_export_leaves_no_half_files(tmp_path: Path):
    export(tmp_path, {"a": np.array([[2, 3]])})
    before = (tmp_path / "out/coco/instances.json").read_bytes()

    def images():
        yield photo(tmp_path, "a", np.array([[6, 6]]))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_masks(images(), 2, TABLE, tmp_path / "out", ExportSettings(ALL))
    assert (tmp_path / "out/coco/instances.json").read_bytes() == before
    assert list(tmp_path.rglob(".*")) == []
    assert set(read_png(tmp_path / "out")) == {("a", 6)}


def test_a_folder_that_takes_nothing_is_named(tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "labelme").write_text("in the way")
    with pytest.raises(OSError, match="labelme"):
        export(tmp_path, {"a": np.array([[2]])}, ("labelme",))


def test_thousands_of_regions_of_one_class_cost_little(tmp_path: Path):
    labels = np.zeros((600, 600), dtype=np.int64)
    labels[::4, ::4] = 2
    summary = export(tmp_path, {"a": labels}, ("coco_rle", "panoptic"))
    assert summary.num_regions == 150**2
    with Image.open(tmp_path / "out/coco/panoptic/a.png") as image:
        colours = np.asarray(image).reshape(-1, 3)
    assert len(np.unique(colours, axis=0)) == 150**2 + 1, "a number of its own for each"


def test_memory_does_not_grow_with_the_folder(tmp_path: Path):
    """Records go to disk image by image: nothing of the first is left when the last is written."""
    labels = blobs(0, (40, 40))

    def peak(total: int) -> int:
        images = (photo(tmp_path, f"{index}", labels) for index in range(total))
        tracemalloc.start()
        export_masks(images, total, TABLE, tmp_path, ExportSettings(("coco_rle",)))
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(2)
    assert peak(120) < peak(12) + 40_000
