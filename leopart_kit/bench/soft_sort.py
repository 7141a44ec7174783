"""Benchmark of soft sorting: seconds and memory beside the diffsort package's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import get_args

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from leopart_kit.bench.machine import fastest
from leopart_kit.losses.soft_sort import Network, soft_sort


def bench_soft_sort(batch_size: int = 64, width: int = 49, repeats: int = 20) -> Iterator[str]:
    """Forward and backward of one batch of rows: seconds, and the largest memory held at a time."""
    yield f"soft_sort: {batch_size} rows of {width}, forward and backward"
    try:
        import diffsort
    except ImportError:
        diffsort = None
        yield "  diffsort is not installed: pip install 'leopart-kit[dev]'"
    values = torch.randn(batch_size, width, requires_grad=True)
    weights = torch.randn(batch_size, width, width)
    for network in get_args(Network):
        sorts: dict[str, Callable[[Tensor], tuple[Tensor, Tensor]]] = {
            "here": lambda x, kind=network: soft_sort(x, 100, kind)
        }
        if diffsort is not None:
            package = diffsort.DiffSortNet(network, width, steepness=100, distribution="cauchy")
            sorts["diffsort"] = package
        figures = []
        for name, sort in sorts.items():

            def step(sort: Callable[[Tensor], tuple[Tensor, Tensor]] = sort) -> None:
                values.grad = None
                (sort(values)[1] * weights).sum().backward()

            figures.append((fastest(step, repeats), _peak_bytes(step)))
            seconds, size = figures[-1]
            yield f"  {network:8}  {name:8}  {1e3 * seconds:6.1f} ms  {size / 2**20:5.1f} MiB"
        if len(figures) == 2:
            (ours, held), (theirs, held_there) = figures
            yield (
                f"  {network:8}  {theirs / ours:.1f} times faster, {held_there / held:.1f} times "
                "less memory"
            )


def _peak_bytes(function: Callable[[], object]) -> int:
    """Most memory that torch held at a time beyond what it held before, on the CPU."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        function()
    held = largest = 0
    for event in profiler.profiler.kineto_results.events():  # pyright: ignore
        if event.name() == "[memory]":
            held += event.nbytes()  # pyright: ignore
            largest = max(largest, held)
    return largest
