from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from leopart_kit.data import SegmentationDataset, as_dataset, load_dataset
from leopart_kit.evaluation import RunSettings, evaluate, same_images
from leopart_kit.evaluation.protocols.linear import LinearProbe
from leopart_kit.evaluation.split_audit import audit_splits
from leopart_kit.image_level.data.loading import load_classification
from leopart_kit.image_level.evaluation import evaluate_image_level
from leopart_kit.image_level.evaluation.settings import ImageLevelSettings, KnnSettings
from leopart_kit.report.results_json import to_json
from tests.evaluation.tiny_data import MeanColour, encoder_of

PROBE = LinearProbe(
    resolution=(32, 32),
    train_resolution=(4, 4),
    score_resolution=(4, 4),
    seeds=(0,),
    learning_rate=1.0,
    epochs=1,
    drop_at=1,
)


def write_voc_lists(root: Path, **lists: list[int]) -> Path:
    """VOC of noise: image number n is the same wherever it is listed."""
    base = root / "VOC2012"
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    for split, numbers in lists.items():
        (base / "ImageSets" / "Segmentation" / f"{split}.txt").write_text(
            "".join(f"im{n}\n" for n in numbers)
        )
        for n in numbers:
            draw = np.random.default_rng(n)
            pixels = draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(base / "JPEGImages" / f"im{n}.jpg")
            ids = draw.integers(0, 21, (32, 32), dtype=np.uint8)
            Image.fromarray(ids).save(base / "SegmentationClass" / f"im{n}.png")
    return root


def splits(root: Path) -> tuple[SegmentationDataset, SegmentationDataset]:
    return load_dataset("voc", root, "train"), load_dataset("voc", root, "val")


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(
    train=st.sets(st.integers(0, 8), min_size=1),
    val=st.sets(st.integers(0, 8), min_size=1),
)
def test_the_images_in_both_lists_are_found(tmp_path_factory, train: set[int], val: set[int]):
    root = write_voc_lists(tmp_path_factory.mktemp("voc"), train=sorted(train), val=sorted(val))
    found = audit_splits(*splits(root))
    assert {name for _, name in found.by_content} == {f"im{n}" for n in train & val}
    assert found.by_name == ()


def test_a_copy_under_another_name_and_another_picture_of_one_name(tmp_path: Path):
    root = write_voc_lists(tmp_path, train=[1, 2], val=[3])
    images = tmp_path / "VOC2012" / "JPEGImages"
    (images / "im3.jpg").write_bytes((images / "im2.jpg").read_bytes())
    assert audit_splits(*splits(root)).by_content == (("im2", "im3"),)

    for split in ("train", "val"):  # a set that numbers its images anew in each split
        for folder, mode in ((split, "RGB"), (f"{split}annot", "L")):
            (tmp_path / "camvid" / folder).mkdir(parents=True)
            picture = Image.new(mode, (8, 8), 3 if split == "train" else 5)
            picture.save(tmp_path / "camvid" / folder / "0001.png")
    train, val = (load_dataset("camvid", tmp_path / "camvid", s) for s in ("train", "val"))
    found = audit_splits(train, val)
    assert (found.by_content, found.by_name) == ((), ("0001",))
    found.check("by_content")
    with pytest.raises(ValueError, match=r"0001.*shared_images=by_content"):
        found.check("stop")


def in_other_metadata(pixels: np.ndarray, target: Path) -> None:
    """The very pixels of a JPEG, whose file says more."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    head, rest = file.getvalue()[:2], file.getvalue()[2:]
    target.with_suffix(".jpg").write_bytes(head + b"\xff\xfe\x00\x07hello" + rest)


def as_png(pixels: np.ndarray, target: Path) -> None:
    Image.fromarray(decoded(pixels)).save(target.with_suffix(".png"))


def as_packed_tiff(pixels: np.ndarray, target: Path) -> None:
    Image.fromarray(decoded(pixels)).save(target.with_suffix(".tif"), compression="tiff_lzw")


def decoded(pixels: np.ndarray) -> np.ndarray:
    """As a JPEG of these pixels is read."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return np.array(Image.open(file))


@pytest.mark.parametrize("write", [in_other_metadata, as_png, as_packed_tiff])
def test_a_copy_that_was_written_anew_is_found_with_its_partner(tmp_path: Path, write):
    draw = np.random.default_rng(0)
    noise = draw.integers(0, 256, (3, 32, 24, 3), dtype=np.uint8)
    for split, names in (("train", "ab"), ("val", "cd")):
        (tmp_path / split / "images").mkdir(parents=True)
        for name, pixels in zip(names, noise[:2] if split == "train" else noise[1:], strict=True):
            place = tmp_path / split / "images" / name
            if name == "c":
                write(pixels, place)
            else:
                Image.fromarray(pixels).save(place.with_suffix(".jpg"))
    train, val = (load_dataset("folder", tmp_path / split, "all") for split in ("train", "val"))
    found = audit_splits(train, val)
    assert found.by_content == (("b", "c"),)
    with pytest.raises(ValueError, match=r"share 1 images.*\bb\b.*\bc\b"):
        found.check("by_content")
    assert "b" in found.note().split()
    arrays = as_dataset([decoded(pixels) for pixels in noise[1:]])
    assert audit_splits(train, arrays).by_content == (("b", "000000"),)
    assert audit_splits(arrays, train).by_content == (("000000", "b"),)


