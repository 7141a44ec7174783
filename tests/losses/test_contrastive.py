"""Contrastive losses against the formulas written out pair by pair, alone and in two processes."""

from __future__ import annotations

import math

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from leopart_kit.losses import batch_info_nce, gather_rows, nt_xent, queue_info_nce
from tests.two_processes import run_in_processes


def embeddings(seed: int, rows: int = 4, dim: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, dim, dtype=torch.float64, generator=generator, requires_grad=True)


def similarity(a: Tensor, b: Tensor) -> Tensor:
    return (a @ b) / (a.norm() * b.norm())


def nt_xent_written_out(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Equation 1 of the SimCLR paper, one pair after the other."""
    z = [*first, *second]
    n = len(first)
    total = first.new_zeros(())
    for i in range(2 * n):
        j = (i + n) % (2 * n)
        others = [k for k in range(2 * n) if k != i]
        below = sum((similarity(z[i], z[k]) / temperature).exp() for k in others)
        total = total - ((similarity(z[i], z[j]) / temperature).exp() / below).log()
    return total / (2 * n)


def test_nt_xent_is_the_formula_of_the_paper():
    first, second = embeddings(0), embeddings(1)
    loss = nt_xent(first, second, 0.5)
    expected = nt_xent_written_out(first, second, 0.5)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-12)
    own = torch.autograd.grad(loss, [first, second])
    theirs = torch.autograd.grad(expected, [first, second])
    for a, b in zip(own, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_nt_xent_by_hand():
    # Two images on two axes, both views alike: each query sees its positive at 1, two at 0.
    eye = torch.eye(2)
    expected = math.log((math.e + 2) / math.e)
    assert nt_xent(eye, eye, 1.0).item() == pytest.approx(expected, abs=1e-6)


def test_queue_info_nce_is_cross_entropy_with_the_key_first():
    queries, keys, queue = embeddings(0), embeddings(1), embeddings(2, rows=7)
    loss = queue_info_nce(queries, keys, queue, 0.2)
    total = queries.new_zeros(())
    for q, k in zip(queries, keys.detach(), strict=True):
        positive = (similarity(q, k) / 0.2).exp()
        total = (
            total
            - (positive / (positive + sum((similarity(q, n) / 0.2).exp() for n in queue))).log()
        )
    assert loss.item() == pytest.approx(total.item() / 4, abs=1e-12)
    loss.backward()
    assert queries.grad is not None
    assert keys.grad is None
    assert queue.grad is None
    (expected,) = torch.autograd.grad(total / 4, queries)
    torch.testing.assert_close(queries.grad, expected, rtol=1e-9, atol=1e-12)


def test_without_negatives_there_is_nothing_to_learn():
    queries = embeddings(0)
    loss = queue_info_nce(queries, embeddings(1), queries.new_zeros(0, 3))
    loss.backward()
    assert loss.item() == 0
    assert queries.grad is not None
    assert queries.grad.abs().max() == 0


def test_batch_info_nce_is_cross_entropy_over_the_keys_of_the_batch():
    queries, keys = embeddings(0), embeddings(1)
    temperature = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    loss = batch_info_nce(queries, keys, temperature)
    total = queries.new_zeros(())
    for i, q in enumerate(queries):
        weights = torch.stack([(similarity(q, k) / temperature).exp() for k in keys])
        total = total - (weights[i] / weights.sum()).log()
    assert loss.item() == pytest.approx(total.item() / 4, abs=1e-12)
    inputs = [queries, keys, temperature]
    for a, b in zip(
        torch.autograd.grad(loss, inputs), torch.autograd.grad(total / 4, inputs), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_half_precision_is_computed_in_float32():
    first, second = embeddings(0).detach().bfloat16(), embeddings(1).detach().bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = nt_xent(first, second, 0.1)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(nt_xent(first.float(), second.float(), 0.1).item())


@pytest.mark.parametrize("loss", [nt_xent, batch_info_nce])
def test_two_sides_of_different_shape(loss):
    with pytest.raises(ValueError, match=r"\[4, 3\].*\[4, 2\]"):
        loss(embeddings(0), embeddings(1, dim=2))


def test_an_image_alone_has_no_negatives():
    with pytest.raises(ValueError, match="2 images"):
        nt_xent(embeddings(0, rows=1), embeddings(1, rows=1))


def in_one_of_two(rank: int, weights: Tensor) -> list[Tensor]:
    """Loss of a linear network on half of the batch, gradients averaged as DDP does."""
    results = []
    for name in ("nt_xent", "batch_info_nce", "gather_rows"):
        own = weights.clone().requires_grad_(True)
        first, second = (
            part.detach()[2 * rank : 2 * rank + 2] for part in (embeddings(0), embeddings(1))
        )
        group = dist.group.WORLD
        if name == "nt_xent":
            loss = nt_xent(first @ own, second @ own, 0.2, group)
        elif name == "batch_info_nce":
            loss = batch_info_nce(first @ own, second @ own, 0.2, group)
        else:
            loss = gather_rows(first @ own, group)[0].square().mean()
        loss.backward()
        assert own.grad is not None
        mean = torch.cat([loss.detach().reshape(1), own.grad.flatten()])
        dist.all_reduce(mean)
        results.append(mean / 2)
    return results


def test_two_processes_are_one_with_the_whole_batch():
    weights = embeddings(3, rows=3).detach()
    halves = run_in_processes(in_one_of_two, 2, weights)
    for index, name in enumerate(("nt_xent", "batch_info_nce", "gather_rows")):
        own = weights.clone().requires_grad_(True)
        first, second = embeddings(0).detach() @ own, embeddings(1).detach() @ own
        if name == "nt_xent":
            loss = nt_xent(first, second, 0.2)
        elif name == "batch_info_nce":
            loss = batch_info_nce(first, second, 0.2)
        else:
            loss = first.square().mean()
        loss.backward()
        assert own.grad is not None
        whole = torch.cat([loss.detach().reshape(1), own.grad.flatten()])
        for rank in (0, 1):
            torch.testing.assert_close(halves[rank][index], whole, rtol=1e-9, atol=1e-12)


def test_cosine_similarity_ignores_lengths():
    first, second = embeddings(0).detach(), embeddings(1).detach()
    scaled = F.normalize(first, dim=1) * 7
    assert nt_xent(scaled, second).item() == pytest.approx(nt_xent(first, second).item())
