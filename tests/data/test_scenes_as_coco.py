"""Scenes written as COCO-Stuff: every annotation of one scene tells the same story."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from leopart_kit.data.coco_stuff import SOURCES, coco_stuff
from leopart_kit.data.scenes.coco_layout import write_coco_stuff
from leopart_kit.data.scenes.files import FIRST_SCENE
from leopart_kit.data.scenes.generator import SceneGenerator
from leopart_kit.data.scenes.objects import OBJECT_NAMES
from leopart_kit.data.scenes.places import SURFACE_NAMES

COUNT = 14
GENERATOR = SceneGenerator((48, 64), seed=1, ignore_border=1)


@pytest.fixture(scope="module")
def roots(tmp_path_factory) -> dict[str, Path]:
    roots = {e: tmp_path_factory.mktemp("coco") for e in ("0-181", "1-182")}
    for encoding, root in roots.items():
        write_coco_stuff(root, GENERATOR, {"val": COUNT}, encoding=encoding)
    return roots


EXPECTED = {
    "animal": {"dog", "bird"},
    "vehicle": {"car", "boat"},
    "person": {"person"},
    "furniture": {"plant", "chair"},
    "sky": {"sky"},
    "solid": {"hills"},
    "plant": {"grass"},
    "ground": {"sand", "road", "pavement"},
    "water": {"sea", "deep water"},
    "wall": {"brick wall", "papered wall"},
    "floor": {"wooden floor", "tiled floor"},
}


def kinds_of(index: int) -> np.ndarray:
    """The name of what is seen at every pixel: an object (objects win), a surface, a border."""
    scene = GENERATOR.scene(FIRST_SCENE["val"] + index)
    objects = np.array([*(f"the {name}" for name in OBJECT_NAMES), "border"])
    kinds = objects[np.minimum(scene.objects, len(OBJECT_NAMES))]
    return np.where(scene.objects == 0, np.array(SURFACE_NAMES)[scene.surfaces], kinds)


@pytest.mark.parametrize("encoding", ["0-181", "1-182"])
@pytest.mark.parametrize(
    ("label_set", "source"),
    [(k, s) for k in ("stuff-27", "stuff-15", "things-12") for s in SOURCES[k]],
)
def test_every_source_reads_the_supercategories(roots, label_set, source, encoding):
    stated = encoding if source == "stuffthingmaps" else None
    data = coco_stuff(roots[encoding], "val", label_set, source=source, encoding=stated)
    assert len(data) == COUNT
    things = {"animal", "vehicle", "person", "furniture"}
    for i in range(COUNT):
        _, mask, name = data[i]
        assert mask is not None
        assert int(name) == FIRST_SCENE["val"] + i + 1
        kinds = kinds_of(i)
        expected = np.full(kinds.shape, 255)
        for class_name, members in EXPECTED.items():
            if class_name in data.class_names:
                named = [f"the {m}" for m in members] if class_name in things else list(members)
                expected[np.isin(kinds, named)] = data.class_names.index(class_name)
        np.testing.assert_array_equal(mask.numpy(), expected)


def test_the_zero_based_encoding_is_recognised_by_its_unlabelled_fish(roots):
    data = coco_stuff(roots["0-181"], "val", "full")
    assert any("0-181" in note and "255" in note for note in data.notes)
    bird = data.class_names.index("bird")
    for i in range(COUNT):
        mask = data.load_mask(i)
        assert mask is not None
        np.testing.assert_array_equal(mask.numpy() == bird, kinds_of(i) == "the bird")


def test_segments_name_instances_with_their_boxes_and_areas(roots):
    folder = roots["0-181"] / "annotations/panoptic_annotations"
    content = json.loads((folder / "panoptic_val2017.json").read_text())
    for i, annotation in enumerate(content["annotations"]):
        scene = GENERATOR.scene(FIRST_SCENE["val"] + i)
        for number in np.unique(scene.instances[(scene.objects > 0) & (scene.objects < 255)]):
            mask = (scene.instances == number) & (scene.objects != 255)
            if scene.objects[mask][0] == OBJECT_NAMES.index("fish"):
                continue
            found = [s for s in annotation["segments_info"] if s["id"] % 1000 == number]
            assert len(found) == 1
            assert found[0]["area"] == mask.sum()
            left, top, width, height = found[0]["bbox"]
            assert mask[top : top + height, left : left + width].sum() == mask.sum()
            assert mask[top].any()
            assert mask[:, left].any()
            assert mask[top + height - 1].any()
            assert mask[:, left + width - 1].any()


def test_segment_pngs_alone_give_the_same_masks(roots, tmp_path):
    root = tmp_path / "raw"
    shutil.copytree(roots["0-181"], root)
    semantic = coco_stuff(root, "val", "things-12", source="panoptic")
    masks = [semantic.load_mask(i) for i in range(COUNT)]
    shutil.rmtree(root / "annotations/panoptic_annotations/semantic_segmentation_val2017")
    segments = coco_stuff(root, "val", "things-12", source="panoptic")
    assert "segments" in " ".join(segments.notes)
    for i, mask in enumerate(masks):
        other = segments.load_mask(i)
        assert mask is not None
        assert other is not None
        np.testing.assert_array_equal(other.numpy(), mask.numpy())


def test_json_files_have_all_categories_of_coco(roots, shared_dir):
    real = shared_dir / "data/coco200/annotations/panoptic_annotations/panoptic_val2017.json"
    ours = roots["0-181"] / "annotations/panoptic_annotations/panoptic_val2017.json"
    tables = [
        {c["id"]: (c["name"], c["supercategory"], c["isthing"]) for c in content["categories"]}
        for content in (json.loads(file.read_text()) for file in (real, ours))
    ]
    assert tables[0] == tables[1]


def test_json_files_have_as_many_categories_as_coco(roots):
    base = roots["0-181"] / "annotations"
    panoptic = json.loads((base / "panoptic_annotations/panoptic_val2017.json").read_text())
    stuff = json.loads((base / "annotations/stuff_annotations/stuff_val2017.json").read_text())
    assert len(panoptic["categories"]) == 133
    assert sum(c["isthing"] for c in panoptic["categories"]) == 80
    assert len(stuff["categories"]) == 92
    assert len(panoptic["images"]) == len(stuff["images"]) == COUNT


def test_chosen_annotations_only(tmp_path):
    write_coco_stuff(tmp_path, GENERATOR, {"train": 2}, annotations=("pixelmaps",))
    folders = {p.parent.name for p in tmp_path.rglob("*.png")}
    assert folders == {"stuff_train2017_pixelmaps"}
    with pytest.raises(ValueError, match="annotations"):
        write_coco_stuff(tmp_path, GENERATOR, {"train": 2}, annotations=("panoptic",))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoding": "2-183"}, "'2-183'"),
        ({"annotations": ("keypoints",)}, "pixelmaps"),
        ({"annotations": ()}, "choose among"),
    ],
)
def test_bad_options_are_named_and_nothing_is_written(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        write_coco_stuff(tmp_path / "new", GENERATOR, {"val": 1}, **options)
    assert not (tmp_path / "new").exists()
