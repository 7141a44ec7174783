"""PartImageNet: 40 parts in COCO-style JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from leopart_kit.data.errors import UnknownClassError
from leopart_kit.data.part_imagenet import PART_NAMES, part_imagenet
from tests.data.image_writers import write_image

SIZE = (8, 10)


def square(top: int, left: int, side: int) -> list[list[float]]:
    low, high = left + side, top + side
    return [[left, top, low, top, low, high, left, high]]


def write_release(
    root: Path,
    annotations: list[dict[str, Any]],
    place: str = "annotations/val/val.json",
    **more: Any,
) -> Path:
    """One image with these annotations, categories numbered as the release does."""
    write_image(root / "images" / "val" / "n02110063_1.JPEG", SIZE)
    categories = [{"id": i, "name": name} for i, name in enumerate(PART_NAMES)]
    document = {
        "images": [{"id": 7, "file_name": "n02110063_1.JPEG", "height": 8, "width": 10}],
        "annotations": [{"image_id": 7, **one} for one in annotations],
        "categories": categories,
        **more,
    }
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).write_text(json.dumps(document))
    return root


@pytest.mark.parametrize("place", ["annotations/val/val.json", "annotations/val.json", "val.json"])
def test_outlines_and_run_lengths_become_parts(tmp_path: Path, place: str):
    pixels = np.zeros(SIZE, np.uint8, order="F")
    pixels[6:, 8:] = 1
    code = coco_mask.encode(pixels)
    runs = {"size": list(SIZE), "counts": str(code["counts"], "ascii")}  # type: ignore[arg-type]
    write_release(
        tmp_path,
        [
            {"category_id": 1, "segmentation": square(0, 0, 4)},
            {"category_id": 0, "segmentation": square(0, 0, 2)},
            {"category_id": 39, "segmentation": runs},
        ],
        place,
    )
    dataset = part_imagenet(tmp_path, "val")
    assert dataset.num_classes == 41
    image, mask, name = dataset[0]
    expected = np.zeros(SIZE, int)
    expected[:4, :4], expected[:2, :2], expected[6:, 8:] = 2, 1, 40
    assert mask is not None
    assert np.array_equal(mask.numpy(), expected)
    assert (name, tuple(image.shape[1:])) == ("n02110063_1.JPEG", SIZE)
    assert [dataset.class_names[i] for i in (1, 2, 40)] == [
        "Quadruped Head",
        "Quadruped Body",
        "Bottle Mouth",
    ]


def test_what_is_unknown_is_named(tmp_path: Path):
    root = write_release(tmp_path / "a", [{"category_id": 77, "segmentation": square(0, 0, 2)}])
    with pytest.raises(UnknownClassError, match=r"val\.json.*77"):
        part_imagenet(root, "val").load_mask(0)
    root = write_release(tmp_path / "b", [], categories=[{"id": 0, "name": "Dragon Wing"}])
    with pytest.raises(UnknownClassError, match="part 'Dragon Wing'"):
        part_imagenet(root, "val")
    root = write_release(tmp_path / "c", [{"category_id": 1, "segmentation": "round"}])
    with pytest.raises(ValueError, match=r"n02110063_1\.JPEG"):
        part_imagenet(root, "val").load_mask(0)
    root = write_release(tmp_path / "d", [], images=5)
    with pytest.raises(ValueError, match=r"val\.json"):
        part_imagenet(root, "val")


def test_missing_parts_of_the_layout_are_named(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"annotations/val/val\.json"):
        part_imagenet(tmp_path, "val")
    root = write_release(tmp_path / "a", [])
    (root / "images" / "val" / "n02110063_1.JPEG").unlink()
    with pytest.raises(FileNotFoundError, match=r"n02110063_1\.JPEG"):
        part_imagenet(root, "val")
    with pytest.raises(ValueError, match="no split 'all'"):
        part_imagenet(root, "all")
