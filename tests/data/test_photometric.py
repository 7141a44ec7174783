from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as TF

from leopart_kit.data.photometric import PhotometricAugmentation, gaussian_blur, turn_hue


def random_image(height: int = 20, width: int = 24, seed: int = 0) -> torch.Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


@given(st.floats(-0.5, 0.5))
def test_hue_equals_torchvision(turn):
    image = random_image()
    image[:, 0] = image[:1, 0]  # grey pixels have no hue
    image[:, 1] = 0
    expected = TF.adjust_hue(image, turn)
    torch.testing.assert_close(turn_hue(image, turn), expected, rtol=0, atol=1e-5)


def test_a_third_of_the_circle_moves_red_to_green():
    red = torch.tensor([0.8, 0.2, 0.2]).view(3, 1, 1)
    torch.testing.assert_close(turn_hue(red, 1 / 3).flatten(), torch.tensor([0.2, 0.8, 0.2]))


@pytest.mark.parametrize("sigma", [0.1, 0.7, 2.0])
def test_blur_equals_torchvision(sigma):
    image = random_image()
    expected = TF.gaussian_blur(image, [19, 19], [sigma, sigma])  # wider than 3 sigma
    torch.testing.assert_close(gaussian_blur(image, sigma), expected, rtol=0, atol=3e-3)


@pytest.mark.parametrize("size", [(1, 1), (3, 2)])
def test_blur_of_images_smaller_than_the_kernel(size):
    image = torch.full((3, *size), 0.25)
    torch.testing.assert_close(gaussian_blur(image, 2.0), image)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 2.5))
def test_values_stay_between_0_and_1(seed, strength):
    augmentation = PhotometricAugmentation(strength, 1.0, 0.0, 0.5)
    image = augmentation(random_image(), torch.Generator().manual_seed(seed))
    assert image.min() >= -1e-6
    assert image.max() <= 1 + 1e-6


def test_nothing_happens_at_probability_0():
    image = random_image()
    assert torch.equal(PhotometricAugmentation(1.0, 0.0, 0.0, 0.0)(image), image)
    assert torch.equal(PhotometricAugmentation(0.0, 1.0, 0.0, 0.0)(image), image)


def test_each_change_at_probability_1():
    image = random_image()
    grey = PhotometricAugmentation(1.0, 0.0, 1.0, 0.0)(image)
    assert torch.equal(grey[0], grey[2])
    assert not torch.equal(grey[0], image[0])
    blurred = PhotometricAugmentation(1.0, 0.0, 0.0, 1.0, (1.0, 1.0))(image)
    torch.testing.assert_close(blurred, gaussian_blur(image, 1.0))
    jittered = PhotometricAugmentation(1.0, 1.0, 0.0, 0.0)(image)
    assert (jittered - image).abs().mean() > 0.01


def test_the_generator_decides():
    augmentation = PhotometricAugmentation()
    results = [augmentation(random_image(), torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"strength": 3.0}, "strength"),
        ({"grey_probability": 1.5}, "grey_probability"),
        ({"blur_sigma": (0.0, 2.0)}, "blur_sigma"),
    ],
)
def test_bad_settings(setting, message):
    with pytest.raises(ValueError, match=message):
        PhotometricAugmentation(**setting)
