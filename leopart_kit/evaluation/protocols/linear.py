"""Linear probe: the classes that one linear layer can read from frozen patch tokens.

Leopart (Ziegler & Asano, CVPR 2022, section 4): images at 448 px, masks at 100 × 100 in the loss,
SGD for 25 epochs. Reported on all images, at 448 × 448 and at full size.
"""

from __future__ import annotations

from typing import ClassVar

from leopart_kit.evaluation.protocols.probes.probe import measure_probe
from leopart_kit.evaluation.protocols.probes.settings import ProbeSettings
from leopart_kit.evaluation.segmentation_heads import LinearHead
from leopart_kit.evaluation.task import Measurement, Task
from leopart_kit.settings import settings


@settings
class LinearProbe(ProbeSettings):
    """One linear layer on frozen patch tokens."""

    name: ClassVar[str] = "linear"

    def measure(self, task: Task) -> Measurement:
        """Train heads on `task.train` and score them on the images of the task."""
        return measure_probe(self, task, "linear", LinearHead)


PART = LinearProbe
