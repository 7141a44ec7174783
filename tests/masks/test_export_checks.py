"""What could not be written in the end is refused before the work begins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from leopart_kit.masks import ExportSettings, check_export
from leopart_kit.masks.export import Format

ALL: tuple[Format, ...] = ("png", "coco_rle", "coco_polygons", "panoptic", "labelme", "yolo")


def check(folder: Path, names: list[str], formats: tuple[Format, ...] = ALL, **options: str):
    images = [(name, Path(f"{name}.jpg")) for name in names]
    check_export(folder, images, ExportSettings(formats, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a", "x/y/a.b", "n" * 250, os.fsdecode(b"\xe9"), "images/images"])
def test_names_that_can_be_written_pass(tmp_path: Path, name: str):
    check(tmp_path, [name])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("n" * 251, "labelme"),  # as a .jpg it can exist, as a .json not
        ("x/" + "n" * 251, "labelme"),
        ("n" * 252, "png"),
        ("n" * 252, "panoptic"),
        ("n" * 252, "yolo"),
        (os.fsdecode(b"\xe9" * 200), "yolo"),  # escaped it is longer
    ],
)
def test_names_that_become_too_long_are_refused(tmp_path: Path, name: str, form: Format):
    with pytest.raises(ValueError, match=rf"255 bytes; .*{form}"):
        check(tmp_path, ["a", name], (form,))
    check(tmp_path, ["a", name], ("coco_rle",))


def test_a_name_that_is_anothers_folder_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"x/a\.png"):
        check(tmp_path, ["x/a", "x/a.png/b"], ("png",))
    check(tmp_path, ["x/a", "x/a.png/b"], ("labelme",))


@pytest.mark.parametrize(
    ("form", "place"), [("png", "masks"), ("panoptic", "coco"), ("yolo", "yolo/images")]
)
def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path, form: Format, place: str):
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text("in the way")
    with pytest.raises(ValueError, match=place):
        check(tmp_path, ["a"], (form,))
    check(tmp_path, ["a"], (form,), group_by="cluster")
    (tmp_path / "clusters").symlink_to("nowhere")
    with pytest.raises(ValueError, match="clusters"):
        check(tmp_path, ["a"], (form,), group_by="cluster")


def test_the_link_of_an_earlier_release_is_in_nobodys_way(tmp_path: Path):
    (tmp_path / "yolo").mkdir()
    (tmp_path / "yolo/images").symlink_to("photographs that moved")
    check(tmp_path, ["a"], ("yolo",))


def test_a_disk_without_links_is_told_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")  # as FAT answers

    monkeypatch.setattr(Path, "symlink_to", refuse)
    with pytest.raises(ValueError, match=r"export\.images=copy"):
        check(tmp_path, ["a"], ("yolo",))
    check(tmp_path, ["a"], ("yolo",), images="copy")
    check(tmp_path, ["a"], ("png",))
