from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.evaluation.protocols.in_context.labels import (
    classes_of_soft_labels,
    patch_class_counts,
    patch_labels,
    patch_scores,
    sample_patches,
    transfer_labels,
)


def test_labels_and_scores_of_patches_are_those_of_the_released_code(golden):
    figures = golden("in_context")
    masks = torch.from_numpy(figures["masks"])
    counts = patch_class_counts(masks, int(figures["patch_size"]), 7)
    torch.testing.assert_close(
        patch_labels(counts), torch.from_numpy(figures["patch_labels"]), rtol=1e-5, atol=0
    )
    torch.testing.assert_close(
        patch_scores(counts[0]), torch.from_numpy(figures["patch_scores_image0"]), rtol=1e-5, atol=0
    )


def test_labels_are_handed_on_as_in_the_released_code(golden):
    figures = {
        name: torch.from_numpy(np.array(value)) for name, value in golden("in_context").items()
    }
    queries = F.normalize(figures["queries"], dim=-1)
    keys = F.normalize(figures["neighbour_keys"], dim=-1)
    similarities = (queries[:, :, None] * keys).sum(dim=-1)
    found = transfer_labels(
        similarities, figures["neighbour_labels"], float(figures["temperature"])
    )
    torch.testing.assert_close(found, figures["label_hat"], rtol=1e-5, atol=1e-7)


def test_counts_scores_and_labels_by_hand():
    mask = torch.tensor([[0, 0, 1, 255], [0, 0, 1, 255], [0, 2, 255, 255], [2, 2, 255, 255]])
    counts = patch_class_counts(mask[None], 2, 3)[0]
    assert counts.tolist() == [[[4, 0, 0], [0, 2, 0]], [[1, 0, 3], [0, 0, 0]]]
    assert patch_labels(counts).tolist() == [[[1, 0, 0], [0, 1, 0]], [[0.25, 0, 0.75], [0, 0, 0]]]
    # Class 0 lies in two patches, 1 and 2 in one each.
    assert patch_scores(counts).tolist() == [[2, 1], [3, 0]]


def test_sampling_prefers_rare_classes_and_never_takes_unlabelled_patches():
    scores = np.array([0.0] + [100.0] * 50 + [1.0] * 10)
    taken = np.zeros(len(scores))
    for seed in range(50):
        chosen = sample_patches(scores, 10, np.random.default_rng(seed))
        assert len(set(chosen.tolist())) == 10
        taken[chosen] += 1
    assert taken[0] == 0
    assert taken[51:].min() > 30 > 15 > taken[1:51].max()
    assert sample_patches(scores, 1000, np.random.default_rng(0)).tolist() == list(range(1, 61))


def test_the_seed_decides_what_is_sampled():
    scores = np.ones(40)
    first, again, other = (
        sample_patches(scores, 10, np.random.default_rng(seed)).tolist() for seed in (0, 0, 1)
    )
    assert first == again != other


@given(st.integers(0, 1000), st.integers(1, 6), st.floats(1e-6, 1))
def test_what_is_handed_on_is_a_distribution_whatever_the_order(seed, k, temperature):
    generator = torch.Generator().manual_seed(seed)
    similarities = torch.rand(3, k, generator=generator)
    labels = torch.softmax(torch.randn(3, k, 4, generator=generator), dim=-1)
    found = transfer_labels(similarities, labels, temperature)
    torch.testing.assert_close(found.sum(dim=-1), torch.ones(3))
    order = torch.randperm(k, generator=generator)
    permuted = transfer_labels(similarities[:, order], labels[:, order], temperature)
    torch.testing.assert_close(permuted, found)


def test_soft_labels_are_enlarged_before_the_largest_is_taken():
    labels = torch.zeros(1, 2, 5)
    labels[0, 0, 4], labels[0, 1, 1], labels[0, 1, 4] = 1.0, 0.9, 0.1
    # Weight of the left patch at 8 columns: 1, 1, .875, .625, .375, .125, 0, 0; class 4 wins
    # where it is above .9 (1 - w) - .1 (1 - w), that is w > 4 / 9.
    found = classes_of_soft_labels(labels, (1, 8))
    assert found.tolist() == [[4, 4, 4, 4, 1, 1, 1, 1]]
    whole = F.interpolate(labels.permute(2, 0, 1)[None], size=(5, 9), mode="bilinear")[0]
    assert torch.equal(classes_of_soft_labels(labels, (5, 9)), whole.argmax(dim=0))
