"""Images that a list names, as `dataset=list`."""

from __future__ import annotations

from typing import ClassVar

from leopart_kit.data.listed_images import listed_images
from leopart_kit.data.loading import OwnImagesSettings
from leopart_kit.data.segmentation import SegmentationDataset
from leopart_kit.settings import PathText, Text, settings


@settings
class ListSettings(OwnImagesSettings):
    """Images of a list, one path a line, a tab and the mask's; root: the list, or its folder.

    Millions of lines open at once: they are read a single time, and an index is kept beside them.
    """

    needs_root: ClassVar[bool] = False

    split: Text = "all"
    """all: root is the list; or NAME of root/NAME.txt."""
    base: PathText | None = None
    """Folder that paths start from; null: that of the list."""

    def load(self) -> SegmentationDataset:
        """See `listed_images`."""
        return listed_images(**self.arguments())


PART = ListSettings
