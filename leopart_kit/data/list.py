"""Images that a list names, as `dataset=list`."""

from __future__ import annotations

from typing import ClassVar

from leopart_kit.data.image_opening import MAX_MEGAPIXELS
from leopart_kit.data.listed_images import listed_images
from leopart_kit.data.loading import DatasetSettings
from leopart_kit.data.segmentation import SegmentationDataset
from leopart_kit.settings import PathText, Positive, Text, settings


@settings
class ListSettings(DatasetSettings):
    """Images of a list, one path a line, a tab and the mask's; root: the list, or its folder.

    Millions of lines open at once: they are read a single time, and an index is kept beside them.
    """

    needs_root: ClassVar[bool] = False

    split: Text = "all"
    """all: root is the list; or NAME of root/NAME.txt."""
    base: PathText | None = None
    """Folder that paths start from; null: that of the list."""
    binary: bool = False
    """Masks are black and white, 0 and 255."""
    max_megapixels: Positive = MAX_MEGAPIXELS
    """Millions of pixels; larger images and masks are left out."""

    def load(self) -> SegmentationDataset:
        """See `listed_images`."""
        return listed_images(**self.arguments())


PART = ListSettings
