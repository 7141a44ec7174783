"""Batches of augmented samples from any position of the stream, loaded by worker processes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, default_collate

from leopart_kit.launch import own_cores
from leopart_kit.training.sampler import ResumableSampler
from leopart_kit.training.samples import CollateSamples, LoadedBatch, SeededSamples


def default_num_workers(device_type: str) -> int:
    """Worker processes for this training process.

    Beside an accelerator: the cores of the process (see `own_cores`), at most 8. Where the CPU
    itself trains, a worker takes a core from the matrix products. So there is one worker for every
    four cores, at most 2, and none on a small machine.
    """
    cores = own_cores()
    return min(2, cores // 4) if device_type == "cpu" else min(8, cores)


class TrainingLoader:
    """Endless batches for one process of a run.

    samples: what to load; its seed also orders the stream.
    batch_size: images in a batch of *this* process; a step of the run reads
        `batch_size * world_size * accumulate_steps`.
    num_workers: processes that load ahead, `prefetch_factor` batches each; 0 loads in between
        the steps. The batches do not depend on it.
    collate: list of transformed items → batch, `torch.utils.data.default_collate` by default.

    Raises ValueError for an empty data set or a batch size below 1.
    """

    def __init__(
        self,
        samples: SeededSamples,
        batch_size: int,
        *,
        num_workers: int = 0,
        prefetch_factor: int = 2,
        rank: int = 0,
        world_size: int = 1,
        collate: Callable[[list[Any]], Any] = default_collate,
        pin_memory: bool = False,
    ) -> None:
        if num_workers < 0:
            raise ValueError(f"num_workers must not be negative, got {num_workers}")
        self.samples = samples
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.prefetch_factor = prefetch_factor
        self.rank = rank
        self.world_size = world_size
        self.collate = CollateSamples(collate)
        self.pin_memory = pin_memory
        self._sampler(first_batch=0)  # complain now about sizes, not at the first step

    def batches(self, first: int = 0) -> Iterator[LoadedBatch]:
        """Batches `first`, `first + 1`, … of the stream; close the generator to end the workers.

        Raises ValueError with the message of a sample that cannot be used and not be skipped.
        """
        loader = DataLoader(
            self.samples,  # pyright: ignore[reportArgumentType] (items by SampleKey)
            batch_sampler=self._sampler(first),
            num_workers=self.num_workers,
            prefetch_factor=self.prefetch_factor if self.num_workers else None,
            collate_fn=self.collate,
            pin_memory=self.pin_memory,
            worker_init_fn=_leave_stopping_to_parent,
            # Without its own generator the loader would draw from the global one of the run.
            generator=torch.Generator(),
        )
        for batch in loader:
            if batch.error is not None:
                raise ValueError(batch.error)
            yield batch

    def position_settings(self) -> dict[str, int]:
        """Meaning of the position in the data; a resumed run must agree on all of it.

        `batch_size` is that of all processes together.
        """
        return {
            "num_images": len(self.samples),
            "batch_size": self.batch_size * self.world_size,
            "data_seed": self.samples.seed,
        }

    def _sampler(self, first_batch: int) -> ResumableSampler:
        return ResumableSampler(
            len(self.samples),
            self.batch_size,
            self.samples.seed,
            rank=self.rank,
            world_size=self.world_size,
            first_batch=first_batch,
        )


def _leave_stopping_to_parent(worker: int) -> None:
    # Ctrl-C and job schedulers signal every process of the job. A worker that obeyed would break
    # the step that the training process still has to finish, so it obeys its parent only.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGUSR1"):
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_exit_when_parent_says, args=(os.getppid(),), daemon=True).start()


def _exit_when_parent_says(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