@settings(deadline=None, max_examples=30)
@given(*[st.lists(st.integers(0, 4), min_size=1, max_size=8) for _ in range(2)])
def test_every_shared_image_of_either_split_is_named(one: list[int], other: list[int]):
    def of(values: list[int]) -> SegmentationDataset:
        return as_dataset([np.full((8, 8, 3), value, np.uint8) for value in values])

    found = audit_splits(of(one), of(other))
    pairs = [(int(a), int(b)) for a, b in found.by_content]
    assert all(one[a] == other[b] for a, b in pairs)
    assert {a for a, _ in pairs} == {a for a, value in enumerate(one) if value in other}
    assert {b for _, b in pairs} == {b for b, value in enumerate(other) if value in one}
    assert len(pairs) <= len(one) + len(other)


def test_too_many_files_are_compared_by_their_bytes_and_it_is_said(tmp_path: Path, monkeypatch):
    train, val = splits(write_voc_lists(tmp_path, train=[1, 2], val=[2, 3]))
    for name in ("MOST_PIXELS", "MOST_IMAGES"):
        with monkeypatch.context() as patched:
            patched.setattr(same_images, name, 2)
            found = audit_splits(train, val)
        assert found.by_content == (("im2", "im2"),)
        assert found.details()["compared_by"] == "bytes"


def test_a_run_stops_before_the_encoder_unless_told_otherwise(tmp_path: Path):
    train, val = splits(write_voc_lists(tmp_path, train=[1, 2, 3], val=[3, 4]))
    fn = MeanColour()
    with pytest.raises(ValueError, match=r"share 1 images.*im3.*shared_images=allow"):
        evaluate(encoder_of(fn), val, PROBE, train=train)
    assert not fn.batches
    result = evaluate(encoder_of(fn), val, PROBE, RunSettings(shared_images="allow"), train=train)
    audit = to_json(result)["details"]["split_audit"]
    assert audit == {
        "train": "voc train",
        "shared_by_content": [{"train": "im3", "measured": "im3"}],
        "shared_by_name": [],
        "compared_by": "pixels",
    }
    clean = evaluate(encoder_of(fn), val.spread(2), PROBE, train=train.spread(1))
    assert clean.details["split_audit"]["shared_by_content"] == []


def test_a_missing_file_is_left_to_those_who_read_it(tmp_path: Path):
    train, val = splits(write_voc_lists(tmp_path, train=[1, 2], val=[2, 3]))
    (tmp_path / "VOC2012" / "JPEGImages" / "im2.jpg").unlink()
    assert audit_splits(train, val).by_name == ("im2",)


def test_arrays_are_compared_by_pixels_and_not_by_their_numbers():
    draw = np.random.default_rng(0)
    images, masks = draw.integers(0, 256, (5, 32, 32, 3), np.uint8), np.zeros((5, 32, 32), int)
    masks[:, 16:] = 1
    train, others, overlapping = (
        as_dataset((images[chosen], masks[chosen]), ["ground", "line"])
        for chosen in (slice(0, 2), slice(2, 5), slice(1, 4))
    )
    assert evaluate(encoder_of(MeanColour()), others, PROBE, train=train).metrics
    assert audit_splits(train, overlapping).by_content == (("000001", "000000"),)


def test_whole_images_are_compared_by_content_alone(tmp_path: Path):
    for split, seed in (("train", 0), ("test", 1)):
        draw = np.random.default_rng(seed)
        for name in ("cat", "dog"):
            (tmp_path / split / name).mkdir(parents=True)
            for n in range(3):
                pixels = draw.integers(0, 256, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / split / name / f"{n}.png")
    settings = ImageLevelSettings(evaluations=("knn",), knn=KnnSettings(neighbours=2))

    def measure():
        train, test = (
            load_classification("image_folder_classes", tmp_path, s) for s in ("train", "test")
        )
        return evaluate_image_level(encoder_of(MeanColour()), train, test, settings)

    assert any("share 0 images" in note for note in measure().dataset.notes)
    copied = (tmp_path / "train" / "cat" / "0.png").read_bytes()
    (tmp_path / "test" / "cat" / "2.png").write_bytes(copied)
    with pytest.raises(ValueError, match=r"share 1 images.*shared_images=allow"):
        measure()
