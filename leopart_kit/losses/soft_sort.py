"""Sorting that has a gradient: a network of comparators, each of which exchanges its two values
by a share.

A comparator of two wires mixes them as `[[a, 1 - a], [1 - a, a]]`, and the matrix of the whole
network is the product of its layers. Here no layer is a matrix: the comparators of a layer lie at
regular distances, so a layer is a few strided views of the product so far, changed in place.

Source: Petersen et al., "Differentiable Sorting Networks for Scalable Sorting and Ranking
Supervision", ICML 2021; the comparator: "Monotonic Differentiable Sorting Networks", ICLR 2022.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from leopart_kit.losses.full_precision import full_precision

Network = Literal["bitonic", "odd_even"]

STEEPEST = 1e38  # its products with gaps of cosines still fit float32

_ROWS_AT_ONCE = 16  # of which all layers stay in a core's cache while they are differentiated
_ROWS_ON_GPU = 4096  # a GPU has no use for small pieces


@full_precision
def soft_sort(
    values: Tensor, steepness: float, network: Network = "bitonic"
) -> tuple[Tensor, Tensor]:
    """Sort rows in ascending order, softly.

    A comparator keeps the order of `a` and `b` by the share `atan(steepness * (b - a)) / pi + 1/2`.

    Args:
        values: `[N, n]`.
        steepness: 0 mixes all, infinity sorts.
        network: `bitonic`, about `log2(n)^2 / 2` layers; wires that are missing to a power of two
            are at its top, and comparators that touch one are left out. `odd_even`, n layers.

    Returns:
        Sorted values `[N, n]`, and the doubly stochastic matrices `[N, n, n]` that lead to them:
        `permutation[:, i, j]` is the share of value i in place j.

    Raises:
        ValueError: values that are no matrix of floating numbers, a steepness out of range, an
            unknown network.
    """
    if values.ndim != 2 or not values.shape[1]:
        raise ValueError(f"values must be [N, n] with n above 0, got shape {list(values.shape)}")
    if not values.is_floating_point():
        raise ValueError(f"values must be floating, got {values.dtype}")
    if not 0 <= steepness <= STEEPEST:
        raise ValueError(f"steepness must be from 0 to {STEEPEST:.0e}, got {steepness}")
    if network not in get_args(Network):
        raise ValueError(f"network must be bitonic or odd_even, got {network!r}")
    blocks = sorting_network(values.shape[1], network)
    if not any(block.runs for block in blocks):  # one value is in its place
        return values, torch.ones_like(values).unsqueeze(2)
    return _SoftSort.apply(values, blocks, steepness)  # pyright: ignore


class Run(NamedTuple):
    """Comparators at regular distances: `groups` of `width` pairs, the two ends `distance` apart.

    The groups begin `2 * distance` apart, at wire `start`. `descending [groups]`: pairs of the
    group that sort the other way round.
    """

    start: int
    groups: int
    distance: int
    width: int
    descending: tuple[bool, ...]

    def ends(self, wires: Tensor) -> tuple[Tensor, Tensor]:
        """Views `[groups, width, ...]` of the first and the second wires, of `[n, ...]`."""
        if self.groups == 1:
            second = self.start + self.distance
            ends = wires[self.start : self.start + self.width], wires[second : second + self.width]
            return ends[0].unsqueeze(0), ends[1].unsqueeze(0)
        length = 2 * self.distance * self.groups
        pairs = wires[self.start : self.start + length].unflatten(0, (self.groups, 2, -1))
        return pairs[:, 0], pairs[:, 1]

    def direction(self, like: Tensor) -> Tensor:
        """1 or -1 for each group, `[groups, 1, 1]`."""
        signs = torch.tensor([-1.0 if down else 1.0 for down in self.descending])
        return signs.to(like, non_blocking=True)[:, None, None]

    def exchanged(self, gap: Tensor, steepness: float) -> Tensor:
        """The share of the other end, `[groups, width, N]`, by how far the second is above."""
        return 0.5 - torch.atan(steepness * self.direction(gap) * gap) / math.pi


class Block(NamedTuple):
    """Layers that mix wires of the same `span` only: whose `(offset + wire) // span` is equal.

    Before the block, wires of equal `(offset + wire) // before` were mixed.
    """

    layers: tuple[tuple[Run, ...], ...]
    before: int
    span: int
    offset: int

    @property
    def runs(self) -> list[Run]:
        """All comparators in order."""
        return [run for layer in self.layers for run in layer]

    def places(self, num_wires: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Every wire, and the part of its span in which it was mixed before, `[n]` each."""
        wires = torch.arange(num_wires, device=device)
        return wires, (wires + self.offset) // self.before % (self.span // self.before)


