"""Settings that determine a result, and those that only say how it is made.

A setting counts unless it is listed here, so that a new one is noticed rather than forgotten.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from leopart_kit.identity.files import file_sha256

# Of a measurement.
HOW_MEASURED = frozenset(
    {
        "output_dir",  # where files lie
        "cache_dir",
        "device",  # the same sums in another order: they differ by rounding
        "batch_size",
        "num_workers",
        "masks",  # what is shown of the same figures
        "page_images",
        "dataset.root",  # what lies there counts
        "encoder.weights",
        "protocol.prior.weights",
    }
)

# Of a training. `trainer.max_steps` determines it, since the schedules end there.
HOW_TRAINED = frozenset(
    {
        "output_dir",  # where files lie
        "cache_dir",
        "backbone_precision",  # how the same weights are stored at the end
        "accelerator",  # the same sums in another order: they differ by rounding
        "trainer.compile",
        "num_workers",  # every image is augmented from its own seed, whoever does it
        "rounds",  # each has a start of its own
        "epochs",  # counts as the steps that follow from it, `trainer.max_steps`
        "trainer.resume",
        "trainer.checkpoint_every",  # what is written on the way
        "trainer.keep_checkpoints",
        "trainer.log_every",
        "logger",
        "trainer.evaluate_every",  # measuring leaves the random generators as they were
        "evaluation",  # what is measured and shown of the trained network, anew in every run
        "reproduce",
        "dataset.root",  # what lies there counts
        "encoder.weights",
        "dataset.label_set",  # of masks, which training does not read
    }
)


def determining(settings: Mapping[str, Any], how: Collection[str], prefix: str = "") -> dict:
    """Settings without those of `how`, dotted names; a file counts as what it holds.

    Args:
        settings: plain values, nested.
        how: names to leave out, a group with all that is in it.
    """
    found = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if name in how:
            continue
        if isinstance(value, Mapping):
            value = determining(value, how, f"{name}.")
        found[key] = _content(value)
    return found


def _content(value: Any) -> Any:
    """SHA-256 of the file of that name, or of each of a list; other values stay."""
    if isinstance(value, list | tuple):
        return [_content(item) for item in value]
    return _of_text(value) if isinstance(value, str) else value


def _of_text(text: str) -> str:
    if "/" not in text and not Path(text).suffix:  # a name of something else, such as a split
        return text
    try:
        path = Path(text).expanduser()
        return f"sha256 {file_sha256(path)}" if path.is_file() else text
    except (OSError, RuntimeError, ValueError):  # too long for a path, or a home that is unknown
        return text
