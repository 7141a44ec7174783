"""Where images and labels of a YOLO folder lie, and what stays of the user's own."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.masks import ExportSettings, LabelledImage, export_masks, part_classes
from leopart_kit.masks.yolo import Images, yolo_name
from tests.masks.part_models import model_of

TABLE = part_classes(model_of(3))
PARTS = st.sampled_from(["images", "images_", "images__", "Images", "labels", "a", "images.b"])


def export(photos: Path, out: Path, images: Images = "link", suffix: str = ".jpg") -> Path:
    """One image `sub/a`; the path of its link or copy."""
    file = photos / f"sub/a{suffix}"
    image = LabelledImage("sub/a", file, f"sub/a{suffix}", np.array([[1, 2]]))
    out.mkdir(exist_ok=True)
    export_masks([image], 1, TABLE, out, ExportSettings(("yolo",), images=images))
    return out / f"yolo/images/sub/a{suffix}"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos/sub").mkdir(parents=True)
    (tmp_path / "photos/sub/a.jpg").write_bytes(b"photograph")
    return tmp_path / "photos"


@given(st.lists(PARTS, min_size=1, max_size=4), st.lists(PARTS, min_size=1, max_size=4))
def test_no_sub_folder_is_called_images_and_no_two_names_become_one(one: list[str], two: list[str]):
    names = ["/".join(parts) for parts in (one, two)]
    written = [yolo_name(name) for name in names]
    assert (written[0] == written[1]) == (names[0] == names[1])
    assert all("/images/" not in f"/{name}" for name in written)
    assert [name.count("/") for name in written] == [name.count("/") for name in names]


def test_names_that_are_no_utf8_become_it():
    names = [os.fsdecode(name) for name in (b"caf\xe9", b"caf\xe8", b"x/caf\xe9/b")]
    written = [yolo_name(name) for name in names]
    assert len(set(written)) == 3
    assert all(name.isascii() for name in written)
    assert yolo_name("é/日本 %E9") == "é/日本 %E9"


def test_links_and_copies_follow_the_setting(photos: Path, tmp_path: Path):
    photograph = photos / "sub/a.jpg"
    place = export(photos, tmp_path / "out")
    assert place.readlink() == photograph
    export(photos, tmp_path / "out", "copy")
    assert not place.is_symlink()
    photograph.write_bytes(b"another photograph")
    export(photos, tmp_path / "out", "copy")
    assert place.read_bytes() == b"another photograph"
    assert not photograph.is_symlink()


def test_a_link_of_an_earlier_release_never_leads_to_the_photographs(photos: Path, tmp_path: Path):
    (tmp_path / "out/yolo").mkdir(parents=True)
    (tmp_path / "out/yolo/images").symlink_to(photos)
    export(photos, tmp_path / "out")
    assert (photos / "sub/a.jpg").read_bytes() == b"photograph"
    assert not (photos / "sub/a.jpg").is_symlink()
    assert not (tmp_path / "out/yolo/images").is_symlink()


def test_a_file_in_the_place_of_a_link_stays_and_is_named(
    photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    own = tmp_path / "out/yolo/images/sub/a.jpg"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"the user's own")
    export(photos, tmp_path / "out")
    assert own.read_bytes() == b"the user's own"
    assert str(own) in caplog.text


def test_images_that_trainers_do_not_read_are_counted(
    photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (photos / "sub/a.ppm").write_bytes(b"photograph")
    export(photos, tmp_path / "out", suffix=".ppm")
    assert ".ppm" in caplog.text


@pytest.mark.parametrize(("count", "val", "kept"), [(10, 0.2, 2), (3, 0.01, 1), (3, 0.99, 2)])
def test_validation_has_images_of_its_own(tmp_path: Path, count: int, val: float, kept: int):
    (tmp_path / "photos").mkdir()
    images = []
    for number in range(count):
        file = tmp_path / f"photos/{number}.jpg"
        file.write_bytes(b"photograph")
        images.append(LabelledImage(str(number), file, file.name, np.array([[1, 2]])))
    settings = ExportSettings(("yolo",), val=val)
    export_masks(images, count, TABLE, tmp_path, settings)
    folder = tmp_path / "yolo"
    lists = {name: (folder / f"{name}.txt").read_text().splitlines() for name in ("train", "val")}
    assert len(lists["val"]) == kept
    together = sorted(lists["train"] + lists["val"])
    assert together == [f"./images/{number}.jpg" for number in range(count)]
    export_masks(images[::-1], count, TABLE, tmp_path, settings)
    assert (folder / "val.txt").read_text().splitlines() == lists["val"]
    export_masks(images, count, TABLE, tmp_path, ExportSettings(("yolo",)))
    assert not (folder / "val.txt").exists()
