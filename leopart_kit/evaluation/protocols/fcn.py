"""FCN probe: a small convolutional head on frozen patch tokens.

Leopart (Ziegler & Asano, CVPR 2022, appendix): three 3 × 3 convolutions of 512 channels on tokens
enlarged to 100 × 100, SGD for 30 epochs.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from leopart_kit.evaluation.protocols.probes.probe import measure_probe
from leopart_kit.evaluation.protocols.probes.settings import ProbeSettings
from leopart_kit.evaluation.segmentation_heads import FcnHead
from leopart_kit.evaluation.task import Measurement, Task
from leopart_kit.settings import Count, Size, settings


@settings
class FcnProbe(ProbeSettings):
    """A small convolutional head on frozen patch tokens."""

    name: ClassVar[str] = "fcn"

    channels: Count = 512
    """Of the convolutions."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the channels dropped before the last layer."""
    head_resolution: Size | None = (100, 100)
    """`[h, w]` to which tokens are enlarged before the head; null: their own grid, a tenth of the
    work at 448 px."""
    epochs: Count = 30
    """Passes over the training images."""
    batch_size: Count = 64
    """Images a step; the paper's 32 on each of 2 GPUs."""

    def measure(self, task: Task) -> Measurement:
        """Train heads on `task.train` and score them on the images of the task."""

        def make_head(embed_dim: int, num_classes: int) -> FcnHead:
            return FcnHead(
                embed_dim,
                num_classes,
                channels=self.channels,
                dropout=self.dropout,
                input_size=self.head_resolution,
            )

        return measure_probe(self, task, "fcn", make_head)


PART = FcnProbe
