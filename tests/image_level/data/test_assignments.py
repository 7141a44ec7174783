"""The CSV with the cluster of every image, as it is written and as people edit it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from leopart_kit.image_level.data.assignments import read_assignments, write_assignments
from leopart_kit.image_level.data.classification import ClassificationDataset, image_folder_classes
from tests.data.image_writers import write_image


def two_images(root: Path, class_name: str = "cat") -> ClassificationDataset:
    for name in ("a", "b"):
        write_image(root / "train" / class_name / f"{name}.png")
    return image_folder_classes(root)


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path):
    file = tmp_path / "clusters.csv"
    file.write_text("name,cluster\ncat/b,3\ncat/a,7\n", encoding="utf-8-sig")
    assert read_assignments(file, two_images(tmp_path)).tolist() == [7, 3]


def test_names_that_are_not_utf8_are_written_and_read_back(tmp_path: Path):
    images = two_images(tmp_path, os.fsdecode(b"caf\xe9"))
    file = write_assignments(images.names, torch.tensor([5, 2]), tmp_path / "clusters.csv")
    assert b"caf\xe9/a,5" in file.read_bytes()
    assert read_assignments(file, images).tolist() == [5, 2]


@pytest.mark.parametrize(
    "rows", ["cat/a,x", "cat/a,-1", "cat/a,1.5", "cat/a,", "cat/a," + "9" * 30, "cat/a,1\ncat/a,2"]
)
def test_what_is_no_cluster_is_named_with_its_line(tmp_path: Path, rows: str):
    file = tmp_path / "clusters.csv"
    file.write_text(f"name,cluster\ncat/b,0\n{rows}\n")
    with pytest.raises(ValueError, match=r"clusters\.csv line [34]"):
        read_assignments(file, two_images(tmp_path))
