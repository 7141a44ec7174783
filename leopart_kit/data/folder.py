"""Images of your own, as `dataset=folder`."""

from __future__ import annotations

from leopart_kit.data.image_folder import image_folder
from leopart_kit.data.loading import OwnImagesSettings
from leopart_kit.data.segmentation import SegmentationDataset
from leopart_kit.settings import Text, settings


@settings
class FolderSettings(OwnImagesSettings):
    """Your own images; root holds images in any sub-folders, or images/ and masks/ of equal names.

    Without masks: clusters and pictures, no score; then set protocol.num_clusters.
    """

    split: Text = "all"
    """all, or a folder inside both images/ and masks/, such as train or val."""

    def load(self) -> SegmentationDataset:
        """See `image_folder`."""
        return image_folder(**self.arguments())


PART = FolderSettings
