"""Style transfer: Gram matrices by hand, and pixels that move towards the style."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.backbones import load_encoder
from leopart_kit.image_level.style import StyleSettings, gram_matrix, stylize
from leopart_kit.image_level.style.transfer import relative_error, roughness
from tests.image_level.evaluation.tiny_images import TwoLayers


def test_gram_matrix_by_hand():
    """Channels (1, 2, 3, 4) and (0, 1, 0, −1) over four places."""
    features = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [0.0, -1.0]]]])
    assert gram_matrix(features).tolist() == [[[7.5, -0.5], [-0.5, 0.5]]]


@given(st.integers(0, 1000))
def test_gram_matrices_do_not_know_where(seed: int):
    features = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(seed))
    order = torch.randperm(20, generator=torch.Generator().manual_seed(seed))
    moved = features.flatten(2)[..., order].unflatten(2, (4, 5))
    torch.testing.assert_close(gram_matrix(moved), gram_matrix(features))
    torch.testing.assert_close(gram_matrix(features), gram_matrix(features).mT)


def test_losses_by_hand():
    target = torch.tensor([2.0, 4.0])
    assert relative_error(torch.tensor([3.0, 4.0]), target).item() == pytest.approx(0.5 / 10)
    image = torch.tensor([[[[0.0, 1.0], [0.0, 3.0]]]])
    # Down: 0 and 2, mean square 2. Across: 1 and 3, mean square 5.
    assert roughness(image).item() == pytest.approx(7.0)


def test_pixels_move_towards_the_style_and_keep_the_content():
    encoder = TwoLayers()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    content = torch.randint(0, 80, (3, 24, 32), dtype=torch.uint8)
    style = torch.randint(170, 256, (3, 16, 16), dtype=torch.uint8)

    def distance(image: torch.Tensor, other: torch.Tensor) -> float:
        first, second = (
            gram_matrix(encoder.layer_features(encoder.preprocess(x[None]))["first"])
            for x in (image, other)
        )
        return relative_error(first, second).item()

    painted = stylize(encoder, content, style, StyleSettings(num_layers=1, steps=60))
    assert painted.shape == content.shape
    assert painted.dtype == torch.uint8
    assert distance(painted, style) < 0.2 * distance(content, style)
    faithful = stylize(encoder, content, style, StyleSettings(style_weight=0.0, smoothness=0.0))
    change = (faithful.float() - content.float()).abs()
    assert change.mean() < 4, "nothing but the content: hardly anything changes"
    assert change.mean() < 0.1 * (painted.float() - content.float()).abs().mean()
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(p.requires_grad and p.grad is None for p in encoder.parameters())


def test_smoothness_removes_noise():
    content = torch.randint(0, 256, (3, 16, 16), dtype=torch.uint8)
    settings = StyleSettings(style_weight=0.0, smoothness=100.0, steps=40)
    smooth = stylize(TwoLayers(), content, content, settings)
    assert roughness(smooth[None].float()) < 0.2 * roughness(content[None].float())


def test_wrong_layers_are_named():
    image = torch.zeros(3, 16, 16, dtype=torch.uint8)
    with pytest.raises(ValueError, match="two_layers"):
        stylize(TwoLayers(), image, image, StyleSettings(style_layers=("conv1",)))
    with pytest.raises(ValueError, match="'third'"):
        stylize(TwoLayers(), image, image, StyleSettings(content_layer="third"))
    with pytest.raises(ValueError, match="handcrafted"):
        stylize(load_encoder("handcrafted"), image, image)
