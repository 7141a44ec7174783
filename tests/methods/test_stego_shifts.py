"""STEGO's shifts: measured ones leave a share of pairs above them, and keep codes apart."""

from __future__ import annotations

import logging

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import default_collate

from leopart_kit.losses import token_directions
from leopart_kit.methods.stego import FeaturePair, Stego, StegoSettings
from leopart_kit.methods.stego_encoder import StegoEncoder, StegoHead
from leopart_kit.methods.stego_shifts import (
    Shifts,
    Similarities,
    sampled_similarities,
    shifts_of,
)
from tests.methods.tiny_clusterer import DIM, tiny_vit

CROPS, SIDE, GROUPS = 12, 6, 6
RELEASED = StegoSettings().shifts()


def crops(alike: float, seed: int = 0) -> Tensor:
    """Features `[CROPS, DIM, SIDE, SIDE]` of six groups; cosines are about `alike` or more."""
    generator = torch.Generator().manual_seed(seed)
    shared, *groups = torch.linalg.qr(torch.randn(DIM, 1 + GROUPS, generator=generator))[0].T
    labels = torch.randint(0, GROUPS, (CROPS, SIDE, SIDE), generator=generator)
    tokens = alike**0.5 * shared + (1 - alike) ** 0.5 * torch.stack(groups)[labels]
    noise = 0.02 * torch.randn(tokens.shape, generator=generator)
    return (tokens + noise).permute(0, 3, 1, 2)


def pairs_of(features: Tensor):
    return lambda row: FeaturePair(features[row], features[(row + 1) % CROPS])


@settings(deadline=None)
@given(
    st.lists(st.integers(-50, 50), min_size=5, max_size=60, unique=True),
    st.tuples(*[st.floats(0.01, 1)] * 3),
    st.tuples(*[st.none() | st.floats(-1, 1)] * 3),
)
def test_a_share_of_the_pairs_lies_above_a_measured_shift(values, shares, given_shifts):
    one = torch.tensor(values, dtype=torch.float32)
    found = shifts_of(given_shifts, shares, Similarities(one, one + 1, one.flip(0) - 1))
    for shift, asked, share, moved in zip(found, given_shifts, shares, (0, 1, -1), strict=True):
        if asked is not None:
            assert shift == asked
        else:
            above = (one + moved > shift).float().mean().item()
            assert abs(above - share) <= 1.5 / len(values) + 1e-6  # a rank is a whole number


def test_similarities_are_those_of_the_loss():
    features = crops(0.3)
    found = sampled_similarities(pairs_of(features), CROPS, 5)
    assert [len(values) for values in found] == [CROPS * 25 * 25] * 3
    with torch.random.fork_rng():
        torch.manual_seed(0)
        order = torch.randperm(CROPS)
        points = 2 * torch.rand(CROPS, 5, 5, 2) - 1
    seen = F.grid_sample(features[order], points, padding_mode="border", align_corners=True)
    rows = F.normalize(seen.flatten(2), dim=1)
    cosines = rows.mT @ rows
    expected = cosines - cosines.mean(dim=2, keepdim=True) + cosines.mean()
    torch.testing.assert_close(found.own, expected.flatten(), rtol=1e-4, atol=1e-5)


def test_measuring_is_repeated_whatever_was_drawn_and_draws_nothing_of_the_run():
    draw = pairs_of(crops(0.3))
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = sampled_similarities(draw, CROPS, 3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    again = sampled_similarities(draw, CROPS, 3)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def trained_directions(features: Tensor, shifts: Shifts, seed: int) -> float:
    torch.manual_seed(seed)
    encoder = StegoEncoder(tiny_vit(), StegoHead(DIM, 8), torch.randn(GROUPS, 8))
    method = Stego(encoder, StegoSettings(num_points=4), shifts)
    optimizer = torch.optim.Adam(encoder.head.parameters(), lr=3e-3)
    batch = default_collate([pairs_of(features)(row) for row in range(CROPS)])
    for step in range(60):
        optimizer.zero_grad()
        method(FeaturePair(*batch), step).loss.backward()
        optimizer.step()
    return token_directions(encoder.head.eval()(features)).item()


@pytest.mark.parametrize("seed", range(4))
def test_measured_shifts_keep_codes_apart_where_all_features_are_alike(
    seed: int, caplog: pytest.LogCaptureFixture
):
    features = crops(0.6, seed)
    similar = sampled_similarities(pairs_of(features), CROPS, 5)
    for given_shifts, collapses in ((RELEASED, True), ((None, None, None), False)):
        caplog.clear()
        shifts = shifts_of(given_shifts, (0.5, 0.5, 0.1), similar)
        with caplog.at_level(logging.WARNING):
            directions = trained_directions(features, shifts, seed)
        assert (directions < 1.5) == collapses
        assert (directions > 3) != collapses
        assert ("method.random_shift" in caplog.text) == collapses


@given(st.integers(1, 6), st.integers(2, 9), st.integers(0, 99))
@settings(deadline=None)
def test_directions_of_tokens_are_counted(number: int, copies: int, seed: int):
    generator = torch.Generator().manual_seed(seed)
    axes = torch.linalg.qr(torch.randn(8, 8, generator=generator))[0][:number]
    lengths = 0.1 + torch.rand(number * copies, 1, generator=generator)
    signs = 2.0 * (torch.rand(number * copies, 1, generator=generator) > 0.5) - 1
    rows = axes.repeat(copies, 1) * lengths * signs
    assert token_directions(rows.T[None, :, None]).item() == pytest.approx(number, rel=1e-4)


def test_shares_without_a_shift_to_measure_are_told():
    with pytest.raises(ValueError, match="attracted"):
        StegoSettings(attracted=(0.5, 0.5, 0.2))
    assert StegoSettings(attracted=(0.5, 0.5, 0.2), random_shift=None).shifts()[2] is None
    encoder = StegoEncoder(tiny_vit(), StegoHead(DIM, 8), torch.randn(2, 8))
    with pytest.raises(ValueError, match="shift"):
        Stego(encoder, StegoSettings(self_shift=None))
