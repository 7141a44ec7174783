"""What `import leopart_kit` gives: the names a user needs, lazily, and arrays in, arrays out."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys

import numpy as np
import pytest
import torch

import leopart_kit


def test_every_name_is_there():
    for name in leopart_kit.__all__:
        assert getattr(leopart_kit, name).__doc__, name
    with pytest.raises(AttributeError, match="overclustering"):
        leopart_kit.overclustering  # noqa: B018


def test_importing_it_imports_no_torch():
    code = "import sys, leopart_kit; print('torch' in sys.modules, dir(leopart_kit)[0])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "False"


@pytest.mark.parametrize(
    ("module", "examples"),
    [
        ("arrays", 7),
        ("clustering.sinkhorn", 2),
        ("data.loading", 3),
        ("drawing", 4),
        ("losses.leopart", 4),
        ("metrics.scores", 3),
        ("metrics.unsupervised_miou", 4),
    ],
)
def test_the_examples_are_true(module: str, examples: int):
    failed, tried = doctest.testmod(importlib.import_module(f"leopart_kit.{module}"))
    assert (failed, tried) == (0, examples)


IMAGES = np.random.default_rng(0).integers(0, 256, (5, 16, 24, 3), dtype=np.uint8)


def test_tokens_of_images_are_those_of_the_encoder():
    encoder = leopart_kit.load_encoder("handcrafted")
    pixels = torch.from_numpy(IMAGES).permute(0, 3, 1, 2)
    expected = encoder.patch_tokens(encoder.preprocess(pixels)).permute(0, 2, 3, 1)
    for images in (IMAGES, list(IMAGES), pixels, IMAGES.transpose(0, 3, 1, 2)):
        tokens = leopart_kit.extract(encoder, images, batch_size=2, device="cpu")
        assert isinstance(tokens, torch.Tensor if images is pixels else np.ndarray)
        torch.testing.assert_close(torch.as_tensor(tokens), expected)
    mixed = [IMAGES[0], IMAGES[1, :8], IMAGES[2, :, :16]]
    tokens = leopart_kit.extract("handcrafted", mixed, resolution=(16, 24), device="cpu")
    torch.testing.assert_close(torch.as_tensor(tokens[:1]), expected[:1])


@pytest.mark.parametrize(
    ("images", "named"),
    [
        (IMAGES[0], "images"),
        (IMAGES[:0], "0 images"),
        ([], "0 images"),
        (IMAGES / 1.0, "image 0"),
        ([IMAGES[0], IMAGES[1, :8]], "resolution"),
        ([*IMAGES[:2], *IMAGES[2:4, :8]], "resolution"),
    ],
)
def test_what_are_no_images_is_told(images, named: str):
    with pytest.raises(ValueError, match=named):
        leopart_kit.extract("handcrafted", images, batch_size=2)


@pytest.mark.parametrize("as_array", [False, True])
def test_clusters_of_tokens_that_tell_the_class_are_the_classes(as_array: bool):
    truth = torch.randint(0, 3, (5, 6, 7), generator=torch.Generator().manual_seed(0))
    tokens = torch.nn.functional.one_hot(truth, 3).float() + 0.01 * torch.randn(5, 6, 7, 3)
    given = tokens.numpy() if as_array else tokens
    ids = leopart_kit.cluster(given, num_clusters=3)
    assert isinstance(ids, np.ndarray if as_array else torch.Tensor)
    found = leopart_kit.match(truth, ids, num_classes=3)
    assert found.scores.miou == 100
    assert torch.equal(found.cluster_to_class[torch.as_tensor(ids)], truth)


def test_more_clusters_than_classes_share_them_and_ignored_pixels_do_not_count():
    target = np.array([[[0, 0, 1, 1, 255]]])
    found = leopart_kit.match(target, np.array([[[0, 1, 2, 3, 0]]]), num_classes=2)
    assert found.cluster_to_class.tolist() == [0, 0, 1, 1]
    assert found.scores.pixel_accuracy == 100
    one_to_one = leopart_kit.match(
        target, np.array([[[0, 1, 2, 3, 0]]]), num_classes=2, rule="hungarian", unmatched=-1
    )
    assert one_to_one.scores.pixel_accuracy == 50


@pytest.mark.parametrize("tokens", [torch.zeros(3, 4), torch.zeros(1, 2, 2, 3, dtype=torch.int64)])
def test_what_is_no_token_map_is_told(tokens: torch.Tensor):
    with pytest.raises(ValueError, match=r"real \[N, h, w, D\]"):
        leopart_kit.cluster(tokens, num_clusters=2)
    with pytest.raises(ValueError, match="maps are empty"):
        leopart_kit.match(np.zeros((0, 2, 2), int), np.zeros((0, 2, 2), int), num_classes=2)
