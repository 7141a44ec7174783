"""Images to train on: ImageNet by its classes, PASS, COCO's photos."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

from leopart_kit.data.errors import BrokenSampleError
from leopart_kit.data.loading import load_dataset
from leopart_kit.data.unlabelled import coco_images, pass_images
from leopart_kit.image_level.data.imagenet import imagenet, imagenet100
from leopart_kit.image_level.data.imagenet100 import IMAGENET100
from tests.data.image_writers import truncate, write_image


def write_imagenet(root: Path, classes: list[str], split: str = "train") -> Path:
    for value, wnid in enumerate(classes):
        for number in (10, 2):
            write_image(root / split / wnid / f"{wnid}_{number}.JPEG", value=value)
    return root


def class_list(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_whole_imagenet_is_every_class_folder(tmp_path: Path):
    root = write_imagenet(tmp_path, ["n02", "n01"])
    write_image(root / "train/n01/._n01_10.JPEG")
    (root / "train/n01/readme.txt").write_text("x")
    dataset = imagenet(root)
    assert dataset.names == ("n01/n01_10", "n01/n01_2", "n02/n02_10", "n02/n02_2")
    assert dataset.num_classes == 0
    image, mask, name = dataset[2]
    assert (name, mask) == ("n02/n02_10", None)
    assert (image == 0).all()
    assert dataset.image_path(0) == root / "train/n01/n01_10.JPEG"
    assert dataset.notes == ("left out, not images: 1 .txt",)
    assert pickle.loads(pickle.dumps(dataset)).names == dataset.names


def test_the_class_list_decides_whatever_its_order(tmp_path: Path):
    root = write_imagenet(tmp_path, ["n01", "n02", "n03"])
    listed = class_list(tmp_path / "two.txt", "n03 third class\n\nn01\tfirst, class\n")
    dataset = imagenet(root, classes_file=listed)
    assert {name.split("/")[0] for name in dataset.names} == {"n01", "n03"}
    assert len(dataset) == 4
    assert dataset.notes == (f"2 classes of {listed}",)
    turned = class_list(tmp_path / "turned.txt", "n01\nn03")
    assert imagenet(root, classes_file=turned).names == dataset.names


def test_files_left_out_are_counted_over_the_listed_classes(tmp_path: Path):
    root = write_imagenet(tmp_path, ["n01", "n02", "n03"])
    for name in ("n01/a.gif", "n02/a.gif", "n03/a.gif", "n03/b.avif"):
        (root / "train" / name).write_bytes(b"")
    listed = class_list(tmp_path / "two.txt", "n01\nn03\n")
    dataset = imagenet(root, classes_file=listed)
    assert dataset.notes[1:] == ("left out, not images: 1 .avif, 2 .gif",)


def test_missing_classes_are_named(tmp_path: Path):
    root = write_imagenet(tmp_path, ["n01"])
    listed = class_list(tmp_path / "list.txt", "n01\nn07\nn08\n")
    with pytest.raises(FileNotFoundError, match="n07, n08"):
        imagenet(root, classes_file=listed)
    with pytest.raises(FileNotFoundError, match="95 more"):
        imagenet100(root)


def test_imagenet100_takes_its_classes_out_of_a_larger_folder(tmp_path: Path):
    root = write_imagenet(tmp_path, [*IMAGENET100, "n00000000"])
    dataset = load_dataset("imagenet100", root, "train")
    assert len(dataset) == 200
    assert "n00000000" not in {name.split("/")[0] for name in dataset.names}
    assert dataset.notes == ("100 classes of ImageNet-100",)


def test_imagenet100_lists_100_different_wordnet_ids():
    assert len(set(IMAGENET100)) == 100
    assert all(re.fullmatch(r"n\d{8}", wnid) for wnid in IMAGENET100)
    # Three of its well-known members: bonnet, robin, tabby; and a class of the other ImageNet-100.
    assert {"n02869837", "n01558993", "n02123045"} <= set(IMAGENET100)
    assert "n07753592" not in IMAGENET100


def test_bad_class_lists(tmp_path: Path):
    root = write_imagenet(tmp_path, ["n01"])
    with pytest.raises(FileNotFoundError, match=r"gone\.txt"):
        imagenet(root, classes_file=tmp_path / "gone.txt")
    with pytest.raises(ValueError, match=r"empty\.txt"):
        imagenet(root, classes_file=class_list(tmp_path / "empty.txt", "\n"))
    with pytest.raises(ValueError, match="n01"):
        imagenet(root, classes_file=class_list(tmp_path / "twice.txt", "n01\nn01\n"))


def test_an_empty_class_and_a_missing_split_are_errors(tmp_path: Path):
    root = write_imagenet(tmp_path, ["n01"])
    (root / "train/n02").mkdir()
    listed = class_list(tmp_path / "list.txt", "n01\nn02\n")
    with pytest.raises(FileNotFoundError, match="n02"):
        imagenet(root, classes_file=listed)
    with pytest.raises(FileNotFoundError, match="val images"):
        imagenet(root, "val")


def test_the_archive_of_the_challenge_is_found(tmp_path: Path):
    write_imagenet(tmp_path / "ILSVRC/Data/CLS-LOC", ["n01"], "val")
    assert imagenet(tmp_path, "val").names == ("n01/n01_10", "n01/n01_2")


def test_one_broken_file_breaks_one_sample(tmp_path: Path):
    dataset = imagenet(write_imagenet(tmp_path, ["n01"]))
    truncate(tmp_path / "train/n01/n01_10.JPEG")
    with pytest.raises(BrokenSampleError, match=r"n01_10\.JPEG"):
        dataset[0]
    assert dataset[1][2] == "n01/n01_2"


@pytest.mark.parametrize("place", ["", "images", "coco/images"])
def test_coco_photos_need_no_annotation(tmp_path: Path, place: str):
    write_image(tmp_path / place / "train2017/000000000009.jpg")
    write_image(tmp_path / place / "val2017/000000000139.jpg")
    (tmp_path / place / "train2017/000000000010.heic").write_bytes(b"")
    assert coco_images(tmp_path).names == ("000000000009",)
    assert coco_images(tmp_path).notes == ("left out, not images: 1 .heic",)
    assert coco_images(tmp_path, "val").names == ("000000000139",)
    with pytest.raises(FileNotFoundError, match="unlabeled2017"):
        coco_images(tmp_path, "unlabeled")


def test_pass_is_any_depth_of_folders(tmp_path: Path):
    write_image(tmp_path / "PASS_dataset/0/b.jpeg")
    write_image(tmp_path / "PASS_dataset/1/a.jpeg")
    write_image(tmp_path / "elsewhere.jpeg")
    for name in ("b.avif", "README", ".DS_Store", ".cache/c.gif"):
        (tmp_path / "PASS_dataset/1" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "PASS_dataset/1" / name).write_bytes(b"")
    assert pass_images(tmp_path).names == ("0/b", "1/a")
    assert pass_images(tmp_path / "PASS_dataset").names == ("0/b", "1/a")
    assert pass_images(tmp_path).notes == ("left out, not images: 1 .avif, 1 README",)
    assert load_dataset("pass", tmp_path, "all")[1][1] is None
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FileNotFoundError, match="holds no image"):
        pass_images(empty)