@lru_cache
def sorting_network(num_wires: int, network: Network) -> tuple[Block, ...]:
    """The layers of a network, in blocks."""
    if network == "odd_even":
        layers = (_neighbours(layer % 2, num_wires) for layer in range(num_wires))
        return (Block(tuple(filter(None, layers)), 1, num_wires, 0),)
    depth = math.ceil(math.log2(max(num_wires, 1)))
    offset = 2**depth - num_wires
    return tuple(
        Block(
            tuple(_bitonic(2**power, block, offset, num_wires) for power in range(block, -1, -1)),
            2**block,
            2 ** (block + 1),
            offset,
        )
        for block in range(depth)
    )


def _neighbours(start: int, num_wires: int) -> tuple[Run, ...]:
    groups = (num_wires - start) // 2
    return (Run(start, groups, 1, 1, (False,) * groups),) if groups else ()


def _bitonic(distance: int, block: int, offset: int, num_wires: int) -> tuple[Run, ...]:
    """One layer; wires `offset` to `offset + n - 1` of the whole network are there."""
    runs, span = [], 2 * distance

    def descending(group: int) -> bool:
        whole = group * span >> (block + 1)  # the group of the block that it is part of
        turned = whole == offset >> (block + 1) and _must_turn(block, offset)
        return whole % 2 == 1 and not turned

    group = offset // span
    if offset % span:  # a group that has lost its first wires
        pairs = group * span + distance - offset
        if pairs > 0:
            runs.append(Run(0, 1, distance, pairs, (descending(group),)))
        group += 1
    groups = (offset + num_wires) // span - group
    if groups:
        downward = tuple(descending(group + i) for i in range(groups))
        runs.append(Run(group * span - offset, groups, distance, distance, downward))
    return tuple(runs)


def _must_turn(block: int, offset: int) -> bool:
    """True if the block's first group must ascend, where the package has it descend.

    Its first half is ascending and has lost wires: these count as -inf so far, and would be inf
    from now on. With two of them and two values beside them that would no longer sort.
    """
    lost = offset % 2**block
    return (offset >> block) % 2 == 0 and 2 <= lost <= 2**block - 2


