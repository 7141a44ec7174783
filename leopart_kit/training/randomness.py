"""Seeds and the state of the global random generators of Python, NumPy and torch."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def derive_seed(*parts: int) -> int:
    """A 63-bit seed from non-negative integers; different parts give independent streams.

    NumPy's SeedSequence mixes them, so that (seed 1, epoch 0) and (seed 0, epoch 1) are unrelated.
    """
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch, on every device."""
    _seed_cpu(seed)
    torch.manual_seed(seed)


def capture_random_state() -> dict[str, Any]:
    """State of the global generators, made of what `torch.load(weights_only=True)` accepts."""
    name, keys, *rest = np.random.get_state(legacy=True)
    state: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_random_state(state: dict[str, Any]) -> None:
    """Undo everything since the matching `capture_random_state`."""
    random.setstate(state["python"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


@contextmanager
def unchanged_random_state() -> Iterator[None]:
    """Code inside may draw as it likes: afterwards the global generators are as before."""
    state = capture_random_state()
    try:
        yield
    finally:
        restore_random_state(state)


@contextmanager
def reproducible_cpu(seed: int) -> Iterator[None]:
    """Inside, the CPU generators start from `seed` and torch has one thread; then all is as before.

    Made for augmentation. One thread, as in a worker of a data loader, because the last bit of a
    sum depends on how many share it. The generators of accelerators are left alone, also by the
    seeding, which `torch.manual_seed` would not do.
    """
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    num_threads = torch.get_num_threads()
    _seed_cpu(seed)
    torch.default_generator.manual_seed(seed)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])


def _seed_cpu(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
