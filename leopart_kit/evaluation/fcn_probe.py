"""FCN probe: a small convolutional head on frozen patch tokens.

Leopart (Ziegler & Asano, CVPR 2022, appendix): three 3 × 3 convolutions of 512 channels on tokens
enlarged to 100 × 100, SGD for 30 epochs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from leopart_kit.evaluation.probe import measure_probe
from leopart_kit.evaluation.probe_settings import ProbeSettings
from leopart_kit.evaluation.segmentation_heads import FcnHead
from leopart_kit.evaluation.settings import check_number, check_size, check_whole
from leopart_kit.evaluation.task import Measurement, Task


@dataclass(frozen=True)
class FcnProbe(ProbeSettings):
    """The protocol's numbers, beside those of `ProbeSettings`.

    Attributes:
        channels: of the convolutions.
        dropout: share of the channels dropped before the last layer.
        head_resolution: `(h, w)` to which tokens are enlarged before the head; `None` convolves
            them on their own grid, a tenth of the work at 448 px.

    Raises:
        ValueError: a value of the wrong kind or out of range; names the setting.
    """

    channels: int = 512
    dropout: float = 0.1
    head_resolution: tuple[int, int] | None = (100, 100)
    epochs: int = 30
    batch_size: int = 64

    name: str = field(default="fcn", init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("channels", self.channels, minimum=1)
        check_number("dropout", self.dropout, 0, 0.99)
        if self.head_resolution is not None:
            check_size("head_resolution", self.head_resolution)

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
