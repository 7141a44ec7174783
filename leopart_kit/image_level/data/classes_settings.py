"""Settings of a data set whose images have one class each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leopart_kit.data.label_sets import choose_label_set
from leopart_kit.data.loading import DatasetSettings
from leopart_kit.data.segmentation import SegmentationDataset
from leopart_kit.settings import Text, settings

if TYPE_CHECKING:  # which itself reads data sets
    from leopart_kit.image_level.data.classification import ClassificationDataset


@settings
class ClassesSettings(DatasetSettings):
    """A data set whose images have one class each."""

    split: Text = "train"
    """Part of it."""

    def load_classes(self) -> ClassificationDataset:
        """The images with their classes; raises as `load`."""
        raise NotImplementedError

    def load(self) -> SegmentationDataset:
        """The images without their classes, to train on."""
        choose_label_set(self.label_set, ["none"], type(self).__name__, "none")
        return self.load_classes().images
