"""MAE: the encoder sees only the visible patches, the loss only the hidden ones."""

from __future__ import annotations

import pytest
import torch

from leopart_kit.image_level.methods.mae import (
    MAE,
    MAESettings,
    PatchDecoder,
    grid_positions,
    random_visible,
)
from leopart_kit.losses import normalised_patches
from tests.image_level.tiny_networks import normalised_images, tiny_resnet
from tests.methods.tiny_clusterer import DIM, PATCH, tiny_vit

SMALL = MAESettings(decoder_dim=16, decoder_depth=1, decoder_heads=2)


def without(images: torch.Tensor, patches: list[int]) -> torch.Tensor:
    """The images with other pixels in some of their 4 x 4 patches."""
    images = images.clone()
    for patch in patches:
        row, column = PATCH * (patch // 4), PATCH * (patch % 4)
        images[..., row : row + PATCH, column : column + PATCH] = 7.0
    return images


def test_hidden_patches_never_reach_the_encoder():
    method = MAE(tiny_vit(), SMALL).eval()
    images = normalised_images(2)
    visible = torch.tensor([[0, 3, 9, 12], [5, 1, 2, 15]])
    shared_hidden = [4, 6, 7, 8]
    torch.testing.assert_close(
        method.reconstruct(without(images, shared_hidden), visible),
        method.reconstruct(images, visible),
    )
    changed = method.reconstruct(without(images, [0]), visible)
    assert not torch.allclose(changed[0], method.reconstruct(images, visible)[0])
    torch.testing.assert_close(changed[1], method.reconstruct(images, visible)[1])


def test_all_patches_in_order_are_the_tokens():
    encoder = tiny_vit()
    images = normalised_images(2)
    everything = torch.arange(16).expand(2, -1)
    tokens = encoder.visible_tokens(images, everything)
    torch.testing.assert_close(tokens[:, 0], encoder.cls_token(images))
    grid = tokens[:, 1:].transpose(1, 2).unflatten(2, (4, 4))
    torch.testing.assert_close(grid, encoder.patch_tokens(images))
    turned = encoder.visible_tokens(images, everything.flip(1))
    torch.testing.assert_close(turned[:, 1:].flip(1), tokens[:, 1:], rtol=1e-4, atol=1e-5)


def test_the_loss_is_over_the_hidden_patches_alone():
    method = MAE(tiny_vit(), SMALL)
    images = normalised_images(3)
    torch.manual_seed(5)
    output = method([images], 0)
    torch.manual_seed(5)
    visible = random_visible(3, 16, 0.25, images.device)
    prediction = method.reconstruct(images, visible)
    targets = normalised_patches(images, PATCH)
    errors = []
    for image in range(3):
        seen = set(visible[image].tolist())
        assert len(seen) == 4
        errors += [
            (prediction[image, p] - targets[image, p]).square().mean()
            for p in range(16)
            if p not in seen
        ]
    assert len(errors) == 3 * 12
    torch.testing.assert_close(output.loss, torch.stack(errors).mean())
    assert float(output.logs["hidden_share"]) == 0.75


def test_every_image_has_a_mask_of_its_own_and_every_patch_its_turn():
    visible = random_visible(400, 16, 0.25, "cpu")
    assert visible.shape == (400, 4)
    counts = torch.bincount(visible.flatten(), minlength=16)
    assert counts.min() > 60
    assert len({tuple(sorted(row)) for row in visible.tolist()}) > 200
    assert random_visible(1, 4, 0.01, "cpu").shape == (1, 1)
    assert random_visible(1, 4, 0.99, "cpu").shape == (1, 3)


def test_the_decoder_knows_where_patches_are():
    positions = grid_positions((3, 4), 16)
    assert positions.shape == (12, 16)
    assert len({tuple(row) for row in positions.tolist()}) == 12
    # Sine and cosine of row 0, column 0.
    assert positions[0].tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 4 + [1.0] * 4
    # Patches of one row share the first half, of one column the second.
    assert torch.equal(positions[4, :8], positions[7, :8])
    assert torch.equal(positions[1, 8:], positions[9, 8:])
    decoder = PatchDecoder(DIM, PATCH, 16, 1, 2)
    tokens = torch.randn(1, 3, DIM)
    at, elsewhere = (
        decoder(tokens, torch.tensor([places]), (4, 4), 1) for places in ([0, 1], [14, 15])
    )
    assert not torch.allclose(at, elsewhere)


def test_pixels_of_larger_images_too():
    loss = MAE(tiny_vit(), SMALL)([normalised_images(2, size=48)], 0).loss
    loss.backward()
    assert torch.isfinite(loss)


def test_bad_input():
    with pytest.raises(ValueError, match="tiny_resnet"):
        MAE(tiny_resnet())
    with pytest.raises(ValueError, match="decoder_dim"):
        MAE(tiny_vit(), MAESettings(decoder_dim=18, decoder_heads=2))
