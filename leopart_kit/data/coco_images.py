"""COCO 2017 photographs without annotations, as `dataset=coco_images`."""

from __future__ import annotations

from leopart_kit.data.loading import DatasetSettings
from leopart_kit.data.segmentation import SegmentationDataset
from leopart_kit.data.unlabelled import coco_images
from leopart_kit.settings import Text, settings


@settings
class CocoImagesSettings(DatasetSettings):
    """COCO 2017 without annotations; root holds train2017/ or images/train2017/."""

    split: Text = "train"
    """train, val, unlabeled."""

    def load(self) -> SegmentationDataset:
        """See `coco_images`."""
        return coco_images(self.root, self.split, self.label_set)


PART = CocoImagesSettings
