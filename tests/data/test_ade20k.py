"""ADE20K: 150 classes, stored id 0 is unlabelled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from leopart_kit.data.ade20k import CLASS_NAMES, ade20k
from leopart_kit.data.errors import UnknownClassError
from tests.data.image_writers import flat, write_image, write_mask


def write_ade(base: Path, ids: np.ndarray, folder: str = "validation") -> Path:
    write_image(base / f"images/{folder}/ADE_val_00000001.jpg", ids.shape)
    write_mask(base / f"annotations/{folder}/ADE_val_00000001.png", ids)
    return base


@pytest.mark.parametrize("below", [".", "ADEChallengeData2016"])
def test_ids_move_down_by_one(tmp_path: Path, below: str):
    write_ade(tmp_path / below, np.array([[0, 1, 13, 150]], dtype=np.uint8))
    dataset = ade20k(tmp_path, "val")
    mask = dataset.load_mask(0)
    assert mask is not None
    assert mask.tolist() == [[255, 0, 12, 149]]
    assert [dataset.class_names[i] for i in (0, 12, 149)] == ["wall", "person", "flag"]
    assert dataset.names == ("ADE_val_00000001",)


def test_names_are_150_different_ones():
    assert len(set(CLASS_NAMES)) == 150


def test_id_outside_and_missing_parts_are_named(tmp_path: Path):
    write_ade(tmp_path, flat(151))
    with pytest.raises(UnknownClassError, match="id 151"):
        ade20k(tmp_path, "val").load_mask(0)
    with pytest.raises(FileNotFoundError, match="'train'"):
        ade20k(tmp_path, "train")
    with pytest.raises(ValueError, match="'training'"):
        ade20k(tmp_path, "training")
    write_image(tmp_path / "images/validation/b.jpg")
    with pytest.raises(FileNotFoundError, match=r"b\.jpg"):
        ade20k(tmp_path, "val")
