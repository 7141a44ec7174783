from __future__ import annotations

import pytest
import torch
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from leopart_kit.clustering.sinkhorn import sinkhorn_knopp, sinkhorn_potentials
from tests.two_processes import run_in_processes


@st.composite
def score_matrices(draw, max_abs: float = 1.0) -> Tensor:
    rows, columns = draw(st.integers(1, 40)), draw(st.integers(1, 12))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    return (torch.rand(rows, columns, generator=generator) * 2 - 1) * max_abs


@pytest.mark.parametrize("i", [0, 1, 2])
def test_equals_the_released_code(golden, i):
    arrays = golden("sinkhorn")
    assignments = sinkhorn_knopp(
        torch.from_numpy(arrays[f"scores_{i}"]),
        float(arrays[f"epsilon_{i}"]),
        int(arrays[f"iterations_{i}"]),
    )
    expected = torch.from_numpy(arrays[f"assignments_{i}"])
    torch.testing.assert_close(assignments, expected, rtol=1e-5, atol=1e-12)


def test_one_iteration_by_hand():
    epsilon = 0.5
    scores = epsilon * torch.tensor([[1.0, 3.0], [1.0, 1.0]]).log()
    # Columns divided by their sums: [[1/2, 3/4], [1/2, 1/4]]; then rows by theirs.
    expected = torch.tensor([[2 / 5, 3 / 5], [2 / 3, 1 / 3]])
    torch.testing.assert_close(sinkhorn_knopp(scores, epsilon, 1), expected)


def test_without_iterations_it_is_a_softmax():
    scores = torch.tensor([[0.1, 0.3, -0.2]])
    torch.testing.assert_close(sinkhorn_knopp(scores, 0.1, 0), torch.softmax(scores / 0.1, 1))


@given(score_matrices(), st.integers(1, 5))
def test_rows_sum_to_one(scores, num_iterations):
    assignments = sinkhorn_knopp(scores, num_iterations=num_iterations)
    assert (assignments >= 0).all()
    torch.testing.assert_close(assignments.sum(1), torch.ones(len(scores)))


@settings(deadline=None)
@given(score_matrices())
def test_prototypes_receive_equal_mass_in_the_end(scores):
    assignments = sinkhorn_knopp(scores.double(), epsilon=0.5, num_iterations=300)
    mass = len(scores) / scores.shape[1]
    torch.testing.assert_close(
        assignments.sum(0), torch.full((scores.shape[1],), mass).double(), rtol=1e-6, atol=1e-6
    )


@given(score_matrices(), st.randoms(use_true_random=False))
def test_order_of_samples_and_prototypes_does_not_matter(scores, random):
    rows, columns = list(range(scores.shape[0])), list(range(scores.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    torch.testing.assert_close(
        sinkhorn_knopp(scores[rows][:, columns]), sinkhorn_knopp(scores)[rows][:, columns]
    )


@given(score_matrices(max_abs=1e4))
def test_extreme_scores_stay_finite(scores):
    assignments = sinkhorn_knopp(scores)
    assert assignments.isfinite().all()
    torch.testing.assert_close(assignments.sum(1), torch.ones(len(scores)))


def test_a_prototype_far_from_all_samples_still_receives_its_mass():
    scores = torch.tensor([[1.0, -1000.0], [0.9, -1000.0], [0.5, -999.0], [0.1, -999.0]])
    torch.testing.assert_close(
        sinkhorn_knopp(scores, num_iterations=50),
        torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]),
        rtol=0,
        atol=1e-4,
    )


def test_precision_and_input():
    scores = torch.rand(6, 3, requires_grad=True)
    before = scores.detach().clone()
    assert sinkhorn_knopp(scores.double()).dtype == torch.float64
    assert sinkhorn_knopp(scores.bfloat16()).dtype == torch.float32
    assert not sinkhorn_knopp(scores).requires_grad
    assert torch.equal(scores, before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scores": torch.rand(3)}, r"\[samples, prototypes\].*\[3\]"),
        ({"scores": torch.rand(3, 2), "epsilon": 0.0}, "epsilon must be > 0"),
        ({"scores": torch.rand(3, 2), "num_iterations": -1}, "got 0.05 and -1"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        sinkhorn_knopp(**arguments)


def _assign_share(rank: int, scores: Tensor, sizes: list[tuple[int, int]]) -> list[Tensor]:
    return [
        sinkhorn_knopp(scores.split(size)[rank], process_group=dist.group.WORLD) for size in sizes
    ]


def test_two_processes_assign_like_one():
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(50, 7, generator=generator) * 2 - 1
    scores[3] *= 1e3
    sizes = [(25, 25), (11, 39), (50, 0)]
    results = run_in_processes(_assign_share, 2, scores, sizes)
    for shares in zip(*results, strict=True):
        torch.testing.assert_close(torch.cat(shares), sinkhorn_knopp(scores), rtol=1e-5, atol=1e-7)


@given(
    scores=score_matrices(),
    epsilon=st.sampled_from([0.05, 0.3, 1.0]),
    num_iterations=st.integers(0, 5),
)
def test_potentials_assign_the_same_samples_alike(scores, epsilon, num_iterations):
    potentials = sinkhorn_potentials(scores, epsilon, num_iterations)
    assert potentials.shape == scores.shape[1:]
    assignments = torch.softmax(scores / epsilon + potentials, dim=1)
    expected = sinkhorn_knopp(scores, epsilon, num_iterations)
    torch.testing.assert_close(assignments, expected, rtol=1e-4, atol=1e-5)


def test_potentials_by_hand():
    # e^s = [[3, 1], [1, 1]]: the columns hold 4 and 2, the rows then sum to 5/4 and 3/4, and the
    # next columns to 3/5 + 1/3 and 2/5 + 2/3.
    scores = torch.tensor([[3.0, 1.0], [1.0, 1.0]]).log()
    assert sinkhorn_potentials(scores, 1.0, 0).tolist() == [0, 0]
    once = sinkhorn_potentials(scores, 1.0, 1)
    torch.testing.assert_close(once, -torch.tensor([4.0, 2.0]).log())
    twice = sinkhorn_potentials(scores, 1.0, 2)
    second = torch.tensor([3 / 5 + 1 / 3, 2 / 5 + 2 / 3])
    torch.testing.assert_close(twice, once - second.log())


def _potentials_of_share(rank: int, scores: Tensor, size: tuple[int, int]) -> Tensor:
    return sinkhorn_potentials(scores.split(size)[rank], process_group=dist.group.WORLD)


def test_two_processes_find_the_potentials_of_one():
    generator = torch.Generator().manual_seed(1)
    scores = torch.rand(50, 7, generator=generator) * 2 - 1
    results = run_in_processes(_potentials_of_share, 2, scores, (11, 39))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)
    assigned = torch.softmax(scores / 0.05 + results[0], dim=1)
    torch.testing.assert_close(assigned, sinkhorn_knopp(scores), rtol=1e-4, atol=1e-5)
