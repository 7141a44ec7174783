from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from leopart_kit.masks import dense_crf
from leopart_kit.masks.dense_crf import dense_crf_available
from leopart_kit.masks.refine import REFINEMENTS, Refinement, refine, refine_probabilities
from leopart_kit.metrics import ConfusionMatrix, segmentation_scores

needs_crf = pytest.mark.skipif(not dense_crf_available(), reason="the extra crf is not installed")
METHODS = [pytest.param("dense_crf", marks=needs_crf), "bilateral_grid"]


def disc(side: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """A red disc on a blue ground with some noise, and where it is."""
    rows, columns = np.indices((side, side)) - (side - 1) / 2
    inside = np.hypot(rows, columns) < side / 3.3
    image = np.where(inside[..., None], (200, 60, 50), (40, 70, 160))
    noise = np.random.default_rng(0).normal(0, 3, image.shape)
    return (image + noise).clip(0, 255).astype(np.uint8), inside


def coarse(mask: np.ndarray, grid: int) -> np.ndarray:
    """The mask at the centres of `grid` × `grid` patches."""
    rows, columns = (((np.arange(grid) + 0.5) * n / grid).astype(int) for n in mask.shape)
    return mask[rows[:, None], columns]


@pytest.mark.parametrize("method", METHODS)
def test_patches_follow_the_edge_of_the_object(method: Refinement):
    image, inside = disc()
    refined = refine(image, np.where(coarse(inside, 12), 4_000_000_000, -7), method)
    assert set(np.unique(refined)) == {4_000_000_000, -7}
    right = (refined == 4_000_000_000) == inside
    # About one pixel of the edge all round may be off; as blocks of 8 pixels, 3.5 % are wrong.
    assert right.mean() > 0.985
    assert (coarse(inside, 12).repeat(8, 0).repeat(8, 1) == inside).mean() < 0.97


@pytest.mark.parametrize("method", METHODS)
def test_specks_inside_an_object_go_and_thin_objects_of_their_own_colour_stay(method: Refinement):
    image, inside = disc()
    labels = inside.astype(np.uint8)
    labels[48, 48] = 0
    image[10:12], labels[10:12] = (250, 250, 80), 2
    refined = refine(image, labels, method)
    assert refined.dtype == np.uint8
    assert refined[48, 48] == 1
    assert (refined[10:12] == 2).mean() > 0.95


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=20)
@given(st.data())
def test_any_map_yields_labels_it_holds(method: Refinement, data: st.DataObject):
    sides = st.integers(1, 9)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    image = rng.integers(0, 256, (data.draw(sides), data.draw(sides), 3), dtype=np.uint8)
    labels = rng.integers(-3, 500, (data.draw(sides), data.draw(sides)))
    refined = refine(image, labels, method)
    assert refined.shape == image.shape[:2]
    assert refined.dtype == labels.dtype
    assert set(np.unique(refined)) <= set(np.unique(labels))


@pytest.mark.parametrize("method", METHODS)
def test_names_of_the_labels_do_not_matter(method: Refinement):
    image, inside = disc(48)
    labels = coarse(inside, 6) + 2 * (np.arange(6) > 3)[:, None]
    renamed = np.array([77, 3, 1_000, 255])[labels]
    np.testing.assert_array_equal(
        np.array([77, 3, 1_000, 255])[refine(image, labels, method)], refine(image, renamed, method)
    )


@pytest.mark.parametrize("method", REFINEMENTS)
def test_nothing_to_refine_is_returned_as_it_is(method: Refinement):
    """Needs no extra: the methods are not asked."""
    rng = np.random.default_rng(0)
    image, labels = rng.integers(0, 256, (9, 7, 3), dtype=np.uint8), rng.integers(0, 5, (9, 7))
    np.testing.assert_array_equal(refine(np.full_like(image, 90), labels, method), labels)
    np.testing.assert_array_equal(refine(image, np.full((3, 2), 255), method), np.full((9, 7), 255))
    np.testing.assert_array_equal(refine(image[:1, :1], labels[:1, :1], method), labels[:1, :1])
    flat = refine(np.zeros((4, 2, 3), np.uint8), np.array([[1], [2]]), method)
    np.testing.assert_array_equal(flat, [[1, 1], [1, 1], [2, 2], [2, 2]])


