"""PASS, photographs without people, as `dataset=pass`."""

from __future__ import annotations

from leopart_kit.data.loading import DatasetSettings
from leopart_kit.data.segmentation import SegmentationDataset
from leopart_kit.data.unlabelled import pass_images
from leopart_kit.settings import Text, settings


@settings
class PassSettings(DatasetSettings):
    """PASS (Asano et al. 2021); root: PASS_dataset, or the folder that holds it."""

    split: Text = "all"
    """all."""

    def load(self) -> SegmentationDataset:
        """See `pass_images`."""
        return pass_images(self.root, self.split, self.label_set)


PART = PassSettings
