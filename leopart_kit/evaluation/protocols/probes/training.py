"""Training of heads on frozen tokens: several heads share every batch, an epoch is a checkpoint."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leopart_kit.data import IGNORE_INDEX
from leopart_kit.evaluation.protocols.probes.batches import Epoch
from leopart_kit.evaluation.protocols.probes.checkpoint import Best, HeadsCheckpoint
from leopart_kit.evaluation.protocols.probes.settings import ProbeSettings
from leopart_kit.progress import Track, quiet

H = TypeVar("H", bound=nn.Module)

logger = logging.getLogger(__name__)


def fit_heads(
    heads: Sequence[H],
    learning_rates: Sequence[float],
    batches: Epoch,
    settings: ProbeSettings,
    *,
    seed: int,
    checkpoint: Path,
    rate: Callable[[nn.Module], float] | None = None,
    device: str = "cpu",
    track: Track = quiet,
) -> list[H]:
    """Train every head with its learning rate by SGD on the cross entropy, ignored pixels left out.

    A head of each learning rate costs little beside the tokens, which all of them share.

    Args:
        checkpoint: written after every epoch, and gone on from where it exists.
        rate: if given, each head is returned as it was after the epoch in which this was highest.

    Returns:
        The heads in evaluation mode.
    """
    heads = [head.to(device) for head in heads]
    optimisers = [
        torch.optim.SGD(
            head.parameters(), lr, momentum=settings.momentum, weight_decay=settings.weight_decay
        )
        for head, lr in zip(heads, learning_rates, strict=True)
    ]
    kept_on_disk = HeadsCheckpoint(checkpoint, "epoch", heads, optimisers)
    start, best = kept_on_disk.resume()
    for epoch in track(range(start, settings.epochs), "training heads", settings.epochs - start):
        _set_rates(optimisers, learning_rates, 0.1 if epoch >= settings.drop_at else 1.0)
        _run_epoch(heads, optimisers, batches, epoch, seed, device)
        if rate is not None:
            _keep_best(heads, best, rate)
        kept_on_disk.save(epoch + 1, best)
    for head, kept in zip(heads, best, strict=True):
        if kept is not None:
            head.load_state_dict(kept["state"])
        head.eval()
    checkpoint.unlink(missing_ok=True)
    return heads


def is_finite(head: nn.Module) -> bool:
    """True if training has not diverged."""
    return all(bool(torch.isfinite(value).all()) for value in head.parameters())


def head_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross entropy over labelled pixels; logits `[B, C, h, w]` are enlarged bilinearly.

    A batch without a labelled pixel gives 0.
    """
    # The classes of a pixel side by side in memory: half the time on a CPU, the same figures.
    by_pixel = logits.float().contiguous(memory_format=torch.channels_last)
    by_pixel = F.interpolate(by_pixel, size=targets.shape[-2:], mode="bilinear")
    rows = by_pixel.permute(0, 2, 3, 1).flatten(0, 2)
    total = F.cross_entropy(rows, targets.flatten(), ignore_index=IGNORE_INDEX, reduction="sum")
    return total / (targets != IGNORE_INDEX).sum().clamp(min=1)


def _run_epoch(
    heads: Sequence[nn.Module],
    optimisers: Sequence[torch.optim.Optimizer],
    batches: Epoch,
    epoch: int,
    seed: int,
    device: str,
) -> None:
    devices = [torch.device(device)] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed * 100_003 + epoch)  # of dropout: resumed runs draw the same
        for tokens, targets in batches(epoch):
            tokens, targets = tokens.to(device), targets.to(device)
            for head, optimiser in zip(heads, optimisers, strict=True):
                head.train()
                optimiser.zero_grad()
                head_loss(head(tokens), targets).backward()
                optimiser.step()


def _set_rates(
    optimisers: Sequence[torch.optim.Optimizer], rates: Sequence[float], factor: float
) -> None:
    for optimiser, rate in zip(optimisers, rates, strict=True):
        for group in optimiser.param_groups:
            group["lr"] = factor * rate


def _keep_best(
    heads: Sequence[nn.Module],
    best: list[Best | None],
    rate: Callable[[nn.Module], float],
) -> None:
    for index, head in enumerate(heads):
        head.eval()
        score, kept = rate(head), best[index]
        if kept is None or score > kept["score"]:
            best[index] = {"score": score, "state": copy.deepcopy(head.state_dict())}
