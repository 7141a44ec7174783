"""A protocol for `protocol=custom` that notes which process has encoded what, or fails in one."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import Tensor

from leopart_kit.evaluation.protocols.overclustering import Overclustering
from leopart_kit.evaluation.task import Measurement, Task
from leopart_kit.settings import Text, Whole, settings


@settings
class Noted(Overclustering):
    """Overclustering that writes `NAME.RANK`, a line of the images encoded for a measurement."""

    notes: Text | None = None
    """NAME."""
    failing_process: Whole | None = None
    """A process that cannot measure."""
    failing_measurement: Whole = 0
    """The first one in which it cannot."""

    def measure(self, task: Task) -> Measurement:
        """Measure, and note the share."""
        rank, seen = task.run.processes.rank, list[int]()
        file = Path(f"{self.notes}.{rank}")
        done = len(file.read_text().splitlines()) if file.exists() else 0
        if (rank, done) == (self.failing_process, self.failing_measurement):
            raise ValueError(f"process {rank} cannot measure")
        patch_tokens = task.encoder.patch_tokens

        def counted(images: Tensor) -> Tensor:
            seen.append(len(images))
            return patch_tokens(images)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(task.encoder, "patch_tokens", counted)
            measured = super().measure(task)
        with file.open("a") as opened:
            opened.write(f"{sum(seen)}\n")
        return measured
