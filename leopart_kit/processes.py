"""Several processes that share one measurement: each takes its share, all get the whole.

A long loop takes its `share` of the items and joins what all made of theirs, in order. Every
process then goes on with the same values, so that decisions (a matching, a choice of settings)
need no message. Alone, all of this does nothing.

An error in one process of work done `together` is raised in all of them, at the next place where
they meet. None waits for another that has given up, or that was killed.
"""

from __future__ import annotations

import atexit
import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

from leopart_kit.launch import enter_launch
from leopart_kit.whole_file import scratch_folder

T = TypeVar("T")

# A process may wait for hours while the first one clusters; the launcher notices one that died.
PATIENCE = timedelta(days=2)
_TOLD = "all processes were told"


class ProcessEnded(ConnectionError):
    """Another process of the run has ended before its time."""


@contextmanager
def notices_ended_processes() -> Iterator[None]:
    """Inside, what torch raises when another process is gone is one error that says so.

    Raises:
        ProcessEnded: in place of the error of torch's communication.
    """
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        raise ProcessEnded(
            "another process has ended, and its own last lines say why; the same command goes on "
            "where this one has stopped"
        ) from error


@dataclass(frozen=True)
class Processes:
    """This process among `count`, as number `rank`.

    `group` carries what they say to each other; None is torch's default group.
    """

    rank: int = 0
    count: int = 1
    group: Any = field(default=None, repr=False, compare=False)

    @property
    def first(self) -> bool:
        """True for the process that writes files and speaks to the user."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """Every `count`-th item, from the `rank`-th on."""
        return items[self.rank :: self.count]

    def part(self, total: int, block: int = 1) -> slice:
        """One piece of `total` rows in order: whole blocks of `block`, about as many for each."""
        blocks = -(-total // block)
        edges = (blocks * rank // self.count * block for rank in (self.rank, self.rank + 1))
        return slice(*(min(edge, total) for edge in edges))

    def together(self, work: Callable[[], T]) -> T:
        """Work that ends in all processes alike: what one raises, all raise."""
        try:
            result = work()
        except ProcessEnded:  # which hears nothing any more
            raise
        except Exception as error:
            if _TOLD not in getattr(error, "__notes__", ()):
                self._meet(error)
            raise
        self._meet(None)
        return result

    def gather(self, value: T) -> list[T]:
        """The value of every process, by rank; waits for all."""
        self._meet(None)
        if self.count == 1:
            return [value]
        return self._exchange(value)

    def sum(self, values: Tensor) -> Tensor:
        """The sum of the tensors of all, the same bits in each process; waits for all."""
        self._meet(None)
        if self.count == 1:
            return values
        # NCCL adds on GPUs alone, gloo best on the CPU.
        device = "cuda" if dist.get_backend() == "nccl" else "cpu"
        total = values.detach().to(device, copy=True)
        dist.all_reduce(total)
        return total.to(values.device)

    def concatenate(self, mine: Tensor) -> Tensor:
        """The rows of all processes in the order of their ranks, on the device of `mine`."""
        if self.count == 1:
            return mine
        return torch.cat(self.gather(mine.cpu())).to(mine.device)

    def join(self, mine: Sequence[T]) -> list[T]:
        """The items of all processes in the order they had before `share`."""
        shares = self.gather(list(mine))
        total = sum(len(share) for share in shares)
        return [shares[i % self.count][i // self.count] for i in range(total)]

    def once(self, compute: Callable[[], T]) -> T:
        """The value that the first process computes, in every process; its error, in all too."""
        if self.count == 1:
            return compute()
        values: list[Any] = [self.together(lambda: compute() if self.first else None)]
        with notices_ended_processes():
            dist.broadcast_object_list(values, src=0, group=self.group)
        return values[0]

    def after_first(self, make: Callable[[], T]) -> T:
        """A thing that every process makes for itself, the first one before the others.

        So that it finds on the disk what the first has kept there. An error of one is one of all.
        """
        first = self.together(lambda: make() if self.first else None)
        own = self.together(lambda: first if self.first else make())
        return cast(T, own)

    def wait(self) -> None:
        """Go on when every process has come this far."""
        self._meet(None)

    def _meet(self, own: Exception | None) -> None:
        """Wait for all; raise one's own error, or else that of the first process with one."""
        if self.count == 1:
            return
        errors = self._exchange(None if own is None else _fit_to_travel(own))
        errors[self.rank] = own  # with its traceback
        for error in (own, *errors):
            if error is not None:
                error.add_note(_TOLD)
                raise error

    def _exchange(self, value: Any) -> list[Any]:
        values: list[Any] = [None] * self.count
        with notices_ended_processes():
            dist.all_gather_object(values, value, group=self.group)
        return values


def _fit_to_travel(error: Exception) -> Exception:
    """The error, or one that says the same where it cannot be pickled."""
    try:
        return pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")


ALONE = Processes()


def join_processes() -> Processes:
    """The processes that torchrun or srun started, or this one alone.

    Objects travel through gloo, also beside GPUs; each process takes the GPU of its local rank.
    """
    launch = enter_launch()
    if launch.count == 1:
        return ALONE
    if torch.cuda.is_available():  # SLURM may show each task its own one alone
        torch.cuda.set_device(launch.local_rank % torch.cuda.device_count())
    dist.init_process_group("gloo", timeout=PATIENCE)
    atexit.register(leave_processes)
    return Processes(launch.rank, launch.count)


@contextmanager
def shared_scratch_folder(path: Path, processes: Processes) -> Iterator[Path]:
    """An empty folder beside `path`, the same in all processes, gone when all are done with it.

    Work inside is done `together`, and so is this: an error of one is one of all.

    Raises:
        OSError: it cannot be made; carries its name.
    """
    with scratch_folder(path) if processes.first else nullcontext() as made:
        yield processes.once(lambda: made or path)
        processes.wait()


def check_shared(folder: Path, processes: Processes, patience: float = 15.0) -> None:
    """Make sure that all processes mean the same folder; nodes without a shared disk do not.

    Args:
        patience: seconds in which a file that one node wrote must show on the others.

    Raises:
        ValueError: in every process, for a folder that some of them have for themselves.
    """
    if processes.count == 1:
        return
    mark = processes.once(lambda: _write_mark(folder))
    until = time.monotonic() + patience
    while not (seen := (folder / mark).exists()) and time.monotonic() < until:
        time.sleep(0.1)
    apart = [rank for rank, sees in enumerate(processes.gather(seen)) if not sees]
    if processes.first:
        (folder / mark).unlink(missing_ok=True)
    if apart:
        raise ValueError(
            f"{folder}: processes {apart} do not see what process 0 writes there; several nodes "
            "need output_dir and cache_dir on a disk that all of them share"
        )


def _write_mark(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=folder, prefix=".shared_", delete=False) as file:
        return Path(file.name).name


def leave_processes() -> None:
    """Close the process group, if there is one; for the end of a program."""
    # Threads of the process group that outlive the interpreter abort the process now and then.
    if dist.is_initialized():
        dist.destroy_process_group()
