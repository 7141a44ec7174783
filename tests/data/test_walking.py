"""Every walk over folders ends, and reads each real folder once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leopart_kit.data import SegmentationDataset, load_dataset
from leopart_kit.data.walking import files_below
from leopart_kit.evaluation.protocols.predictions.folder import PredictionFolder
from leopart_kit.image_level.data.loading import load_classification
from tests.data.image_writers import flat, write_image, write_mask

FOLDERS = ("a", "a/b", "a/b/c", "d", "d/e", "f")


def names_of(dataset: SegmentationDataset) -> list[str]:
    return list(dataset.names)


@settings(max_examples=60)
@given(
    links=st.lists(
        st.tuples(st.sampled_from(["", *FOLDERS]), st.sampled_from(["", *FOLDERS])), max_size=8
    )
)
def test_any_links_between_folders_leave_every_file_once(
    tmp_path_factory: pytest.TempPathFactory, links: list[tuple[str, str]]
):
    root = tmp_path_factory.mktemp("tree")
    for folder in FOLDERS:
        (root / folder).mkdir()
        (root / folder / "x.png").touch()
    for number, (place, target) in enumerate(links):
        (root / place / f"0link{number}").symlink_to(root / target)
    files, repeated = files_below(root)
    assert [os.path.relpath(file, root) for file in files] == [f"{f}/x.png" for f in FOLDERS]
    assert len(repeated) == len(links)


def test_a_linked_folder_elsewhere_is_read_and_its_own_links_too(tmp_path: Path):
    for name in ("root/0/x", "store/y", "store/deep/z", "other/w"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "root/pool").symlink_to(tmp_path / "store")
    (tmp_path / "store/back").symlink_to(tmp_path / "root")
    (tmp_path / "store/other").symlink_to("../other")
    files, repeated = files_below(tmp_path / "root")
    found = [os.path.relpath(file, tmp_path / "root") for file in files]
    assert found == ["0/x", "pool/y", "pool/deep/z", "pool/other/w"]
    assert repeated == [str(tmp_path / "root/pool/back")]


def test_a_folder_is_left_out_at_every_place(tmp_path: Path):
    for name in ("a/x", "masks/y"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    (tmp_path / "a/again").symlink_to(tmp_path)
    (tmp_path / "a/masks").symlink_to(tmp_path / "masks")
    assert files_below(tmp_path, without=tmp_path / "masks").files == [str(tmp_path / "a/x")]
    assert files_below(tmp_path, without=tmp_path / "gone").files != []


SETS: dict[str, Callable[[Path], list[str]]] = {
    "folder": lambda root: names_of(load_dataset("folder", root, "all")),
    "pass": lambda root: names_of(load_dataset("pass", root, "all")),
    "image_folder_classes": lambda root: names_of(
        load_classification("image_folder_classes", root, "train").images
    ),
    "imagenet": lambda root: names_of(load_dataset("imagenet", root, "train")),
    "predictions": lambda root: list(PredictionFolder(root).match(["train/n1/a", "train/n2/b"])),
}


@pytest.mark.parametrize("name", SETS)
def test_no_set_holds_an_image_twice(tmp_path: Path, name: str):
    for image in ("train/n1/a.png", "train/n2/b.png"):
        write_image(tmp_path / image)
    for link in ("train/n1/up", "train/n2/up", "train/n0"):
        (tmp_path / link).symlink_to(tmp_path / "train")
    images = SETS[name](tmp_path)
    assert len(images) == 2
    assert [image[-4:] for image in images] == ["n1/a", "n2/b"]


def test_listed_classes_of_imagenet_share_no_image(tmp_path: Path):
    write_image(tmp_path / "train/n1/a.png")
    (tmp_path / "train/n0").symlink_to(tmp_path / "train/n1")
    (tmp_path / "list.txt").write_text("n0\nn1\n")
    with pytest.raises(FileNotFoundError, match="n0"):
        load_dataset("imagenet", tmp_path, "train", classes_file=tmp_path / "list.txt")


def test_links_to_their_own_folder_multiply_neither_images_nor_masks(tmp_path: Path):
    for number in range(6):
        write_image(tmp_path / f"images/{number}.png")
        write_mask(tmp_path / f"masks/{number}.png", flat(number % 2))
    for folder in ("images", "masks"):
        for link in ("again", "once_more"):
            (tmp_path / folder / link).symlink_to(tmp_path / folder)
    (tmp_path / "images/root").symlink_to(tmp_path)
    dataset = load_dataset("folder", tmp_path, "all")
    assert dataset.names == tuple("012345")
    assert all(mask is not None for _, mask, _ in dataset)
    assert dataset.notes == (
        f"read once: 2 links lead to folders again, such as {tmp_path}/images/again",
    )


def test_folders_of_images_may_share_one_of_masks(tmp_path: Path):
    for name in ("day/a", "night/a"):
        write_image(tmp_path / f"images/{name}.jpg")
    write_mask(tmp_path / "masks/day/a.png", flat(1))
    (tmp_path / "masks/night").symlink_to("day")
    dataset = load_dataset("folder", tmp_path, "all")
    assert [mask is not None and mask.max().item() for _, mask, _ in dataset] == [1, 1]


def test_two_masks_of_one_image_are_named(tmp_path: Path):
    write_image(tmp_path / "images/a.jpg")
    write_mask(tmp_path / "masks/a.png", flat(1))
    write_mask(tmp_path / "masks/a.tif", flat(0))
    with pytest.raises(ValueError, match=r"a\.png and .*a\.tif"):
        load_dataset("folder", tmp_path, "all")
