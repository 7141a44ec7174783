"""Images that a list names."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.data.image_folder import image_folder
from leopart_kit.data.listed_images import listed_images
from leopart_kit.data.loading import load_dataset
from leopart_kit.data.samples import MadeSamples, need_suffix, without_suffix
from leopart_kit.evaluation.split_audit import audit_splits
from tests.data.image_writers import flat, write_image, write_mask


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four images, masks of three of them, and a list of all in the order of the folder."""
    for number, name in enumerate(("a", "b", "c/a", "c/A")):
        write_image(tmp_path / f"images/{name}.png", value=40 * number)
        if number:
            write_mask(tmp_path / f"masks/{name}.png", flat(number))
    names = ("a", "b", "c/A", "c/a")
    lines = [f"images/{n}.png\tmasks/{n}.png" if n != "a" else "images/a.png" for n in names]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    return tmp_path


def test_a_list_is_the_folder(folder: Path):
    listed, whole = listed_images(folder / "list.txt"), image_folder(folder)
    assert listed.class_names == whole.class_names
    for (image, mask, name), (one, its_mask, its_name) in zip(listed, whole, strict=True):
        assert name == f"images/{its_name}"
        assert torch.equal(image, one)
        assert (mask is None) == (its_mask is None)
        assert mask is None or its_mask is None or torch.equal(mask, its_mask)
    assert any("1 of 4 images" in note for note in listed.notes)
    assert len(audit_splits(listed, whole).by_content) == 4


def test_samples_are_made_on_demand_in_every_process(folder: Path):
    listed = load_dataset("list", folder / "list.txt", "all")
    assert isinstance(listed._samples, MadeSamples)
    again = pickle.loads(pickle.dumps(listed))
    assert list(again.names) == list(listed.names)
    assert again.fingerprint() == listed.fingerprint()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(listed.names.__getitem__, range(4)) == list(listed.names)


def test_limit_split_and_base(folder: Path):
    lists = folder / "lists"
    lists.mkdir()
    (folder / "list.txt").rename(lists / "val.tsv")
    part = load_dataset("list", lists, "val", base=folder, limit=2)
    assert list(part.names) == ["images/a", "images/c/a"]
    assert isinstance(part._samples, MadeSamples)
    with pytest.raises(FileNotFoundError, match="val"):
        load_dataset("list", lists, "train", base=folder)
    with pytest.raises(FileNotFoundError, match="base"):
        load_dataset("list", lists, "val")


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (b"", ValueError, "list.txt lists no image"),
        (b"\n \t \n\r\n", ValueError, "list.txt lists no image"),
        (b"images/a.png\nimages/none.png\n", FileNotFoundError, "line 2"),
        (b"images/b.png\tmasks/none.png\n", FileNotFoundError, "line 1"),
        (b"images/a.png\n\nimages/a.png\n", ValueError, "lines 1 and 3"),
        (b"images/a.png\n./images/a.png\n", ValueError, "lines 1 and 2"),
        (b"images/b.png\tmasks/b.png\tmasks/b.png\n", ValueError, "line 1"),
        (b"\tmasks/b.png\n", ValueError, "line 1"),
        (b"images/a.png\nimages/\xe9.png\n", ValueError, "line 2"),
        ("images/a.png\n".encode("utf-16"), ValueError, "list.txt"),
        ("images/a.png\n".encode("utf-16-le"), ValueError, "list.txt"),
    ],
)
def test_a_list_that_will_not_do_is_named(folder: Path, content: bytes, error, says: str):
    (folder / "list.txt").write_bytes(content)
    with pytest.raises(error, match=says) as caught:
        listed_images(folder / "list.txt")
    assert "\n" not in str(caught.value)
    assert not (folder / ".list.txt.index").exists()


def test_marks_ends_of_lines_and_absolute_paths(folder: Path):
    lines = ["\ufeffimages/a.png\r", "", f"{folder}/images/b.png\t{folder}/masks/b.png  "]
    (folder / "list.txt").write_text("\n".join(lines), encoding="utf-8")
    listed = listed_images(folder / "list.txt")
    assert list(listed.names) == ["images/a", f"{folder}/images/b".lstrip("/")]
    assert listed[1][1] is not None


def test_a_changed_list_has_a_new_index(folder: Path):
    file = folder / "list.txt"
    before = listed_images(file)
    kept = pickle.dumps(before)
    names = list(before.names)
    file.write_text("images/b.png\n")
    assert list(listed_images(file).names) == ["images/b"]
    assert list(before.names) == names  # a run that reads goes on with what it opened
    with pytest.raises(ValueError, match=r"list\.txt\.index"):
        pickle.loads(kept)


@pytest.mark.parametrize("hours", [-24, 24])
def test_a_disk_whose_clock_is_another_one(folder: Path, hours: int):
    file, index = folder / "list.txt", folder / ".list.txt.index"
    changed = time.time() + 3600 * hours
    os.utime(file, (changed, changed))
    names = list(listed_images(file).names)
    made = index.stat().st_ino
    assert list(listed_images(file).names) == names
    assert index.stat().st_ino == made  # it was used again
    file.write_text("images/b.png\n")
    os.utime(file, (changed + 1, changed + 1))
    assert list(listed_images(file).names) == ["images/b"]


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_index_is_made_again(folder: Path, damage: bytes | None):
    names = list(listed_images(folder / "list.txt").names)
    index = folder / ".list.txt.index"
    index.write_bytes(index.read_bytes()[:-9] if damage is None else damage)
    assert list(listed_images(folder / "list.txt").names) == names


def test_a_folder_that_takes_no_files(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    (folder / ".list.txt.index").mkdir()  # as good as one that may not be written
    names = list(listed_images(folder / "list.txt").names)
    assert list((folder / "cache/leopart_kit").glob("*.index"))
    assert list(listed_images(folder / "list.txt").names) == names


PATHS = st.lists(
    st.text("ab.", min_size=1).map("/".join).filter(lambda text: not text.endswith("."))
    | st.sampled_from(["a.jpg", "a.png", "a.jpg.png", "a", "A.jpg", "x/a.jpg", "x.y/a"]),
    unique=True,
    min_size=1,
)


@given(PATHS)
def test_names_are_distinct_and_short_where_they_can_be(paths: list[str]):
    whole = need_suffix(iter(paths))
    names = [p if keep else without_suffix(p) for p, keep in zip(paths, whole, strict=True)]
    assert len(set(names)) == len(names)
    for path, keep in zip(paths, whole, strict=True):
        others = {q for other in paths if other != path for q in (other, without_suffix(other))}
        assert keep == (without_suffix(path) in others and without_suffix(path) != path) or (
            without_suffix(path) == path
        )


def test_a_folder_loses_no_image_to_a_name(tmp_path: Path):
    for name in ("a.jpg", "a.png", "a.jpg.png", "b.png"):
        write_image(tmp_path / name)
    assert sorted(image_folder(tmp_path).names) == ["a.jpg", "a.jpg.png", "a.png", "b"]


def test_a_file_that_vanished_is_broken(folder: Path):
    listed = listed_images(folder / "list.txt")
    os.remove(folder / "images/b.png")
    with pytest.raises(ValueError, match=r"b\.png"):
        listed[1]
