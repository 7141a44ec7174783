"""Checkpoint files: written whole or not at all, the last few kept, checked before loading."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from leopart_kit.backbones.weight_tensors import shown, storage_fault
from leopart_kit.identity import Identity

FORMAT, VERSION = "leopart_kit", 3
_NAME = re.compile(r"step_(\d{8,})\.pt")


class CheckpointWriteError(OSError):
    """A checkpoint could not be written; the earlier ones are untouched."""


def checkpoint_path(folder: Path, step: int) -> Path:
    """File of the state after `step` optimiser steps."""
    return folder / f"step_{step:08d}.pt"


def list_checkpoints(folder: Path) -> list[Path]:
    """Finished checkpoints of a folder, oldest step first; empty without the folder."""
    if not folder.is_dir():
        return []
    steps = [(int(m[1]), path) for path in folder.iterdir() if (m := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(steps)]


def checkpoint_to_resume(folder: Path, resume: str) -> Path | None:
    """The checkpoint that a run goes on from, None for a start; see `TrainingSettings.resume`.

    Raises ValueError for "never" in a folder that holds some.
    """
    if resume not in ("auto", "never"):
        return Path(resume)
    existing = list_checkpoints(folder)
    if resume == "never" and existing:
        raise ValueError(
            f"{folder} holds checkpoints of an earlier run; set trainer.resume=auto to continue it "
            "or choose another output_dir"
        )
    return existing[-1] if existing else None


def write_checkpoint(folder: Path, step: int, content: Mapping[str, Any], keep: int) -> Path:
    """Write `content` for `step`, then delete all but the newest `keep` checkpoints.

    The file appears under its name only once it is complete on the disk (temporary file, fsync,
    rename). A crash at any moment leaves the previous ones intact.

    Raises CheckpointWriteError, naming what survives, when the disk is full or refuses.
    """
    path = checkpoint_path(folder, step)
    temporary = path.with_suffix(".tmp")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            torch.save({"format": FORMAT, "version": VERSION, "step": step, **content}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(folder)
    except (OSError, RuntimeError) as error:  # torch.save turns some write errors into the latter
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise CheckpointWriteError(_write_message(path, error)) from error
    for old in list_checkpoints(folder)[:-keep]:
        old.unlink()
    return path


def read_checkpoint_file(path: Path) -> dict[str, Any]:
    """Load a checkpoint of the loop onto the CPU, without running code from the file.

    Raises FileNotFoundError, or ValueError for a file that is damaged or something else.
    """
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint not found: {path}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can ask for any operation on any object
        raise ValueError(
            f"{path} is damaged or no checkpoint; delete it to continue from the one before"
        ) from error
    known = isinstance(content, dict) and type(content.get("version")) is int
    if not known or (content.get("format"), content["version"]) != (FORMAT, VERSION):
        raise ValueError(
            f"{path} is not a training checkpoint of this version ({VERSION}); choose another "
            "output_dir"
        )
    return content


def check_same_run(path: Path, saved: Identity, own: Identity) -> None:
    """Raise ValueError, naming the first difference, for a file that another run has left."""
    difference = own.difference(saved)
    if difference is not None:
        raise ValueError(
            f"{path} is of another training: {difference}. Give the same settings to go on with "
            "it, or choose another output_dir"
        )


def check_state_matches(path: Path, saved: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Raise ValueError, listing keys, unless both state dicts have the same keys and shapes.

    Types of numbers must be the same too: whole numbers would be taken for weights.
    """
    problems = [f"{key} is missing in it" for key in own if key not in saved]
    problems += [f"{shown(str(key))} is unknown to the method" for key in saved if key not in own]
    for key in (key for key in own if key in saved):
        ours, theirs = _shape(own[key]), _shape(saved[key])
        if ours == theirs and isinstance(own[key], Tensor):
            ours, theirs = own[key].dtype, saved[key].dtype
        if ours != theirs:
            problems.append(f"{key} is {theirs} in it and {ours} in the method")
    if problems:
        more = f"; and {len(problems) - 8} more" if len(problems) > 8 else ""
        raise ValueError(
            f"checkpoint {path} is of another method or other sizes: {'; '.join(problems[:8])}"
            f"{more}. Use the settings it was trained with, or another output_dir"
        )


def _shape(value: Any) -> str:
    if not isinstance(value, Tensor):
        return "no tensor"
    return storage_fault(value) or str(list(value.shape))


def _write_message(path: Path, error: BaseException) -> str:
    causes = [error, error.__cause__, error.__context__]
    reason = next((e.strerror for e in causes if isinstance(e, OSError) and e.strerror), str(error))
    survivors = list_checkpoints(path.parent)
    kept = f"the last good checkpoint is {survivors[-1]}" if survivors else "there is none before"
    return f"cannot write checkpoint {path}: {reason}; {kept}. Free some space and start again"


def _sync_folder(folder: Path) -> None:
    # The rename itself survives a power cut only once the folder is on the disk.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
