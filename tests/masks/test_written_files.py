"""What is removed when a folder is exported into again, and what never is."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from leopart_kit.masks import ExportSettings, LabelledImage, export_masks, part_classes
from leopart_kit.masks.export import Format, GroupBy
from leopart_kit.masks.written_files import LIST_NAME
from tests.masks.part_models import model_of

TABLE = part_classes(model_of(3))
ALL: tuple[Format, ...] = ("png", "coco_rle", "panoptic", "labelme", "yolo")
ODD = os.fsdecode(b"caf\xe9")
BOTH = np.array([[1, 2]])


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def labelled(folder: Path, names: list[str], labels: np.ndarray = BOTH) -> list[LabelledImage]:
    """Images whose files exist."""
    images = [LabelledImage(name, folder / f"{name}.jpg", f"{name}.jpg", labels) for name in names]
    for image in images:
        image.file.parent.mkdir(parents=True, exist_ok=True)
        image.file.touch()
    return images


def export(
    out: Path,
    images: list[LabelledImage],
    formats: tuple[Format, ...] = ALL,
    group_by: GroupBy = "image",
) -> None:
    settings = ExportSettings(formats, group_by=group_by)
    export_masks(images, len(images), TABLE, out, settings)


def files(out: Path) -> set[str]:
    """All files and links below a folder, and folders that are empty."""
    return {
        path.relative_to(out).as_posix()
        for path in out.rglob("*")
        if path.is_symlink() or not path.is_dir() or not any(path.iterdir())
    }


@pytest.mark.parametrize("group_by", ["image", "cluster"])
def test_a_folder_that_is_used_again_is_as_a_new_one(
    tmp_path: Path, group_by: GroupBy, caplog: pytest.LogCaptureFixture
):
    """Images that are gone, cannot be read any more, or show a class no more."""
    caplog.set_level("INFO")
    photos, again, anew = (tmp_path / name for name in ("photos", "again", "anew"))
    again.mkdir()
    anew.mkdir()
    images = labelled(photos, ["a", "trips/b", "trips/rome/c", ODD, "d"])
    export(again, images, group_by=group_by)
    images[2].file.unlink()
    images[3].file.unlink()
    left = [images[0], *labelled(photos, ["trips/b"], np.array([[1, 1]]))]
    for out in (again, anew):
        export(out, left, group_by=group_by)
    assert files(again) == files(anew)
    assert len([record for record in caplog.records if "removed" in record.getMessage()]) == 1


def test_what_is_not_the_exports_own_stays(
    tmp_path: Path, out: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO")
    photos = tmp_path / "photos"
    export(out, labelled(photos, ["a", "b"]))
    mine = [out / name for name in ("masks/mine.png", "masks/b.txt", "labelme/sub/b.json", "notes")]
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    edited = out / "labelme/b.json"
    edited.write_text("corrected by hand")
    shutil.rmtree(photos)
    export(out, labelled(photos, ["a"]))
    assert all(path.read_text() == "mine" for path in mine)
    assert edited.read_text() == "corrected by hand"
    assert str(edited) in caplog.text
    assert not (out / "masks/b.png").exists()
    assert not os.path.lexists(out / "yolo/images/b.jpg")


def test_masks_of_another_folder_and_of_other_formats_stay(
    tmp_path: Path, out: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO")
    export(out, labelled(tmp_path / "photos", ["a"]), ("png", "labelme"))
    export(out, labelled(tmp_path / "others", ["b"]), ("png",))
    assert (out / "masks/a.png").exists()
    assert "another folder" in caplog.text
    shutil.rmtree(tmp_path / "photos")
    export(out, labelled(tmp_path / "others", ["b"]), ("png",))
    assert not (out / "masks/a.png").exists()
    assert (out / "labelme/a.json").exists()


def test_a_run_that_broke_off_leaves_nothing_unknown(tmp_path: Path, out: Path):
    images = labelled(tmp_path / "photos", ["a", "b", "c"])

    def broken_off() -> Iterator[LabelledImage]:
        yield from images[:2]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_masks(broken_off(), 3, TABLE, out, ExportSettings(("png",)))
    assert files(out) == {"classes.json", "masks/a.png", "masks/b.png", LIST_NAME}
    images[1].file.unlink()
    export(out, [images[0], images[2]], ("png",))
    assert files(out) == {"classes.json", "masks/a.png", "masks/c.png", LIST_NAME}


def test_what_a_killed_export_left_is_removed(tmp_path: Path, out: Path):
    left = ["masks/x/.a.png.4194305.tmp", "clusters/wheel/coco/.instances.json.4194305.tmp"]
    for path in [*left, ".export.4194305.tmp/instances.images"]:
        (out / path).parent.mkdir(parents=True)
        (out / path).touch()
    (out / "features").mkdir()
    (out / "features/.others.4194305.tmp").touch()
    export(out, labelled(tmp_path / "photos", ["a"]), ("png",))
    assert [path.name for path in out.rglob("*.tmp")] == [".others.4194305.tmp"]


def test_a_list_that_was_changed_leads_to_no_other_file(tmp_path: Path, out: Path):
    """Lines that are none, and paths that lead out of the folder."""
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    state = outside.stat()
    lines = [
        [path, "image png", "", state.st_size, state.st_mtime_ns]
        for path in ("../outside.txt", str(outside), "masks/../../outside.txt", ".", "")
    ]
    text = "\n".join(map(json.dumps, lines))
    odd = ["null", "[1, 2, 3, 4, 5]", "[", '["a\\u0000", "image png", "", 1, 1]', "[" * 100_000]
    (out / LIST_NAME).write_text("\n".join([text, *odd]) + '\n["masks/a.p')
    (out / LIST_NAME).write_bytes((out / LIST_NAME).read_bytes() + b"\xff\xfe")
    export(out, labelled(tmp_path / "photos", ["a"]), ("png",))
    assert outside.read_text() == "mine"
    assert files(out) == {"classes.json", "masks/a.png", LIST_NAME}
