"""The label of a pair of patches against the places they were really cut from."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as TF

from leopart_kit.image_level.data import NEIGHBOURS, PatchPairTransform
from leopart_kit.image_level.data.patch_pairs import drop_colours

PATCH, GAP, JITTER = 12, 6, 2


def place_image(side: int) -> Tensor:
    """Each pixel says where it is: red its row, green its column."""
    image = torch.zeros(3, side, side, dtype=torch.uint8)
    image[0] = torch.arange(side)[:, None]
    image[1] = torch.arange(side)
    return image


def transform(keep_colour: float = 1.0, jitter: float = JITTER / PATCH) -> PatchPairTransform:
    return PatchPairTransform(
        PATCH,
        gap=GAP / PATCH,
        jitter=jitter,
        keep_colour=keep_colour,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
    )


def corner(patch: Tensor) -> tuple[int, int]:
    return tuple((patch[:2, 0, 0] * 255).round().int().tolist())


def test_the_label_is_the_place_of_the_second_patch():
    seen, distances = set(), set()
    for _ in range(300):
        pair = transform()(place_image(100))
        (top, left), (below, right) = corner(pair.centre), corner(pair.neighbour)
        rows, columns = NEIGHBOURS[pair.label]
        for moved, expected in ((below - top, rows), (right - left, columns)):
            assert abs(moved - expected * (PATCH + GAP)) <= 2 * JITTER
            assert moved == 0 or abs(moved) - PATCH >= GAP - 2 * JITTER or expected == 0
            distances.add(moved - expected * (PATCH + GAP))
        seen.add(pair.label)
    assert seen == set(range(8))
    assert distances == set(range(-2 * JITTER, 2 * JITTER + 1)), "both patches are jittered"


def test_patches_are_whole_and_inside_the_image():
    smallest = transform().smallest_side
    assert smallest == 3 * PATCH + 2 * (GAP + JITTER)
    for side in (smallest, smallest + 1, 200):
        for _ in range(50):
            pair = transform()(place_image(side))
            for patch in (pair.centre, pair.neighbour):
                top, left = corner(patch)
                assert patch.shape == (3, PATCH, PATCH)
                assert min(top, left) >= 0
                assert max(top, left) + PATCH <= side
                rows = (patch[0, :, 0] * 255).round().int()
                assert rows.tolist() == list(range(top, top + PATCH))


def test_small_images_are_enlarged():
    pair = transform()(place_image(20))
    assert pair.centre.shape == pair.neighbour.shape == (3, PATCH, PATCH)


def test_images_are_resized_first():
    make = partial(PatchPairTransform, PATCH, gap=0.25, jitter=0.0, keep_colour=1.0)
    make = partial(make, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    image = torch.randint(0, 256, (3, 200, 300), dtype=torch.uint8)
    torch.manual_seed(0)
    resized = make(image_side=60)(image)
    torch.manual_seed(0)
    expected = make()(TF.resize(image, [60], antialias=True))
    assert resized.label == expected.label
    assert torch.equal(resized.centre, expected.centre)
    assert torch.equal(resized.neighbour, expected.neighbour)
    with pytest.raises(ValueError, match="42"):
        make(image_side=41)


def test_one_channel_is_kept_and_two_become_noise():
    patch = torch.rand(3, 10, 10)
    kept_channels = set()
    for _ in range(40):
        dropped = drop_colours(patch)
        same = [bool(torch.equal(a, b)) for a, b in zip(dropped, patch, strict=True)]
        assert sum(same) == 1
        kept_channels.add(same.index(True))
        noise = dropped[[i for i in range(3) if not same[i]]]
        assert (noise - 0.5).abs().max() < 0.05
        assert noise.std() > 0
    assert kept_channels == {0, 1, 2}


def test_colours_are_dropped_unless_kept():
    image = torch.randint(0, 256, (3, 100, 100), dtype=torch.uint8)
    spread = [transform(keep_colour=p)(image).centre.std(dim=(1, 2)) for p in (0.0, 1.0)]
    assert sum(s < 0.02 for s in spread[0]) == 2
    assert sum(s < 0.02 for s in spread[1]) == 0


@pytest.mark.parametrize("numbers", [{"patch_size": 0}, {"gap": -0.1}, {"jitter": 0.4}])
def test_bad_numbers(numbers: dict):
    numbers = {"patch_size": PATCH, **numbers}
    with pytest.raises(ValueError, match="gap"):
        PatchPairTransform(**numbers, mean=(0, 0, 0), std=(1, 1, 1))
