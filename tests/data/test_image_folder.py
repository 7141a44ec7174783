"""A user's own folder, with and without masks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from leopart_kit.data.class_histogram import class_histogram
from leopart_kit.data.errors import UnknownClassError
from leopart_kit.data.image_folder import image_folder
from leopart_kit.data.palettes import voc_colormap
from tests.data.image_writers import flat, write_image, write_mask


def test_images_only(tmp_path: Path):
    write_image(tmp_path / "b.JPG")
    write_image(tmp_path / "sub/deep/a.png")
    write_image(tmp_path / "._b.jpg")
    write_image(tmp_path / ".cache/c.png")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "d.heic").write_text("x")
    dataset = image_folder(tmp_path)
    assert dataset.names == ("b", "sub/deep/a")
    assert dataset.num_classes == 0
    assert dataset[1][1] is None
    assert dataset.notes == ("left out, not images: 1 .heic, 1 .txt",)
    assert class_histogram(dataset).unlabelled == tuple(range(2))


def test_the_note_on_other_files_stays_short(tmp_path: Path):
    write_image(tmp_path / "a.png")
    for number in range(30):
        (tmp_path / f"record.{number:02d}").write_bytes(b"")
    for name in ("b.heic", "c.heic"):
        (tmp_path / name).write_bytes(b"")
    (note,) = image_folder(tmp_path).notes
    assert note.startswith("left out, not images: 1 .00, 1 .01,")
    assert note.endswith("1 .08, 2 .heic, 21 more")


def test_same_stem_twice_keeps_both(tmp_path: Path):
    for name in ("x/a.jpg", "y/a.jpg", "y/a.png"):
        write_image(tmp_path / "images" / name)
    assert image_folder(tmp_path).names == ("x/a", "y/a.jpg", "y/a.png")


def test_masks_pair_by_relative_name_and_stay_optional(tmp_path: Path):
    write_image(tmp_path / "images/x/a.jpg")
    write_image(tmp_path / "images/y/a.jpg")
    write_mask(tmp_path / "masks/y/a.png", flat(2))
    write_mask(tmp_path / "masks/z.png", flat(1))
    dataset = image_folder(tmp_path)
    assert dataset[0][1] is None
    mask = dataset[1][1]
    assert mask is not None
    assert mask.unique().tolist() == [2]
    assert dataset.class_names == ("class 0", "class 1", "class 2")
    assert not dataset.has_background
    assert dataset.notes == (
        "1 of 2 images have no mask; they are not scored",
        "1 masks have no image",
    )


def test_masks_beside_images_in_the_root(tmp_path: Path):
    write_image(tmp_path / "a.jpg")
    write_mask(tmp_path / "masks/a.png", flat(0))
    dataset = image_folder(tmp_path)
    assert dataset.names == ("a",)
    assert dataset.num_classes == 1


def test_class_names_bound_the_ids(tmp_path: Path):
    write_image(tmp_path / "images/a.jpg")
    write_mask(tmp_path / "masks/a.png", flat(2))
    (tmp_path / "classes.txt").write_text("Background\ncell\n\n")
    dataset = image_folder(tmp_path)
    assert dataset.class_names == ("Background", "cell")
    assert dataset.has_background
    with pytest.raises(UnknownClassError, match=r"a\.png.*2"):
        dataset.load_mask(0)


def test_colours_of_the_classes_read_rgb_masks(tmp_path: Path):
    write_image(tmp_path / "images/a.jpg", (1, 3))
    (tmp_path / "masks").mkdir()
    pixels = np.array([[[9, 9, 9], [0, 200, 0], [0, 0, 0]]], dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "masks/a.png")
    entries = [{"name": "soil", "color": [9, 9, 9]}, {"name": "leaf", "color": [0, 200, 0]}]
    (tmp_path / "classes.json").write_text(json.dumps(entries))
    dataset = image_folder(tmp_path)
    assert dataset.palette[1].tolist() == [0, 200, 0]
    mask = dataset.load_mask(0)
    assert mask is not None
    assert mask.tolist() == [[0, 1, 255]]


def test_rgb_masks_in_voc_colours_need_no_class_names(tmp_path: Path):
    ids = np.array([[0, 2, 255, 1]])
    write_image(tmp_path / "images/a.jpg", (1, 4))
    (tmp_path / "masks").mkdir()
    Image.fromarray(voc_colormap()[ids]).save(tmp_path / "masks/a.png")
    dataset = image_folder(tmp_path)
    mask = dataset.load_mask(0)
    assert mask is not None
    assert mask.tolist() == ids.tolist()
    assert dataset.palette[:3].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0]]


@settings(max_examples=20, deadline=None)
@given(
    masks=st.lists(hnp.arrays(np.uint8, (3, 4), elements=st.integers(0, 6)), min_size=1, max_size=3)
)
def test_any_folder_reads_back_equal(
    tmp_path_factory: pytest.TempPathFactory, masks: list[np.ndarray]
):
    root = tmp_path_factory.mktemp("folder")
    for index, ids in enumerate(masks):
        write_image(root / f"images/{index}.png", (3, 4), value=index)
        write_mask(root / f"masks/{index}.png", ids)
    dataset = image_folder(root)
    assert dataset.num_classes == max(int(ids.max()) for ids in masks) + 1
    for index, (image, mask, name) in enumerate(dataset):
        assert name == str(index)
        assert (image == index).all()
        assert mask is not None
        assert np.array_equal(mask.numpy(), masks[index])


def test_split_is_a_folder(tmp_path: Path):
    write_image(tmp_path / "images/val/a.jpg")
    write_image(tmp_path / "images/train/b.jpg")
    write_mask(tmp_path / "masks/val/a.png", flat(0))
    assert image_folder(tmp_path, "val").names == ("a",)
    assert image_folder(tmp_path, "val").num_classes == 1
    assert image_folder(tmp_path).names == ("train/b", "val/a")
    with pytest.raises(ValueError, match="'test'"):
        image_folder(tmp_path, "test")


def test_empty_folder_and_ignored_masks_are_errors(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="no image"):
        image_folder(tmp_path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        image_folder(tmp_path / "gone")
    write_image(tmp_path / "a.jpg")
    write_mask(tmp_path / "masks/a.png", flat(255))
    with pytest.raises(UnknownClassError, match="hold nothing but 255"):
        image_folder(tmp_path)
    Image.fromarray(flat(0).astype(np.uint16) + 300).save(tmp_path / "masks/a.png")
    with pytest.raises(UnknownClassError, match=r"a\.png.*300"):
        image_folder(tmp_path)
