"""Images in tars, as `dataset=webdataset`."""

from __future__ import annotations

from typing import ClassVar

from leopart_kit.data.loading import OwnImagesSettings
from leopart_kit.data.segmentation import SegmentationDataset
from leopart_kit.data.tar_images import tar_images
from leopart_kit.settings import PathText, Text, settings, several


@settings
class WebdatasetSettings(OwnImagesSettings):
    """Tars of WebDataset, KEY.jpg and KEY.seg.png; root: a folder, a tar, or train-{000..146}.tar.

    Their members are looked up once, and an index is kept beside each tar.
    """

    needs_root: ClassVar[bool] = False

    split: Text = "all"
    """all; or a folder in root, or the word that names of tars begin with."""
    shards: several(PathText) | None = None  # type: ignore[valid-type]
    """Tars or patterns below root; null: all that it holds."""
    image: Text | None = None
    """Extension of the images, such as jpg; null: all that images usually have."""
    mask: Text | None = None
    """Extension of the masks, such as seg.png; null: no masks."""

    def load(self) -> SegmentationDataset:
        """See `tar_images`."""
        return tar_images(**self.arguments())


PART = WebdatasetSettings
