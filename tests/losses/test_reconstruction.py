"""Reconstruction losses count what is masked and nothing else."""

from __future__ import annotations

import pytest
import torch

from leopart_kit.losses import masked_squared_error, normalised_patches, patches_of


def test_only_the_region_counts():
    prediction = torch.zeros(1, 3, 4, 4, requires_grad=True)
    target = torch.ones(1, 3, 4, 4)
    target[..., 2:, 2:] = 3
    region = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    region[..., 2:, 2:] = True
    loss = masked_squared_error(prediction, target, region)
    assert loss.item() == 9
    loss.backward()
    assert prediction.grad is not None
    # d/dp of (p - 3)² / 12 values at p = 0 is -6 / 12, and nothing outside.
    assert torch.equal(prediction.grad[..., 2:, 2:], torch.full((1, 3, 2, 2), -0.5))
    assert prediction.grad.count_nonzero() == 12


def test_what_is_visible_may_be_anything():
    prediction, target = torch.zeros(2, 5, 3), torch.ones(2, 5, 3)
    hidden = torch.zeros(2, 5, 1, dtype=torch.bool)
    hidden[0, 1] = hidden[1, 4] = True
    target[~hidden.expand_as(target)] = float("nan")
    assert masked_squared_error(prediction, target, hidden).item() == 1


def test_patches_are_in_the_order_of_the_tokens():
    image = torch.arange(2 * 3 * 4 * 6.0).reshape(2, 3, 4, 6)
    patches = patches_of(image, 2)
    assert patches.shape == (2, 6, 12)
    for row in range(2):
        for column in range(3):
            block = image[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            assert torch.equal(patches[:, 3 * row + column], block.flatten(1))


def test_targets_of_mae_have_mean_0_and_variance_1():
    image = 5 + 3 * torch.randn(2, 3, 8, 8)
    patches = normalised_patches(image, 4)
    torch.testing.assert_close(patches.mean(dim=-1), torch.zeros(2, 4), atol=1e-5, rtol=0)
    torch.testing.assert_close(patches.var(dim=-1), torch.ones(2, 4), atol=1e-4, rtol=0)
    assert normalised_patches(torch.full((1, 3, 4, 4), 7.0), 4).abs().max() == 0


def test_bad_input():
    ones = torch.ones(1, 3, 4, 4)
    with pytest.raises(ValueError, match="nothing is masked"):
        masked_squared_error(ones, ones, torch.zeros(1, 1, 4, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match="differ in shape"):
        masked_squared_error(ones, ones[..., :2], torch.ones(1, dtype=torch.bool))
    with pytest.raises(ValueError, match="4 x 4"):
        patches_of(ones, 3)
