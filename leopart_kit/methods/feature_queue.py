"""Embeddings of past batches that make Sinkhorn-Knopp's assignments more balanced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from leopart_kit.methods.outside_graphs import outside_graphs

MAX_NEW_PER_IMAGE = 10


class FeatureQueue(nn.Module):
    """One ring of patch embeddings for each global view, kept in the state dict.

    Args:
        num_views: number of global views, G.
        length: embeddings stored per view on this process; divide a global length by the number
            of processes.
        dim: of an embedding.

    Raises:
        ValueError: if one of them is not positive.

    Source: Caron et al. (SwAV), NeurIPS 2020, section 3.1; Ziegler and Asano (Leopart), CVPR 2022.
    """

    features: Tensor  # [G, length, dim]
    stored: Tensor  # int64 [G], embeddings ever stored

    def __init__(self, num_views: int, length: int, dim: int) -> None:
        super().__init__()
        if min(num_views, length, dim) < 1:
            raise ValueError(
                f"num_views, length and dim must be positive, got {num_views}, {length}, {dim}"
            )
        self.length = length
        self.register_buffer("features", torch.zeros(num_views, length, dim))
        self.register_buffer("stored", torch.zeros(num_views, dtype=torch.int64))
        self._known: list[int] | None = None
        self.register_load_state_dict_post_hook(_forget)

    @property
    def counts(self) -> list[int]:
        """`stored` on the host; read once from a GPU, for which the host waits, and then kept."""
        if self._known is None:
            self._known = self.stored.tolist()
        return self._known

    @property
    def full(self) -> bool:
        """True if every view's ring is full; only then should the features be used."""
        return min(self.counts) >= self.length

    @outside_graphs  # counts change in every step
    def when_full(self) -> Tensor | None:
        """The features `[G, length, dim]`, once every view's ring is full."""
        return self.features if self.full else None

    @outside_graphs
    def content(self, view: int) -> Tensor:
        """Features of a view that are stored so far, `[n, dim]` with n up to the length."""
        return self.features[view, : self.counts[view]]

    def divided_anew(
        self, states: Sequence[Mapping[str, Tensor]], rank: int, count: int
    ) -> dict[str, Tensor]:
        """Entries of the state dict as number `rank` of `count` queues that share what was stored.

        Each takes every `count`-th embedding, from the newest on, as far as they fit. All hold as
        many: where they do not divide, some hold one that another holds too. Queues of the same
        length as before are not shared; each goes on from one of those.

        Args:
            states: entries of the queues before, one for each process.
        """
        if states[0]["features"].shape == self.features.shape:
            return dict(states[rank % len(states)])
        features, stored = torch.zeros_like(self.features), torch.zeros_like(self.stored)
        for view in range(len(features)):
            newest = _newest_first([(one["features"][view], one["stored"][view]) for one in states])
            number = min(self.length, -(-len(newest) // count))
            if number:
                places = (rank + count * torch.arange(number)) % len(newest)
                features[view, :number] = newest[places].flip(0).to(features)
            stored[view] = number
        return {"features": features, "stored": stored}

    @outside_graphs
    @torch.no_grad()
    def store(
        self,
        embeddings: Tensor,
        foreground: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        """Replace the oldest embeddings of each view by random ones of the batch.

        Stores min(10 · B, length) of each view, or as many as there are foreground patches if
        those are fewer, which may be none.

        Args:
            embeddings: `[G, B, h, w, dim]`.
            foreground: `[G, B, h, w]`, the patches to choose from; None for all.
            generator: CPU generator of the choice; None for torch's global one.

        Raises:
            ValueError: if the shapes do not fit.
        """
        num_views, dim = self.features.shape[0], self.features.shape[-1]
        if embeddings.ndim != 5 or (len(embeddings), embeddings.shape[-1]) != (num_views, dim):
            raise ValueError(
                f"embeddings must be [{num_views}, images, h, w, {dim}] to fit the queue, got "
                f"shape {list(embeddings.shape)}"
            )
        if foreground is not None and foreground.shape != embeddings.shape[:-1]:
            raise ValueError(
                f"foreground must be {list(embeddings.shape[:-1])} to fit the embeddings, got "
                f"shape {list(foreground.shape)}"
            )
        limit = min(MAX_NEW_PER_IMAGE * embeddings.shape[1], self.length)
        candidates = embeddings.flatten(1, -2)
        numbers, order = [candidates.shape[1]] * num_views, None
        if foreground is not None:
            marked = foreground.flatten(1).bool()
            numbers = marked.sum(dim=1).tolist()  # the one thing that a GPU is waited for
            order = marked.logical_not().byte().argsort(dim=1, stable=True)  # the marked come first
        for view, number in enumerate(numbers):
            chosen = torch.randperm(number, generator=generator)[:limit]
            chosen = chosen.to(candidates.device, non_blocking=True)
            rows = chosen if order is None else order[view, chosen]
            start = self.counts[view]
            slots = torch.arange(start, start + len(rows), device=rows.device) % self.length
            self.features[view, slots] = candidates[view, rows].to(self.features.dtype)
            self.stored[view] += len(rows)
            self.counts[view] += len(rows)


def _forget(queue: FeatureQueue, incompatible_keys: object) -> None:
    """A checkpoint has filled the buffers: their counts on the host are those of before."""
    queue._known = None


def _newest_first(rings: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Embeddings `[n, dim]` of several rings, each `[length, dim]` and how many it ever stored."""
    ages, found = [], []
    for features, stored in rings:
        age = torch.arange(min(int(stored), len(features)))
        ages.append(age)
        found.append(features[(int(stored) - 1 - age) % len(features)])
    order = torch.cat(ages).argsort(stable=True)
    return torch.cat(found)[order]
