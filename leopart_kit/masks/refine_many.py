"""Refine the maps of many images, in processes that neither hang nor outlive their parent."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import TypedDict

import cv2
import numpy as np

from leopart_kit.masks.dense_crf import check_dense_crf
from leopart_kit.masks.pairwise import Pairwise
from leopart_kit.masks.refine import Refinement, refine
from leopart_kit.progress import Track, quiet

_PENDING_PER_PROCESS = 2
_Item = tuple[str, np.ndarray, np.ndarray]


class _Settings(TypedDict):
    method: Refinement
    confidence: float
    pairwise: Pairwise | None


def refine_many(
    items: Iterable[tuple[str, np.ndarray, np.ndarray]],
    total: int,
    method: Refinement = "dense_crf",
    *,
    num_processes: int = 1,
    confidence: float = 0.9,
    pairwise: Pairwise | None = None,
    track: Track = quiet,
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield `(name, refined labels [H, W])` of every `(name, image, labels)`, in their order.

    Items are read only as fast as results are taken, so memory does not grow with their number.

    Args:
        items: a name, an image uint8 `[H, W, 3]` and its labels `[h, w]` (see `refine`).
        total: number of items, for the progress.
        num_processes: 1 works in this process. More are started anew, so a script that calls this
            needs `if __name__ == "__main__":`.
        method, confidence, pairwise: as for `refine`.

    Raises:
        ValueError: what `refine` refuses, with the item's name; no process at all.
        RuntimeError: a process died.
    """
    if num_processes < 1:
        raise ValueError(f"num_processes must be 1 or more, got {num_processes}")
    if method == "dense_crf":
        check_dense_crf()

    settings: _Settings = {"method": method, "confidence": confidence, "pairwise": pairwise}
    if num_processes == 1:
        refined = (_refine_one(item, settings) for item in items)
    else:
        refined = _in_processes(items, settings, num_processes)
    return iter(track(refined, f"refining with {method}", total))


def _refine_one(item: _Item, settings: _Settings) -> tuple[str, np.ndarray]:
    name, image, labels = item
    try:
        return name, refine(image, labels, **settings)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _in_processes(
    items: Iterable[_Item], settings: _Settings, num_processes: int
) -> Iterator[tuple[str, np.ndarray]]:
    # Spawned, not forked: a fork of a process with threads (torch has some) can hang.
    executor = ProcessPoolExecutor(num_processes, get_context("spawn"), initializer=_start_worker)
    pending: deque[Future[tuple[str, np.ndarray]]] = deque()
    try:
        for item in items:
            pending.append(executor.submit(_refine_one, item, settings))
            if len(pending) >= _PENDING_PER_PROCESS * num_processes:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool as error:
        raise RuntimeError(
            "a refinement process died, probably for want of memory: use fewer processes or "
            'smaller images (a script of your own needs `if __name__ == "__main__":`)'
        ) from error
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    cv2.setNumThreads(1)
    # Ctrl-C reaches the whole group; the parent alone answers it and ends the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent cannot end its workers, and they would wait for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
