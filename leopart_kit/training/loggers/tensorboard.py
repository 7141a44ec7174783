"""Curves for TensorBoard, in `output_dir/tensorboard`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter


class TensorBoardLogger:
    """Event files; steps beyond that of a resumed run are purged."""

    def __init__(self, output_dir: Path, resumed_step: int, about: Mapping[str, Any]) -> None:
        self.place = output_dir / "tensorboard"
        self._writer = SummaryWriter(str(self.place), purge_step=resumed_step + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """See `Logger`."""
        for key, value in values.items():
            self._writer.add_scalar(key, value, step)

    def close(self, failed: bool) -> None:
        """See `Logger`."""
        self._writer.close()


PART = TensorBoardLogger