def test_large_images_are_worked_on_at_a_bounded_size():
    image = np.zeros((200, 20_000, 3), np.uint8)
    image[:, 9_900:] = 200
    labels = np.repeat([[0, 1]], 5, axis=0).repeat(50, axis=1)
    refined = refine(image, labels, "bilateral_grid")
    assert refined.shape == (200, 20_000)
    borders = (refined == 0).sum(axis=1)
    assert np.abs(borders - 9_900).max() < 40  # a pixel of the grid stands for 39


@pytest.mark.parametrize("method", METHODS)
def test_probabilities_may_be_scaled_by_any_factor(method: Refinement):
    image, inside = disc(48)
    soft = np.stack([~coarse(inside, 6), coarse(inside, 6)]) * 0.8 + 0.1
    refined = refine_probabilities(image, soft, method)
    np.testing.assert_array_equal(refined, refine_probabilities(image, 50 * soft, method))
    assert (refined == inside).mean() > 0.965


@needs_crf
def test_the_grid_is_as_good_as_the_lattice_on_photographs(shared_dir: Path):
    """Pascal VOC train, ground truth degraded to 32 × 32 patches of which 15 % are wrong."""
    rng = np.random.default_rng(0)
    root = shared_dir / "data" / "VOCdevkit" / "VOC2012"
    paths = sorted((root / "SegmentationClass").glob("*.png"))
    names = {name for file in root.rglob("train.txt") for name in file.read_text().split()}
    counts = {name: ConfusionMatrix(21, 21) for name in (*REFINEMENTS, "none")}
    for path in [path for path in paths if path.stem in names][::40]:
        image = np.asarray(Image.open(root / "JPEGImages" / f"{path.stem}.jpg").convert("RGB"))
        mask = np.asarray(Image.open(path)).astype(np.int64)
        labels = coarse(np.where(mask == 255, 0, mask), 32)
        wrong = rng.random(labels.shape) < 0.15
        labels[wrong] = rng.choice(np.unique(labels), wrong.sum())
        blocks = labels[np.ix_(*(np.arange(n) * 32 // n for n in mask.shape))]
        counts["none"].update(torch.from_numpy(mask), torch.from_numpy(blocks))
        for method in REFINEMENTS:
            counts[method].update(
                torch.from_numpy(mask), torch.from_numpy(refine(image, labels, method))
            )
    miou = {
        name: float(segmentation_scores(c.counts, torch.arange(21)).miou_present)
        for name, c in counts.items()
    }
    assert min(miou["dense_crf"], miou["bilateral_grid"]) > miou["none"] + 10
    assert miou["bilateral_grid"] > miou["dense_crf"] - 2


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dense_crf.importlib.util, "find_spec", lambda name: None)
    image, inside = disc(16)
    with pytest.raises(ValueError, match=r"'leopart-kit\[crf\]'"):
        refine(image, inside.astype(int), "dense_crf")


IMAGE = np.zeros((2, 2, 3), np.uint8)
LABELS = np.array([[0, 1]])


@pytest.mark.parametrize(
    ("image", "labels", "message"),
    [
        (IMAGE.astype(float), LABELS, "image"),
        (IMAGE[..., 0], LABELS, "image"),
        (IMAGE[:0], LABELS, r"got uint8 \(0, 2, 3\)"),
        (IMAGE, LABELS * 0.5, "labels"),
        (IMAGE, LABELS[0], "labels"),
    ],
)
def test_wrong_kinds_of_arrays_are_named(image: np.ndarray, labels: np.ndarray, message: str):
    with pytest.raises(ValueError, match=message):
        refine(image, labels, "bilateral_grid")


def test_wrong_settings_are_named():
    image, inside = disc(16)
    with pytest.raises(ValueError, match="dense_crf"):
        refine(image, inside.astype(int), "crf")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="confidence"):
        refine(image, inside.astype(int), "bilateral_grid", confidence=1.0)
    for wrong in (np.array([[[-0.1]], [[1.1]]]), np.array([[[np.nan]], [[1.0]]])):
        with pytest.raises(ValueError, match="finite"):
            refine_probabilities(image, wrong, "bilateral_grid")
