"""Masks without two classes are no perfect score; black and white masks measure right."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from leopart_kit.data import UnknownClassError, load_dataset
from leopart_kit.evaluation import RunSettings, collect_samples, evaluate
from leopart_kit.evaluation.protocols.linear import LinearProbe
from leopart_kit.evaluation.protocols.overclustering import Overclustering
from leopart_kit.report import wording
from leopart_kit.report.console import print_result
from leopart_kit.report.page import render_page
from tests.evaluation.tiny_data import MeanColour, encoder_of, write_folder

PROTOCOL = Overclustering(
    num_clusters=3, seeds=(0,), resolution=(32, 32), score_resolution=(32, 32), pca_dim=None
)


def change_masks(root: Path, change) -> None:
    for file in (root / "masks").iterdir():
        Image.fromarray(change(np.array(Image.open(file)))).save(file)


def black_and_white(ids: np.ndarray) -> np.ndarray:
    return ids * np.uint8(255)


def coloured(ids: np.ndarray) -> np.ndarray:
    return np.repeat(black_and_white(ids)[..., None], 3, axis=2)


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("change", [black_and_white, coloured])
def test_black_and_white_masks_are_asked_about_and_measured_as_zero_and_one(
    tmp_path: Path, change, named: bool
):
    plain = write_folder(tmp_path, 3, num_classes=2)
    expected = evaluate(encoder_of(MeanColour()), plain, PROTOCOL)
    change_masks(tmp_path, change)
    if not named:
        (tmp_path / "classes.txt").unlink()
    with pytest.raises(ValueError, match="binary=true"):
        evaluate(encoder_of(MeanColour()), load_dataset("folder", tmp_path, "all"), PROTOCOL)
    binary = load_dataset("folder", tmp_path, "all", binary=True)
    assert binary.has_background
    result = evaluate(encoder_of(MeanColour()), binary, PROTOCOL)
    assert result.metrics == expected.metrics
    assert result.dataset.classes_present == (0, 1)


def test_one_bit_masks_are_zero_and_one_already(tmp_path: Path):
    plain = write_folder(tmp_path, 3, num_classes=2)
    expected = evaluate(encoder_of(MeanColour()), plain, PROTOCOL)
    change_masks(tmp_path, lambda ids: ids > 0)
    dataset = load_dataset("folder", tmp_path, "all")
    assert evaluate(encoder_of(MeanColour()), dataset, PROTOCOL).metrics == expected.metrics


def test_binary_masks_hold_nothing_else(tmp_path: Path):
    write_folder(tmp_path, 3, num_classes=3)
    with pytest.raises(ValueError, match="binary=true has two"):
        load_dataset("folder", tmp_path, "all", binary=True)
    (tmp_path / "classes.txt").write_text("soil\nroot\n")
    dataset = load_dataset("folder", tmp_path, "all", binary=True)
    with pytest.raises(UnknownClassError, match=r"im00\.png.*1"):
        dataset.load_mask(0)
    with pytest.raises(ValueError, match="binary"):
        load_dataset("folder", tmp_path, "all", binary="yes")


def test_255_beside_other_classes_is_ignored_as_ever(tmp_path: Path):
    write_folder(tmp_path, 3, num_classes=2)
    change_masks(tmp_path, lambda ids: np.where(np.arange(32) < 4, np.uint8(255), ids))
    assert load_dataset("folder", tmp_path, "all").num_classes == 2


@pytest.mark.parametrize("names", ["cell\n", None])
@pytest.mark.parametrize("value", [0, 255])
def test_one_class_is_no_score(tmp_path: Path, names: str | None, value: int):
    write_folder(tmp_path, 3, num_classes=2)
    change_masks(tmp_path, lambda ids: np.full_like(ids, value))
    (tmp_path / "classes.txt").unlink()
    if names is not None:
        (tmp_path / "classes.txt").write_text(names)
    with pytest.raises(ValueError, match="masks"):
        evaluate(encoder_of(MeanColour()), load_dataset("folder", tmp_path, "all"), PROTOCOL)


def test_one_class_of_several_is_said(tmp_path: Path, caplog):
    write_folder(tmp_path, 3)
    change_masks(tmp_path, lambda ids: np.full_like(ids, 2))
    dataset = load_dataset("folder", tmp_path, "all")
    result = evaluate(encoder_of(MeanColour()), dataset, PROTOCOL)
    assert "dog" in caplog.text
    assert len(collect_samples(result, dataset, 2)) == 2
    assert wording.ONE_CLASS in render_page(result, [])
    console = Console(file=io.StringIO(), width=200)
    print_result(result, console)
    assert wording.ONE_CLASS in console.file.getvalue()  # type: ignore[attr-defined]


def test_the_split_that_is_learned_from_is_looked_at_too(tmp_path: Path):
    test = write_folder(tmp_path / "test", 3, num_classes=2)
    train = write_folder(tmp_path / "train", 3, num_classes=2)
    change_masks(tmp_path / "train", black_and_white)
    probe = LinearProbe(seeds=(0,), resolution=(32, 32), score_resolution=(32, 32))
    run = RunSettings(shared_images="allow")
    with pytest.raises(ValueError, match=r"train .*binary=true"):
        evaluate(encoder_of(MeanColour()), test, probe, run, train=train)
