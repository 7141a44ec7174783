"""PASCAL-Part: MATLAB structures of objects and their parts on the images of VOC 2010."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from leopart_kit.data.errors import BrokenSampleError, UnknownClassError
from leopart_kit.data.pascal_part import PART_NAMES, pascal_part
from tests.data.image_writers import write_image

SIZE = (6, 8)
Parts = dict[str, tuple[slice, slice]]


def pixels(area: tuple[slice, slice]) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    mask[area] = 1
    return mask


def records(rows: list[dict[str, Any]]) -> np.ndarray:
    """A MATLAB array of structures `[1, n]`, empty `[]` for none."""
    if not rows:
        return np.zeros((0, 0))
    array = np.zeros((1, len(rows)), dtype=[(name, object) for name in rows[0]])
    for place, row in enumerate(rows):
        for name, value in row.items():
            array[0, place][name] = value
    return array


def write_release(
    root: Path,
    objects: list[tuple[str, tuple[slice, slice], Parts]],
    base: str = "VOCdevkit/VOC2010",
    beside: str = "trainval",
) -> Path:
    """One annotated image, and one that is listed without annotations."""
    for name in ("2008_000001", "2008_000002"):
        write_image(root / base / "JPEGImages" / f"{name}.jpg", SIZE)
    lists = root / base / "ImageSets" / "Main"
    lists.mkdir(parents=True, exist_ok=True)
    (lists / "val.txt").write_text("2008_000001\n2008_000002\n")
    rows = [
        {
            "class": name,
            "class_ind": 1,
            "mask": pixels(area),
            "parts": records(
                [{"part_name": part, "mask": pixels(where)} for part, where in parts.items()]
            ),
        }
        for name, area, parts in objects
    ]
    anno = {"imname": "2008_000001", "objects": records(rows)}
    (root / beside / "Annotations_Part").mkdir(parents=True, exist_ok=True)
    savemat(root / beside / "Annotations_Part" / "2008_000001.mat", {"anno": records([anno])})
    return root


TOP, LEFT = (slice(0, 2), slice(0, 4)), (slice(0, 1), slice(0, 2))


@pytest.mark.parametrize(
    ("base", "beside"), [("VOCdevkit/VOC2010", "trainval"), ("VOC2010", "VOC2010"), (".", ".")]
)
def test_parts_become_classes_and_the_rest_of_objects_is_ignored(tmp_path, base, beside):
    corner = (slice(4, 6), slice(6, 8))
    objects = [("car", TOP, {"wheel_12": LEFT}), ("sofa", corner, {})]
    dataset = pascal_part(write_release(tmp_path, objects, base, beside), "val")
    assert dataset.names == ("2008_000001",)
    assert dataset.notes == ("1 listed images have no part annotations",)
    _, mask, _ = dataset[0]
    expected = np.zeros(SIZE, int)
    expected[TOP], expected[corner] = 255, 255
    expected[LEFT] = dataset.class_names.index("car wheel")
    assert mask is not None
    assert np.array_equal(mask.numpy(), expected)


def test_there_are_193_different_parts():
    assert len(PART_NAMES) == len(set(PART_NAMES)) == 193


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ([("car", TOP, {"sail": LEFT})], r"2008_000001\.mat has 'car sail'"),
        ([("dragon", TOP, {})], r"2008_000001\.mat has 'dragon'"),
    ],
)
def test_an_unknown_part_is_named(tmp_path: Path, objects, message):
    with pytest.raises(UnknownClassError, match=message):
        pascal_part(write_release(tmp_path, objects), "val").load_mask(0)


def test_what_is_damaged_or_missing_is_named(tmp_path: Path):
    root = write_release(tmp_path / "a", [("cat", TOP, {"head": LEFT})])
    file = root / "trainval" / "Annotations_Part" / "2008_000001.mat"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(BrokenSampleError, match=r"2008_000001\.mat"):
        pascal_part(root, "val").load_mask(0)
    file.unlink()
    with pytest.raises(ValueError, match=r"val\.txt"):
        pascal_part(root, "val")
    with pytest.raises(FileNotFoundError, match=r"images of VOC2010"):
        pascal_part(tmp_path / "none", "val")
    with pytest.raises(FileNotFoundError, match=r"ImageSets/Main/train\.txt"):
        pascal_part(root, "train")
