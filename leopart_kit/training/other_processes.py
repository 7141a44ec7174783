"""A checkpoint of another number of processes, and what each of the new ones goes on from.

Weights, optimiser and schedules are the same in all processes, and so is the stream of images as
long as a step has as many over all of them. What each process has for itself is given out anew:

- a module with `divided_anew`, such as a queue, takes its share of what all had;
- any other buffer is that of one of the processes before, which most methods have equal in all;
- random generators start from seeds of the step, the number of processes and the rank.

From there on the run is not bit for bit what it would have been: sums of another order are rounded
otherwise, and other numbers are drawn at random.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import nn

from leopart_kit.identity import Identity
from leopart_kit.training.checkpoint import check_same_run
from leopart_kit.training.checkpoint_content import refused_as_damaged, saved_identity

# Values of an identity whose product, over all processes, is the images of a step.
_BATCH, _PARTS = "batch_size", "trainer.accumulate_steps"


@runtime_checkable
class DividedState(Protocol):
    """A module whose entries of the state dict are a share of what all processes have."""

    def divided_anew(
        self, states: Sequence[Mapping[str, Any]], rank: int, count: int
    ) -> dict[str, Any]:
        """The module's own entries as number `rank` of `count`, from those of the ones before."""
        ...


def check_goes_on(
    path: Path, content: Mapping[str, Any], own: Identity, num_processes: int
) -> None:
    """Raise ValueError unless a run of so many processes may go on from a checkpoint.

    Other numbers of processes see the same images a step, by whatever batch size and number of
    accumulated batches.
    """
    saved, before = saved_identity(path, content), len(content["processes"])
    if before != num_processes:
        theirs, ours = _images_per_step(saved), _images_per_step(own)
        if theirs != ours:
            advice = _advice(theirs, num_processes, _value(own, _PARTS))
            raise ValueError(
                f"{path} is of {before} processes and {theirs} images a step, but {num_processes} "
                f"processes would see {ours}: {advice}, or choose another output_dir"
            )
        kept = {name: own.values[name] for name in (_BATCH, _PARTS) if name in own.values}
        saved = Identity({**saved.values, **kept})
    check_same_run(path, saved, own)


def entries_of(
    path: Path, content: Mapping[str, Any], method: nn.Module, rank: int, count: int
) -> dict[str, Any]:
    """Entries of the state dict that process `rank` of `count` goes on from.

    Raises ValueError for entries that a module cannot divide.
    """
    common = content["state_dict"]
    saved = [{**common, **process["state_dict"]} for process in content["processes"]]
    entries = saved[rank % len(saved)]
    if len(saved) == count:
        return entries
    for name, module in method.named_modules():
        if isinstance(module, DividedState):
            start = f"{name}." if name else ""
            states = [_below(start, one) for one in saved]
            with refused_as_damaged(path):
                own = module.divided_anew(states, rank, count)
            entries |= {f"{start}{key}": value for key, value in own.items()}
    return entries


def _below(start: str, entries: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key.removeprefix(start): value for key, value in entries.items() if key.startswith(start)
    }


def _images_per_step(identity: Identity) -> int:
    return _value(identity, _BATCH) * _value(identity, _PARTS)


def _value(identity: Identity, name: str) -> int:
    value = identity.values.get(name)
    return value if isinstance(value, int) else 1


def _advice(images: int, num_processes: int, accumulated: int) -> str:
    if images % (num_processes * accumulated) == 0:
        return f"set batch_size={images // (num_processes * accumulated)}"
    fitting = [n for n in range(1, images + 1) if images % (n * accumulated) == 0]
    if not fitting:
        return f"{accumulated} accumulated batches do not divide {images}: set {_PARTS} to less"
    return f"start {' or '.join(map(str, fitting))} processes"