class _SoftSort(torch.autograd.Function):
    """Values `[N, n]` through the network, and the product of its layers `[N, n, n]`.

    Nothing but the gaps of each comparator is kept for the gradient. A few rows at a time go
    through the network again, and come back while their layers are still in the cache.
    """

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, blocks: tuple[Block, ...], steepness: float
    ) -> tuple[Tensor, Tensor]:
        wires, gaps, shares = values.T.clone(memory_format=torch.contiguous_format), [], []
        for run in _runs(blocks):
            first, second = run.ends(wires)
            gaps.append(second - first)
            shares.append(run.exchanged(gaps[-1], steepness))
            _exchange(first, second, gaps[-1] * shares[-1])
        product = values.new_empty(*values.shape, len(wires))
        for rows in _chunks(values):
            parts = [share[..., rows] for share in shares]
            product[rows] = _product(blocks, len(wires), parts, None).permute(2, 1, 0)
        ctx.blocks, ctx.steepness = blocks, steepness
        ctx.save_for_backward(*gaps)
        return wires.T, product

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        gaps, runs = ctx.saved_tensors, _runs(ctx.blocks)
        by_values, by_product = gradients
        shares = [run.exchanged(gap, ctx.steepness) for run, gap in zip(runs, gaps, strict=True)]
        by_share = [torch.empty_like(share) for share in shares]
        for rows in _chunks(by_product):
            wires = by_product[rows].permute(2, 1, 0).clone(memory_format=torch.contiguous_format)
            parts = [[share[..., rows] for share in each] for each in (shares, by_share)]
            _product_backward(ctx.blocks, wires, *parts)
        wires = by_values.T.clone(memory_format=torch.contiguous_format)
        for run, gap, share, slope in reversed(
            list(zip(runs, gaps, shares, by_share, strict=True))
        ):
            first, second = run.ends(wires)
            change = first - second
            steepness = ctx.steepness * run.direction(gap)
            slope = (slope + change * gap) * steepness / (math.pi * (1 + (steepness * gap) ** 2))
            _exchange(first, second, slope - share * change)
        return wires.T, None, None


def _runs(blocks: tuple[Block, ...]) -> list[Run]:
    return [run for block in blocks for run in block.runs]


def _exchange(first: Tensor, second: Tensor, step: Tensor) -> None:
    first.add_(step)
    second.sub_(step)


def _chunks(rows: Tensor) -> list[slice]:
    size = _ROWS_AT_ONCE if rows.device.type == "cpu" else _ROWS_ON_GPU
    return [slice(start, start + size) for start in range(0, len(rows), size)]


def _product(
    blocks: tuple[Block, ...], num_wires: int, shares: list[Tensor], gaps: list[Tensor] | None
) -> Tensor:
    """`[n places, n values, C]`; appends what each run's gradient needs to `gaps`.

    A wire holds the columns of the values of its span alone, all others are 0.
    """
    product, exchanged = shares[0].new_ones(num_wires, 1, shares[0].shape[-1]), iter(shares)
    for block in blocks:
        product = _widened(product, block)
        for run in block.runs:
            first, second = run.ends(product)
            gap = second - first
            if gaps is not None:
                gaps.append(gap)
            _exchange(first, second, gap * next(exchanged).unsqueeze(2))
    return product


def _product_backward(
    blocks: tuple[Block, ...], gradient: Tensor, shares: list[Tensor], out: list[Tensor]
) -> None:
    """Fill `out` with the gradients of the shares, from that of the product, which is used up."""
    gaps: list[Tensor] = []
    _product(blocks, len(gradient), shares, gaps)
    steps = zip(reversed(shares), reversed(out), strict=True)
    for block in reversed(blocks):
        for run in reversed(block.runs):
            share, by_share = next(steps)
            first, second = run.ends(gradient)
            change = second - first
            torch.sum(gaps.pop().mul_(change), dim=2, out=by_share)
            by_share.neg_()
            _exchange(first, second, change.mul_(share.unsqueeze(2)))
        gradient = _narrowed(gradient, block)


def _widened(product: Tensor, block: Block) -> Tensor:
    """Columns of the wires' own part → of their span, `[n, before, C]` → `[n, span, C]`.

    The columns of wires that are not there are left out.
    """
    num_wires, before, rows = product.shape
    parts = block.span // before
    wide = product.new_zeros(num_wires, parts, before, rows)
    wide[block.places(num_wires, product.device)] = product
    wide = wide.flatten(1, 2)
    return wide if block.span <= num_wires else wide[:, block.offset :].contiguous()


def _narrowed(gradient: Tensor, block: Block) -> Tensor:
    """The way back of `_widened`."""
    num_wires = len(gradient)
    if block.span > num_wires:
        gradient = F.pad(gradient, (0, 0, block.offset, 0))
    parts = gradient.unflatten(1, (-1, block.before))
    return parts[block.places(num_wires, gradient.device)]
