"""The data set class: items, checks, fingerprint, use in loader processes."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from leopart_kit.data.camvid import camvid
from leopart_kit.data.errors import BrokenSampleError
from leopart_kit.data.label_sets import LabelSet
from leopart_kit.data.segmentation import Sample, SegmentationDataset
from tests.data.image_writers import flat, truncate, write_image, write_mask


def write_camvid(root: Path, count: int = 2) -> Path:
    for index in range(count):
        write_image(root / "val" / f"{index}.png", value=index)
        write_mask(root / "valannot" / f"{index}.png", flat(index))
    return root


def refuse(sample: Sample) -> np.ndarray:
    raise AssertionError(f"{sample} has no mask to read")


def test_items_and_attributes(tmp_path: Path):
    dataset = camvid(write_camvid(tmp_path), "val")
    assert len(dataset) == 2
    assert dataset.names == ("0", "1")
    image, mask, name = dataset[1]
    assert (image == 1).all()
    assert mask is not None
    assert mask.tolist() == flat(1).tolist()
    assert name == "1"
    assert dataset.image_path(1) == tmp_path / "val" / "1.png"
    assert dataset.num_classes == 11
    assert not dataset.has_background
    assert dataset.palette[3].tolist() == [128, 64, 128]


def test_without_mask_files_the_mask_is_none(tmp_path: Path):
    samples = [Sample("a", str(write_image(tmp_path / "a.png")))]
    dataset = SegmentationDataset("x", "all", tmp_path, LabelSet("x", ()), samples, refuse)
    assert dataset[0][1] is None
    assert dataset.load_mask(0) is None


def test_empty_and_repeated_samples_are_errors(tmp_path: Path):
    label_set = LabelSet("x", ("a",))
    with pytest.raises(ValueError, match=f"split 'val' under {tmp_path} is empty"):
        SegmentationDataset("x", "val", tmp_path, label_set, [], refuse)
    twice = [Sample("a", "a.png"), Sample("b", "b.png"), Sample("b", "c.png")]
    with pytest.raises(ValueError, match="'b'"):
        SegmentationDataset("x", "val", tmp_path, label_set, twice, refuse)


def test_mask_of_another_size_names_both_files(tmp_path: Path):
    write_camvid(tmp_path)
    write_mask(tmp_path / "valannot" / "1.png", flat(1, (6, 7)))
    dataset = camvid(tmp_path, "val")
    with pytest.raises(BrokenSampleError, match=r"val/1\.png.*8"):
        dataset[1]
    assert dataset[0][2] == "0"


def test_turned_mask_hints_at_exif(tmp_path: Path):
    write_camvid(tmp_path)
    write_mask(tmp_path / "valannot" / "1.png", flat(1, (8, 6)))
    with pytest.raises(BrokenSampleError, match="EXIF"):
        camvid(tmp_path, "val")[1]


def test_truncated_files_break_one_sample_only(tmp_path: Path):
    dataset = camvid(write_camvid(tmp_path, 3), "val")
    truncate(tmp_path / "val" / "0.png", 0.7)
    (tmp_path / "valannot" / "1.png").unlink()
    with pytest.raises(BrokenSampleError, match=r"val/0\.png"):
        dataset[0]
    with pytest.raises(BrokenSampleError, match=r"valannot/1\.png"):
        dataset[1]
    assert dataset[2][2] == "2"


def test_fingerprint_follows_what_the_images_hold(tmp_path: Path):
    dataset = camvid(write_camvid(tmp_path), "val")
    first = dataset.fingerprint()
    assert len(first) == 64
    assert camvid(tmp_path, "val").fingerprint() == first
    os.utime(tmp_path / "val" / "0.png", (1, 1))
    assert dataset.fingerprint() == first
    shutil.copy(tmp_path / "val" / "1.png", tmp_path / "val" / "0.png")
    changed = dataset.fingerprint()
    assert changed != first
    (tmp_path / "val" / "1.png").unlink()
    assert dataset.fingerprint() not in (first, changed)
    write_image(tmp_path / "val" / "2.png")
    write_mask(tmp_path / "valannot" / "2.png", flat(0))
    assert camvid(tmp_path, "val").fingerprint() != first


def test_label_sets_of_the_same_images_share_a_fingerprint(tmp_path: Path):
    samples = [Sample("a", str(write_image(tmp_path / "a.png")))]
    parts = [
        SegmentationDataset("x", "all", tmp_path, LabelSet(name, ()), samples, refuse)
        for name in ("one", "two")
    ]
    assert parts[0].fingerprint() == parts[1].fingerprint()


def test_a_spread_takes_images_at_even_distances(tmp_path: Path):
    samples = [Sample(f"im{index}", f"im{index}.png") for index in range(10)]
    labels = LabelSet("two", ("a", "b"))
    dataset = SegmentationDataset("own", "all", tmp_path, labels, samples, refuse, ["a note"])
    part = dataset.spread(4)
    assert part.names == ("im0", "im3", "im6", "im9")
    assert part.class_names == ("a", "b")
    assert part.notes == ("a note", "4 of 10 images")
    assert part.fingerprint() != dataset.fingerprint()
    assert dataset.spread(1).names == ("im0",)
    assert dataset.spread(10) is dataset
    assert dataset.spread(11) is dataset
    with pytest.raises(ValueError, match="needs 1 image"):
        dataset.spread(0)


def test_data_set_survives_pickling(tmp_path: Path):
    dataset = camvid(write_camvid(tmp_path), "val")
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy[1][1].tolist() == flat(1).tolist()
    assert copy.names == dataset.names
