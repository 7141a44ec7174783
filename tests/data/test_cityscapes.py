"""Cityscapes with 19 and 27 classes, from labelIds and labelTrainIds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from leopart_kit.data.cityscapes import LABELS, cityscapes
from leopart_kit.data.errors import UnknownClassError
from tests.data.image_writers import flat, write_image, write_mask

# trainIds of label ids 7 to 33 in the official table.
TRAIN_IDS = [0, 1, 255, 255, 2, 3, 4, 255, 255, 255, 5, 255, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
             255, 255, 16, 17, 18]  # fmt: skip


def write_city(root: Path, ids: np.ndarray, kind: str = "labelIds", city: str = "ulm") -> Path:
    write_image(root / f"leftImg8bit/val/{city}/{city}_000000_000019_leftImg8bit.png", ids.shape)
    write_mask(root / f"gtFine/val/{city}/{city}_000000_000019_gtFine_{kind}.png", ids)
    write_mask(root / f"gtFine/val/{city}/{city}_000000_000019_gtFine_instanceIds.png", flat(0))
    return root


def read_row(root: Path, label_set: str, **options: str) -> list[int]:
    mask = cityscapes(root, "val", label_set, **options).load_mask(0)
    assert mask is not None
    return mask[0].tolist()


ALL_IDS = np.array([[*range(34), 255]], dtype=np.uint8)


def test_label_ids_to_19_and_27(tmp_path: Path):
    write_city(tmp_path, ALL_IDS)
    assert read_row(tmp_path, "19") == [*[255] * 7, *TRAIN_IDS, 255]
    assert read_row(tmp_path, "27") == [*[255] * 7, *range(27), 255]
    names = cityscapes(tmp_path, "val").class_names
    assert (names[0], names[13], names[18]) == ("road", "car", "bicycle")
    assert [label.train_id for label in LABELS] == TRAIN_IDS


def test_train_ids_hold_19_only(tmp_path: Path):
    write_city(tmp_path, np.array([[0, 18, 255]], dtype=np.uint8), "labelTrainIds")
    assert read_row(tmp_path, "19") == [0, 18, 255]
    with pytest.raises(ValueError, match="27 classes"):
        cityscapes(tmp_path, "val", "27")


def test_source_decides_where_both_are_there(tmp_path: Path):
    write_city(tmp_path, np.array([[7, 33]], dtype=np.uint8))
    write_city(tmp_path, np.array([[3, 4]], dtype=np.uint8), "labelTrainIds")
    assert read_row(tmp_path, "19") == [0, 18]
    assert read_row(tmp_path, "19", source="labelTrainIds") == [3, 4]
    assert cityscapes(tmp_path, "val").notes == ("masks from labelIds",)


def test_licence_plate_is_ignored(tmp_path: Path):
    write_city(tmp_path, ALL_IDS)
    mask = tmp_path / "gtFine/val/ulm/ulm_000000_000019_gtFine_labelIds.png"
    Image.fromarray(np.array([[-1, 26]], dtype=np.int32)).save(mask.with_suffix(".tif"))
    mask.with_suffix(".tif").rename(mask)
    assert read_row(tmp_path, "27") == [255, 19]


@settings(max_examples=25, deadline=None)
@given(ids=hnp.arrays(np.uint8, (3, 4), elements=st.integers(7, 33)))
def test_any_mask_reads_back_equal(tmp_path_factory: pytest.TempPathFactory, ids: np.ndarray):
    root = write_city(tmp_path_factory.mktemp("city"), ids)
    mask = cityscapes(root, "val", "27").load_mask(0)
    assert mask is not None
    assert np.array_equal(mask.numpy() + 7, ids)


def test_cities_are_joined_in_order(tmp_path: Path):
    for city in ("ulm", "bonn"):
        write_city(tmp_path, flat(7), city=city)
    dataset = cityscapes(tmp_path, "val")
    assert dataset.names == ("bonn_000000_000019", "ulm_000000_000019")
    assert dataset[1][0].shape == (3, 6, 8)


def test_ids_outside_are_named(tmp_path: Path):
    write_city(tmp_path, np.array([[7, 34]], dtype=np.uint8))
    with pytest.raises(UnknownClassError, match=r"labelIds\.png.*34"):
        cityscapes(tmp_path, "val").load_mask(0)
    write_city(tmp_path, np.array([[7, 26]], dtype=np.uint8), "labelTrainIds")
    with pytest.raises(UnknownClassError, match=r"TrainIds\.png.*26"):
        cityscapes(tmp_path, "val", source="labelTrainIds").load_mask(0)


def test_what_is_missing_is_named(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="leftImg8bit"):
        cityscapes(tmp_path, "val")
    write_city(tmp_path, flat(7))
    with pytest.raises(FileNotFoundError, match="'train'"):
        cityscapes(tmp_path, "train")
    with pytest.raises(ValueError, match="'color'"):
        cityscapes(tmp_path, "val", source="color")
    write_image(tmp_path / "leftImg8bit/val/ulm/ulm_000001_000019_leftImg8bit.png")
    with pytest.raises(FileNotFoundError, match=r"ulm_000001_.*2"):
        cityscapes(tmp_path, "val")
    for file in (tmp_path / "gtFine/val/ulm").iterdir():
        file.unlink()
    with pytest.raises(FileNotFoundError, match="labelTrainIds"):
        cityscapes(tmp_path, "val")
