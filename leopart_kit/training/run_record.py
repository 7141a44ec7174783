"""The record of a finished run: what its network follows from, written when all else is there."""

from __future__ import annotations

import json
from pathlib import Path

from leopart_kit.identity import Identity
from leopart_kit.input_files import read_json
from leopart_kit.training.checkpoint import (
    check_same_run,
    checkpoint_to_resume,
    list_checkpoints,
    read_checkpoint_file,
)
from leopart_kit.training.checkpoint_content import check_parts
from leopart_kit.training.other_processes import check_goes_on
from leopart_kit.whole_file import write_whole_text

RECORD_NAME = "identity.json"


def check_folder(output_dir: Path, resume: str, identity: Identity, num_processes: int = 1) -> None:
    """Make sure that a run may go on in a folder, before anything in it changes.

    Raises ValueError, naming the first difference, where another run has ended or broken off
    there; as `read_checkpoint_file` for the checkpoint to go on from.
    """
    record = output_dir / RECORD_NAME
    if record.is_file():
        check_same_run(record, recorded_identity(output_dir), identity)
    path = checkpoint_to_resume(output_dir / "checkpoints", resume)
    if path is not None:
        content = read_checkpoint_file(path)
        check_parts(path, content)
        check_goes_on(path, content, identity, num_processes)


def has_begun(output_dir: Path) -> bool:
    """True if a run has ended in a folder, or has left a checkpoint there."""
    return (output_dir / RECORD_NAME).is_file() or bool(
        list_checkpoints(output_dir / "checkpoints")
    )


def record_run(output_dir: Path, identity: Identity) -> Path:
    """Write the record; for the very end of a run."""
    path = output_dir / RECORD_NAME
    write_whole_text(path, json.dumps(dict(identity.values), indent=1) + "\n")
    return path


def recorded_identity(output_dir: Path) -> Identity:
    """Identity of the finished run in a folder; without a value where there is none.

    Raises ValueError for a record that is damaged.
    """
    path = output_dir / RECORD_NAME
    if not path.is_file():
        return Identity({})
    values = read_json(path)
    if not isinstance(values, dict):
        raise ValueError(f"{path} is no record of a run; delete it, or choose another output_dir")
    return Identity(values)
