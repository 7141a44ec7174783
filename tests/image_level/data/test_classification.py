"""Images with one class each, from folders and from the archives of CIFAR."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from leopart_kit.data.errors import BrokenSampleError
from leopart_kit.data.loading import load_dataset
from leopart_kit.image_level.data.classification import ClassificationDataset, image_folder_classes
from leopart_kit.image_level.data.loading import load_classification
from leopart_kit.image_level.data.read_images import central_squares
from tests.data.image_writers import truncate, write_image


def write_classes(root: Path, split: str, counts: dict[str, int]) -> Path:
    for value, (name, count) in enumerate(counts.items()):
        for number in range(count):
            write_image(root / split / name / f"{number}.png", value=10 * value + number)
    return root


def test_folders_are_classes_in_alphabetical_order(tmp_path: Path):
    write_classes(tmp_path, "train", {"dog": 2, "cat": 1})
    (tmp_path / "train" / "empty").mkdir()
    dataset = image_folder_classes(tmp_path)
    assert dataset.class_names == ("cat", "dog")
    assert dataset.names == ("cat/0", "dog/0", "dog/1")
    assert dataset.labels.tolist() == [0, 1, 1]
    image, label, name = dataset[2]
    assert (label, name) == (1, "dog/1")
    assert (image == 1).all()
    assert dataset.image_path(0) == tmp_path / "train/cat/0.png"
    assert dataset.images.num_classes == 0, "as images alone they have no classes"
    assert dataset.images[0][1] is None


def test_files_that_differ_in_the_suffix_alone_stay_apart(tmp_path: Path):
    write_classes(tmp_path, "train", {"cat": 1})
    write_image(tmp_path / "train/cat/0.jpg")
    assert image_folder_classes(tmp_path).names == ("cat/0.jpg", "cat/0.png")


def test_labels_of_another_split_are_brought_to_the_same_order(tmp_path: Path):
    write_classes(tmp_path, "train", {"ant": 1, "cat": 1, "dog": 1})
    write_classes(tmp_path, "test", {"dog": 1, "cat": 1})
    train, test = (load_classification("image_folder_classes", tmp_path, s) for s in SPLITS)
    assert test.labels.tolist() == [0, 1]
    aligned = test.with_classes_of(train)
    assert aligned.class_names == ("ant", "cat", "dog")
    assert aligned.labels.tolist() == [1, 2]
    with pytest.raises(ValueError, match="ant"):
        train.with_classes_of(test)


SPLITS = ("train", "test")


def test_missing_folders_splits_and_options_are_named(tmp_path: Path):
    write_classes(tmp_path, "train", {"cat": 1})
    with pytest.raises(ValueError, match="'test'"):
        image_folder_classes(tmp_path, "test")
    with pytest.raises(FileNotFoundError, match=r"nowhere.*dataset\.root"):
        image_folder_classes(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="'voc'"):
        load_classification("voc", tmp_path, "train")
    with pytest.raises(ValueError, match="no setting 'size'"):
        load_classification("cifar10", tmp_path, "train", size=3)
    write_image(tmp_path / "train" / "stray.png")
    with pytest.raises(ValueError, match=r"stray\.png"):
        image_folder_classes(tmp_path)


def test_one_broken_file_breaks_one_image(tmp_path: Path):
    write_classes(tmp_path, "train", {"cat": 2})
    truncate(tmp_path / "train/cat/0.png")
    dataset = image_folder_classes(tmp_path)
    with pytest.raises(BrokenSampleError, match=r"cat/0\.png"):
        dataset[0]
    assert dataset[1][1] == 0


def test_imagenet_by_wordnet_ids(tmp_path: Path):
    write_classes(tmp_path, "val", {"n02": 1, "n01": 2})
    dataset = load_classification("imagenet", tmp_path, "val")
    assert dataset.class_names == ("n01", "n02")
    assert dataset.labels.tolist() == [0, 0, 1]
    listed = tmp_path / "list.txt"
    listed.write_text("n02\n")
    assert len(load_classification("imagenet", tmp_path, "val", classes_file=listed)) == 1


def test_imagenet_images_outside_the_class_folders(tmp_path: Path):
    for number in range(3):
        write_image(tmp_path / f"val/ILSVRC2012_val_0000000{number}.JPEG")
    with pytest.raises(
        ValueError,
        match=r"val_00000000\.JPEG",
    ):
        load_classification("imagenet", tmp_path, "val")
    write_classes(tmp_path, "train", {"n01": 2, "n02": 1})
    write_image(tmp_path / "train/stray.JPEG")
    with pytest.raises(ValueError, match=r"train/stray\.JPEG"):
        load_classification("imagenet", tmp_path, "train")


def test_files_that_are_no_images_are_noted(tmp_path: Path):
    write_classes(tmp_path, "train", {"n01": 2})
    for name in ("a.heic", "b.avif", "c.heic", ".hidden.gif"):
        (tmp_path / "train/n01" / name).write_bytes(b"")
    for kind in ("image_folder_classes", "imagenet"):
        dataset = load_classification(kind, tmp_path, "train")
        assert dataset.images.notes == ("left out, not images: 1 .avif, 2 .heic",)
        assert len(dataset) == 2


def write_cifar(root: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """The released layout of CIFAR-10 with 4 images a file; its checksums switched off."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3, 32, 32), dtype=np.uint8)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        content = {"data": pixels.reshape(4, -1), "labels": [3, 5, 3, 0]}
        (folder / name).write_bytes(pickle.dumps(content))
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship")
    meta = {"label_names": [*names, "truck"]}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta))
    monkeypatch.setattr(torchvision.datasets.cifar, "check_integrity", lambda *_: True)
    return pixels


