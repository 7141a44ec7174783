"""Telling the two encodings of COCO-Stuff masks apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.data.coco_encoding import detect_encoding, encoding_of_ids
from leopart_kit.data.coco_labels import STUFF, THINGS, categories
from tests.data.image_writers import flat, truncate, write_mask

ANNOTATED = sorted(categories(THINGS, STUFF))


@pytest.mark.parametrize(
    ("present", "encoding", "evidence"),
    [
        ({0, 5, 255}, "0-181", "255 occurs"),
        ({0, 5, 182}, "1-182", "182 occurs"),
        ({0, 91, 100}, "0-181", "id 91"),  # banner; hair brush was never annotated
        ({0, 44, 100}, "1-182", "id 44"),  # bottle; 44 would be a plate in 0-181
        ({0, 11}, "1-182", "id 11"),  # fire hydrant; 11 would be a street sign
        ({0, 12}, "0-181", "id 12"),  # stop sign; 12 would be a street sign
    ],
)
def test_evidence(present: set[int], encoding: str, evidence: str):
    found = encoding_of_ids(present, 3, "m.png")
    assert found.name == encoding
    assert evidence in found.evidence
    assert "3 files" in found.evidence


@given(st.sets(st.sampled_from(ANNOTATED), min_size=1), st.booleans())
def test_real_ids_are_never_taken_for_the_other_encoding(coco_ids: set[int], unlabelled: bool):
    """Whatever classes occur, the answer is right or there is none."""
    one_based = coco_ids | ({0} if unlabelled else set())
    zero_based = {i - 1 for i in coco_ids} | ({255} if unlabelled else set())
    for present, truth in ((one_based, "1-182"), (zero_based, "0-181")):
        try:
            found = encoding_of_ids(present, 1, "m.png").name
        except ValueError:
            continue
        assert found == truth


def test_undecided_and_contradicting_masks_ask_for_the_encoding():
    with pytest.raises(ValueError, match=r"m\.png"):
        encoding_of_ids({0, 1, 100}, 2, "m.png")
    with pytest.raises(ValueError, match=r"m\.png"):
        encoding_of_ids({44, 91}, 2, "m.png")
    with pytest.raises(ValueError, match=r"hold both 255 .* and 182"):
        encoding_of_ids({182, 255}, 2, "m.png")


def test_the_deciding_file_is_found_among_many(tmp_path: Path):
    for position in (0, 17, 39):
        files = [str(write_mask(tmp_path / f"{i:03}.png", flat(1))) for i in range(40)]
        write_mask(Path(files[position]), flat(182))
        assert detect_encoding(files).name == "1-182"


def test_broken_masks_are_passed_over(tmp_path: Path):
    files = [str(write_mask(tmp_path / f"{i}.png", flat(255))) for i in range(3)]
    truncate(Path(files[0]), 0.3)
    assert detect_encoding(files).evidence == "255 occurs in 2 files"


def test_masks_of_which_none_can_be_read_are_not_called_unclear(tmp_path: Path):
    files = [tmp_path / f"{number}.png" for number in range(3)]
    for file in files:
        file.write_bytes(b"")
    with pytest.raises(ValueError, match="of 3 masks"):
        detect_encoding([str(file) for file in files])
