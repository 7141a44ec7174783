"""Images of your own, as `dataset=folder`."""

from __future__ import annotations

from leopart_kit.data.image_folder import image_folder
from leopart_kit.data.image_opening import MAX_MEGAPIXELS
from leopart_kit.data.loading import DatasetSettings
from leopart_kit.data.segmentation import SegmentationDataset
from leopart_kit.settings import Positive, Text, settings


@settings
class FolderSettings(DatasetSettings):
    """Your own images; root holds images in any sub-folders, or images/ and masks/ of equal names.

    Without masks: clusters and pictures, no score; then set protocol.num_clusters.
    """

    split: Text = "all"
    """all, or a folder inside both images/ and masks/, such as train or val."""
    binary: bool = False
    """Masks are black and white, 0 and 255."""
    max_megapixels: Positive = MAX_MEGAPIXELS
    """Millions of pixels; larger images and masks are left out."""

    def load(self) -> SegmentationDataset:
        """See `image_folder`."""
        options = {"binary": self.binary, "max_megapixels": self.max_megapixels}
        return image_folder(self.root, self.split, self.label_set, **options)


PART = FolderSettings