def test_cifar_as_it_is_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pixels = write_cifar(tmp_path, monkeypatch)
    train = load_classification("cifar10", tmp_path, "train")
    assert len(train) == 20
    assert train.class_names[3] == "cat"
    image, label, name = train[5]
    assert (label, name) == (5, "dog/05")
    assert torch.equal(image, torch.from_numpy(pixels[1]))
    part = train.images.spread(3)
    assert part.names[-1] == "airplane/19"
    assert torch.equal(part.load_image(2), torch.from_numpy(pixels[3]))
    test = load_classification("cifar10", tmp_path, "test")
    assert test.labels.tolist() == [3, 5, 3, 0]
    assert test.fingerprint() != train.fingerprint()
    with pytest.raises(ValueError, match="'val'"):
        load_classification("cifar10", tmp_path, "val")


def test_cifar_that_is_not_there(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="cifar-100-python"):
        load_classification("cifar100", tmp_path, "test")


def test_the_images_alone_are_a_data_set_to_train_on(tmp_path: Path):
    write_classes(tmp_path, "train", {"dog": 2, "cat": 1})
    images = load_dataset("image_folder_classes", tmp_path, "train")
    assert (len(images), images.num_classes, images[0][1]) == (3, 0, None)
    with pytest.raises(ValueError, match="'objects'"):
        load_dataset("image_folder_classes", tmp_path, "train", "objects")


def test_central_squares_are_cut_from_the_middle(tmp_path: Path):
    image = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    write_classes(tmp_path, "train", {"cat": 1})
    dataset = image_folder_classes(tmp_path).images
    dataset.load_image = lambda index: torch.from_numpy(image).permute(2, 0, 1)  # type: ignore[method-assign]
    whole = central_squares(dataset)
    assert torch.equal(whole.load_image(0), torch.from_numpy(image[:, 1:7]).permute(2, 0, 1))
    middle = central_squares(dataset, 0.5)
    assert torch.equal(middle.load_image(0), torch.from_numpy(image[1:4, 2:5]).permute(2, 0, 1))
    assert whole.fingerprint() != middle.fingerprint()
    with pytest.raises(ValueError, match=r"\(0, 1\]"):
        central_squares(dataset, 0)


def test_labels_must_be_one_an_image(tmp_path: Path):
    write_classes(tmp_path, "train", {"cat": 2})
    images = image_folder_classes(tmp_path).images
    with pytest.raises(ValueError, match=r"2 images and labels \[3\]"):
        ClassificationDataset(images, np.zeros(3, np.int64), ("cat",))
