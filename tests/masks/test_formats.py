"""Every format is opened by the program that people use it with (the extra `formats-test`)."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from leopart_kit.masks import ExportSettings, LabelledImage, PartNames, export_masks, part_classes
from leopart_kit.masks.export import Format
from leopart_kit.masks.regions import Instances
from leopart_kit.masks.yolo import Images
from tests.masks.part_models import model_of
from tests.masks.read_exports import Masks, drawn, masks_of, worst_overlap
from tests.masks.test_export import blobs

NAMES = {1: "left wheel", 3: "left wheel", 0: "background", 5: 'Tür: "x" 🚗'}
TABLE = part_classes(model_of(6, names=PartNames(NAMES)))
ID_OF = {item.name: item.id for item in TABLE.classes}
MAPS = {
    "a": blobs(0, (60, 90)),
    "b.c": blobs(1, (40, 50)),
    "trips/rome/a": blobs(2, (75, 50)),  # the same stem in another folder
    "trips/images/images_/a": blobs(3, (64, 64)),  # trainers look for labels by this word
    "nothing": np.zeros((20, 30), dtype=np.int64),
    "flat": np.full((12, 10), 6),
    "images": blobs(4, (30, 60)),
}


def program(name: str) -> Any:
    """A module of the extra, or the test is skipped."""
    reason = f"{name} is not installed; `make formats` does so"
    return pytest.importorskip(name, reason=reason, exc_type=ImportError)


def photograph(root: Path, name: str, labels: np.ndarray, suffix: str = ".jpg") -> LabelledImage:
    """A labelled image whose file exists."""
    file = root / f"{name}{suffix}"
    file.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(name)).integers(0, 255, (*labels.shape, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file)
    return LabelledImage(name, file, f"{name}{suffix}", labels)


def export(
    root: Path,
    out: Path,
    formats: tuple[Format, ...],
    maps: Mapping[str, np.ndarray] = MAPS,
    **options: Any,
) -> Path:
    images = [photograph(root, name, labels) for name, labels in maps.items()]
    out.mkdir(parents=True, exist_ok=True)
    export_masks(images, len(images), TABLE, out, ExportSettings(formats, **options))
    return out


def with_ultralytics(tmp_path: Path, files: list[Path]) -> list[dict[str, Any]]:
    if importlib.util.find_spec("ultralytics") is None:
        program("ultralytics")
    home = tmp_path / "ultralytics"
    home.mkdir()
    # It comes with ultralytics, which would fetch these fonts.
    fonts = importlib.import_module("matplotlib.font_manager")
    for font in ("Arial.ttf", "Arial.Unicode.ttf"):
        shutil.copy(fonts.findfont("DejaVu Sans"), home / font)
    reader = Path(__file__).with_name("read_with_ultralytics.py")
    found = tmp_path / "found.json"
    offline = {"YOLO_CONFIG_DIR": str(home), "YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}
    done = subprocess.run(
        [sys.executable, reader, found, *files],
        env={**os.environ, **offline},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(found.read_text("utf-8"))


def masks_in(found: dict[str, Any], names: Mapping[str, str]) -> Masks:
    """What ultralytics would train on, by our names of images."""
    masks: Masks = {}
    for image in found["images"]:
        height, width = image["shape"]
        name = names[image["file"]]
        for number, segment in zip(image["classes"], image["segments"], strict=True):
            key = name, ID_OF[found["names"][number]]
            polygon = drawn(np.array(segment) * (width, height), (height, width))
            masks[key] = masks.get(key, False) | polygon
    return masks


def test_ultralytics_trains_on_the_yolo_export(tmp_path: Path):
    """Wherever the photographs lie, linked or copied, and when the folder is used again."""
    ways: list[tuple[str, Images, float]] = [
        ("photos", "link", 0),
        ("data/images/set/images", "link", 0.3),
        ("more/images", "copy", 0.5),
    ]
    folders = []
    for number, (place, way, val) in enumerate(ways):
        out = tmp_path / f"images/{way}{number}"
        options = {"images": way, "val": val, "polygon_tolerance": 0}
        export(tmp_path / place, out, ("yolo",), **options)
        # A folder that was moved is trained on as well.
        folders.append((out / "yolo").rename(out / "moved") if way == "copy" else out / "yolo")
    # As earlier releases left it, and with fewer images than then.
    shutil.rmtree(folders[0] / "images")
    (folders[0] / "images").symlink_to(tmp_path / "photos")
    few = {name: MAPS[name] for name in ("a", "trips/rome/a")}
    export(tmp_path / "photos", folders[0].parent, ("yolo",), few)
    alike = export_of_like_names(tmp_path)

    photos = {path: path.read_bytes() for path in tmp_path.rglob("*.jpg") if path.is_file()}
    *found, like = with_ultralytics(tmp_path, [path / "data.yaml" for path in (*folders, alike)])
    for folder, read, maps in zip(folders, found, [few, MAPS, MAPS], strict=True):
        assert read["names"] == [item.name for item in TABLE.classes]
        escaped = {"trips/images/images_/a": "trips/images_/images__/a"}
        names = {f"{folder}/images/{escaped.get(name, name)}.jpg": name for name in maps}
        assert {image["file"] for image in read["images"]} == set(names)
        assert worst_overlap(masks_in(read, names), masks_of(dict(maps))) >= 0.97
    assert all(path.read_bytes() == content for path, content in photos.items())
    copies = list((folders[2] / "images").rglob("*.jpg"))
    assert len(copies) == len(MAPS)
    assert not any(path.is_symlink() for path in copies)

    class_of = {
        Path(image["file"]).resolve().name: ID_OF[like["names"][image["classes"][0]]]
        for image in like["images"]
    }
    assert class_of == {"a.jpg": 2, "a.png": 3, os.fsdecode(b"caf\xe9.jpg"): 5}


def export_of_like_names(tmp_path: Path) -> Path:
    """A YOLO folder of two images that differ in the suffix, and of one whose name is no UTF-8."""
    root, out = tmp_path / "like", tmp_path / "out_like"
    images = [
        photograph(root, name, np.full((16, 16), class_id), suffix)
        for name, suffix, class_id in [
            ("a", ".jpg", 2),
            ("a", ".png", 3),
            (os.fsdecode(b"caf\xe9"), ".jpg", 5),
        ]
    ]
    # As the data set names images whose stem is not theirs alone.
    images[:2] = [replace(image, name=image.file_name) for image in images[:2]]
    out.mkdir()
    export_masks(images, 3, TABLE, out, ExportSettings(("yolo",)))
    return out / "yolo"


def test_supervision_reads_the_yolo_export(tmp_path: Path):
    supervision = program("supervision")
    out = export(tmp_path / "images", tmp_path / "out", ("yolo",))
    for below in ("", "trips/rome/"):
        found = supervision.DetectionDataset.from_yolo(
            images_directory_path=str(out / "yolo/images" / below),
            annotations_directory_path=str(out / "yolo/labels" / below),
            data_yaml_path=str(out / "yolo/data.yaml"),
        )
        expected = {
            name: labels for name, labels in MAPS.items() if name.rpartition("/")[0] == below[:-1]
        }
        assert found.classes == [item.name for item in TABLE.classes]
        assert len(found) == len(expected)
        masks = masks_of_detections(found, out / "yolo/images")
        assert worst_overlap(masks, masks_of(expected)) >= 0.97


@pytest.mark.parametrize("file", ["instances.json", "instances_polygons.json"])
def test_supervision_reads_the_coco_export(tmp_path: Path, file: str):
    supervision = program("supervision")
    out = export(tmp_path / "images", tmp_path / "out", ("coco_rle", "coco_polygons"))
    found = supervision.DetectionDataset.from_coco(
        images_directory_path=str(tmp_path / "images"), annotations_path=str(out / "coco" / file)
    )
    assert len(found) == len(MAPS)
    masks = masks_of_detections(found, tmp_path / "images")
    if file == "instances.json":
        assert worst_overlap(masks, masks_of(MAPS)) == 1
    else:  # supervision rounds COCO's continuous coordinates, up to half a pixel outwards
        assert set(masks) == set(masks_of(MAPS))


def masks_of_detections(found: Any, root: Path) -> Masks:
    masks: Masks = {}
    for path, image, detections in found:
        assert image is not None
        name = Path(path).relative_to(root).as_posix().removesuffix(".jpg")
        for mask, number in zip(
            () if detections.mask is None else detections.mask, detections.class_id, strict=True
        ):
            key = name, ID_OF[found.classes[number]]
            masks[key] = masks.get(key, False) | mask
    return masks


@pytest.mark.parametrize("instances", ["components", "whole"])
def test_labelme_opens_its_export(tmp_path: Path, instances: Instances):
    labelme = program("labelme")
    utils = program("labelme.utils")
    odd = {os.fsdecode(b"caf\xe9"): blobs(5, (20, 30))}
    out = export(
        tmp_path / "photos",
        tmp_path / "out",
        ("labelme",),
        {**MAPS, **odd},
        instances=instances,
        polygon_tolerance=0,
    )
    for name, labels in {**MAPS, **odd}.items():
        # Reads the image too, by the path in the file, and compares its size.
        opened = labelme.LabelFile(str(out / "labelme" / f"{name}.json"))
        assert opened.image_data
        drawn_classes, _ = utils.shapes_to_label(labels.shape, opened.shapes, ID_OF)
        np.testing.assert_array_equal(drawn_classes, labels)


@pytest.mark.parametrize("instances", ["components", "whole"])
def test_panoptic_quality_of_the_export_against_itself_is_one(tmp_path: Path, instances: Instances):
    """Things with `components`, stuff with `whole`, by the evaluation of the COCO challenge.

    Kirillov et al., "Panoptic Segmentation", CVPR 2019, section 4.
    """
    evaluation = program("panopticapi.evaluation")
    out = export(tmp_path / "photos", tmp_path / "out", ("panoptic",), instances=instances)
    folder = str(out / "coco/panoptic")
    content = json.loads((out / "coco/panoptic.json").read_text("utf-8"))
    categories = {category["id"]: category for category in content["categories"]}
    pairs = [(annotation, annotation) for annotation in content["annotations"]]
    counts = evaluation.pq_compute_single_core(0, pairs, folder, folder, categories)
    kind, _ = counts.pq_average(categories, isthing=instances == "components")
    assert kind == {"pq": 1.0, "sq": 1.0, "rq": 1.0, "n": len(TABLE.classes)}
    segments = [segment for item in content["annotations"] for segment in item["segments_info"]]
    assert sum(counts[category].tp for category in categories) == len(segments)
