"""Scenes written as Pascal VOC and Cityscapes: read back equal, resumed, never overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leopart_kit.data.cityscapes import cityscapes
from leopart_kit.data.errors import UnknownClassError
from leopart_kit.data.palettes import voc_colormap
from leopart_kit.data.scenes import files as scene_files
from leopart_kit.data.scenes.dataset import procedural_scenes
from leopart_kit.data.scenes.files import FIRST_SCENE
from leopart_kit.data.scenes.generator import SceneGenerator
from leopart_kit.data.scenes.layouts import write_cityscapes, write_voc
from leopart_kit.data.scenes.objects import OBJECT_NAMES, PART_NAMES
from leopart_kit.data.scenes.places import SURFACE_NAMES


@pytest.fixture
def generator() -> SceneGenerator:
    return SceneGenerator((48, 64), seed=7, ignore_border=1)


def contents(root: Path) -> dict[str, bytes]:
    return {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file()}


def test_voc_files_hold_the_scenes(tmp_path, generator):
    write_voc(tmp_path / "scenes", generator, {"train": 3, "val": 2})
    root = tmp_path / "scenes"
    for split, count in {"train": 3, "val": 2}.items():
        names = (root / "ImageSets/Segmentation" / f"{split}.txt").read_text().split()
        assert len(names) == count
        for i, name in enumerate(names):
            scene = generator.scene(FIRST_SCENE[split] + i)
            for folder, mask in (("Class", scene.objects), ("Part", scene.parts)):
                file = Image.open(root / f"Segmentation{folder}" / f"{name}.png")
                assert file.mode == "P"
                np.testing.assert_array_equal(np.array(file), mask)
                colours = np.array(file.convert("RGB"))
                np.testing.assert_array_equal(colours, voc_colormap()[mask])
            image = np.array(Image.open(root / "JPEGImages" / f"{name}.jpg")).astype(int)
            assert np.abs(image - scene.image).mean() < 4


def test_a_broken_off_run_goes_on_where_it_stopped(tmp_path, generator, monkeypatch):
    write_voc(tmp_path / "whole", generator, {"train": 5})
    drawn: list[int] = []
    draw = SceneGenerator.scene

    def breaks(self: SceneGenerator, index: int):
        if len(drawn) == 3:
            raise KeyboardInterrupt
        drawn.append(index)
        return draw(self, index)

    monkeypatch.setattr(SceneGenerator, "scene", breaks)
    root = tmp_path / "parts"
    with pytest.raises(KeyboardInterrupt):
        write_voc(root, generator, {"train": 5})
    assert not (root / "ImageSets").exists()
    (root / "SegmentationPart/train_000001.png").unlink()
    drawn.clear()
    write_voc(root, generator, {"train": 5})
    assert drawn == [1, 3, 4]
    assert contents(root) == contents(tmp_path / "whole")


def test_what_is_there_is_not_drawn_again(tmp_path, generator, monkeypatch):
    write_voc(tmp_path, generator, {"train": 2})
    before = contents(tmp_path)
    monkeypatch.setattr(SceneGenerator, "scene", lambda *_: pytest.fail("drawn again"))
    monkeypatch.setattr(scene_files, "write_file", lambda *_: pytest.fail("written again"))
    write_voc(tmp_path, generator, {"train": 2})
    assert len(procedural_scenes(tmp_path, "train")) == 2
    assert contents(tmp_path) == before


def test_a_split_can_be_added_and_shares_no_scene(tmp_path, generator):
    write_voc(tmp_path, generator, {"train": 4})
    before = contents(tmp_path)
    write_voc(tmp_path, generator, {"val": 4})
    after = contents(tmp_path)
    assert {f: c for f, c in after.items() if f in before and f != "scenes.json"} == {
        f: c for f, c in before.items() if f != "scenes.json"
    }
    assert json.loads(after["scenes.json"])["splits"] == {"train": 4, "val": 4}
    images = [content for file, content in after.items() if file.startswith("JPEGImages")]
    assert len(set(images)) == 8


@pytest.mark.parametrize(
    ("other", "splits", "message"),
    [
        (SceneGenerator((48, 64), seed=8, ignore_border=1), {"train": 2}, "seed 7, not 8"),
        (SceneGenerator((48, 48), seed=7, ignore_border=1), {"train": 2}, "image_size"),
        (SceneGenerator((48, 64), seed=7), {"train": 2}, "ignore_border 1, not 0"),
        (
            SceneGenerator((48, 64), seed=7, ignore_border=1),
            {"train": 3},
            "number of train scenes 2, not 3",
        ),
    ],
)
def test_other_settings_are_refused_and_named(tmp_path, generator, other, splits, message):
    write_voc(tmp_path, generator, {"train": 2})
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=message):
        write_voc(tmp_path, other, splits)
    assert contents(tmp_path) == before


def test_another_layout_is_refused(tmp_path, generator):
    write_voc(tmp_path, generator, {"train": 1})
    with pytest.raises(ValueError, match="cityscapes"):
        write_cityscapes(tmp_path, generator, {"train": 1})


def test_scenes_of_another_drawing_version_are_refused(tmp_path, generator):
    write_voc(tmp_path, generator, {"train": 1})
    record = json.loads((tmp_path / "scenes.json").read_text())
    record["settings"]["drawing_version"] = -1
    (tmp_path / "scenes.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="drawing_version -1"):
        write_voc(tmp_path, generator, {"train": 1})


def test_a_folder_of_something_else_is_left_alone(tmp_path, generator):
    (tmp_path / "JPEGImages").mkdir()
    (tmp_path / "JPEGImages" / "2007_000032.jpg").write_bytes(b"a real photograph")
    with pytest.raises(ValueError, match="not empty"):
        write_voc(tmp_path, generator, {"train": 1})
    assert list(contents(tmp_path)) == ["JPEGImages/2007_000032.jpg"]


@pytest.mark.parametrize(
    "content",
    [
        *("{", "[]", '{"layout": "voc"}', '{"layout": "voc", "settings": 3, "splits": {}}'),
        '{"layout": "voc", "settings": {}, "splits": [1]}',
        '{"layout": "voc", "settings": {}, "splits": {"train": "3"}}',
        '{"layout": "voc", "settings": {"seed": "a"}, "splits": {}}',
        '{"layout": "voc", "settings": {"image_size": null}, "splits": {}}',
        '{"layout": "voc", "settings": {"image_size": [64]}, "splits": {}}',
        '{"layout": "voc", "settings": {"max_objects": true}, "splits": {}}',
    ],
)
def test_a_damaged_record_is_named(tmp_path, generator, content):
    (tmp_path / "scenes.json").write_text(content)
    with pytest.raises(ValueError, match=r"scenes\.json"):
        write_voc(tmp_path, generator, {"train": 1})


@pytest.mark.parametrize(
    ("splits", "message"), [({"test": 1}, "no split 'test'"), ({"train": 0}, "'train' of 0")]
)
def test_bad_splits_are_refused(tmp_path, generator, splits, message):
    with pytest.raises(ValueError, match=message):
        write_voc(tmp_path / "new", generator, splits)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("label_set", "names", "attribute"),
    [("objects", OBJECT_NAMES, "objects"), ("parts", PART_NAMES, "parts")],
)
def test_the_data_set_serves_objects_and_parts(tmp_path, label_set, names, attribute):
    data = procedural_scenes(tmp_path, "val", label_set, num_images=3, image_size=(40, 56), seed=2)
    assert (data.name, data.split, len(data)) == ("scenes", "val", 3)
    assert data.class_names == names
    assert data.num_classes == len(names)
    assert data.has_background
    generator = SceneGenerator((40, 56), seed=2)
    for i in range(3):
        scene = generator.scene(FIRST_SCENE["val"] + i)
        image, mask, name = data[i]
        assert name == f"val_{i:06d}"
        assert mask is not None
        np.testing.assert_array_equal(mask.numpy(), getattr(scene, attribute))
        difference = image.permute(1, 2, 0).numpy().astype(int) - scene.image
        assert np.abs(difference).mean() < 4


def test_the_data_set_takes_its_settings_from_the_folder(tmp_path):
    write_voc(tmp_path, SceneGenerator((40, 40), seed=9, max_objects=2), {"val": 2})
    before = contents(tmp_path)
    assert len(procedural_scenes(tmp_path, "val")) == 2
    assert contents(tmp_path) == before
    assert len(procedural_scenes(tmp_path, "train", num_images=1)) == 1
    with pytest.raises(ValueError, match="seed 9, not 0"):
        procedural_scenes(tmp_path, "val", seed=0)


def test_the_data_set_refuses_unknown_names(tmp_path):
    with pytest.raises(ValueError, match="no split 'test'"):
        procedural_scenes(tmp_path / "new", "test")
    with pytest.raises(ValueError, match="'things'"):
        procedural_scenes(tmp_path / "new", "val", "things")
    with pytest.raises(ValueError, match="height, width"):
        procedural_scenes(tmp_path / "new", "val", image_size=[64])
    assert not (tmp_path / "new").exists()


def test_an_id_that_is_no_class_is_an_error(tmp_path):
    data = procedural_scenes(tmp_path, "val", num_images=1, image_size=(32, 32))
    file = tmp_path / "SegmentationClass" / "val_000000.png"
    Image.fromarray(np.full((32, 32), len(OBJECT_NAMES), np.uint8)).save(file)
    with pytest.raises(UnknownClassError, match=rf"val_000000\.png holds id {len(OBJECT_NAMES)}"):
        data.load_mask(0)


EXPECTED_19 = {
    "person": {"person"},
    "car": {"car"},
    "vegetation": {"plant", "hills"},
    "terrain": {"grass", "sand"},
    "sky": {"sky"},
    "road": {"road"},
    "sidewalk": {"pavement"},
    "building": {"brick wall"},
    "wall": {"papered wall"},
}
EXPECTED_27 = EXPECTED_19 | {"parking": {"tiled floor"}}


@pytest.mark.parametrize(
    ("label_set", "source", "expected"),
    [
        ("19", "labelIds", EXPECTED_19),
        ("19", "labelTrainIds", EXPECTED_19),
        ("27", "labelIds", EXPECTED_27),
    ],
)
def test_cityscapes_files_hold_the_scenes(tmp_path, generator, label_set, source, expected):
    write_cityscapes(tmp_path, generator, {"val": 16})
    data = cityscapes(tmp_path, "val", label_set, source=source)
    assert len(data) == 16
    seen = set()
    for i in range(16):
        scene = generator.scene(FIRST_SCENE["val"] + i)
        names = np.array(SURFACE_NAMES)[scene.surfaces]
        kinds = np.array([*OBJECT_NAMES, "border"])[np.minimum(scene.objects, len(OBJECT_NAMES))]
        kinds = np.where(scene.objects == 0, names, kinds)
        image, mask, _ = data[i]
        assert mask is not None
        np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), scene.image)
        classes = {255: set(kinds.ravel())}
        for name, members in expected.items():
            classes[data.class_names.index(name)] = members
            classes[255] = classes[255] - members
        for index in np.unique(mask.numpy()):
            assert set(kinds[mask.numpy() == index]) <= classes[int(index)]
            seen.add(int(index))
    assert len(seen) > 8
