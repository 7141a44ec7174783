"""The graph of parts on maps whose neighbours can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from leopart_kit.clustering import cooccurrence
from leopart_kit.evaluation.protocols.unsupervised.part_graph import (
    Merging,
    PartGraph,
    objects_of,
)
from leopart_kit.evaluation.protocols.unsupervised.selection import (
    SearchSpace,
    candidates,
    merged_counts,
    rate_with_labels,
    rate_without_labels,
    table,
)

SIZE = (4, 4)


def pairs(num_images: int, partners: dict[int, int], lonely: int | None = None) -> np.ndarray:
    """Image i shows one of the pairs of parts, side by side; every fourth shows `lonely` alone."""
    keys = list(partners)
    maps = np.zeros((num_images, *SIZE), dtype=np.int32)
    for index in range(num_images):
        if lonely is not None and index % 4 == 3:
            maps[index] = lonely
            continue
        part = keys[index % len(keys)]
        maps[index, :, :2], maps[index, :, 2:] = part, partners[part]
    return maps


def test_cooccurrence_of_blocks_is_that_of_all_images():
    maps = pairs(23, {1: 2, 3: 4}, lonely=5)
    found = PartGraph(maps, 5, SIZE).cooccurrence()
    torch.testing.assert_close(found, cooccurrence(torch.from_numpy(maps), 6))


def test_a_merging_is_assessed_by_what_it_is_made_of():
    graph = PartGraph(pairs(40, {1: 2, 3: 4}, lonely=5), 5, SIZE)
    found = graph.assess(Merging(0.5, preferred_communities=2), num_resamples=4, seed=0)
    assert found.stability == 1
    assert found.quality.num_communities == 2
    assert found.quality.modularity == pytest.approx(0.5)  # two equal groups, all weight inside
    assert found.coverage == pytest.approx(0.75)  # a quarter of the images shows part 5 alone
    assert found.score == pytest.approx(1 * 0.5 * 0.75)
    # Louvain is not drawn to a number: half as many as preferred are worth half.
    fewer = Merging(0.5, preferred_communities=4, method="louvain")
    assert graph.assess(fewer, num_resamples=4, seed=0).score == pytest.approx(found.score / 2)


def test_objects_that_other_images_do_not_confirm_are_unstable():
    # Part 1 has another partner in every block of images, so it depends on the blocks drawn.
    maps = np.concatenate([pairs(1, {1: 2 + block}) for block in range(10)])
    graph = PartGraph(maps, 11, SIZE)
    merging = Merging(0.05, preferred_communities=1)
    assert graph.assess(merging, num_resamples=5, seed=0).stability < 0.9


def test_no_edge_is_worth_nothing():
    graph = PartGraph(pairs(10, {1: 2}), 2, SIZE)
    found = graph.assess(Merging(1.5, preferred_communities=1), num_resamples=3, seed=0)
    assert (found.coverage, found.score) == (0, 0)


def test_parts_become_objects_and_their_pixels_add_up():
    objects = objects_of(torch.tensor([-1, 0, 0, 1]))
    assert objects.tolist() == [0, 1, 1, 2]
    counts = torch.tensor([[5, 1, 2, 0], [0, 3, 4, 7]])
    assert merged_counts(counts, objects).tolist() == [[5, 3, 0], [0, 7, 7]]


def test_the_best_candidate_comes_first_and_says_why():
    graph = PartGraph(pairs(40, {1: 2, 3: 4}), 4, SIZE)
    space = SearchSpace((4,), (2.0, 0.5), (1.0,), num_resamples=2)
    fixed = Merging(0.0, preferred_communities=2)
    free = candidates(lambda k: graph, space, fixed, rate_without_labels(2, seed=0))
    assert [found.merging.edge_threshold for found in free] == [0.5, 2.0]
    assert table(free)[0]["num_communities"] == 2
    # Class 1 is parts 1 and 2, class 2 is parts 3 and 4, background is background.
    counts = torch.tensor([[9, 0, 0, 0, 0], [0, 4, 4, 0, 0], [0, 0, 0, 5, 5]])
    tuned = candidates(lambda k: graph, space, fixed, rate_with_labels(lambda k: counts, 0, seed=0))
    assert tuned[0].merging.edge_threshold == 0.5
    assert tuned[0].score == 100
    assert tuned[1].score == pytest.approx(100 * (10 / 27) / 3)  # one object: class 2
