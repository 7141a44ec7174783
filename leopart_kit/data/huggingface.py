"""Images in tables of the library `datasets`, as `dataset=huggingface`."""

from __future__ import annotations

from typing import ClassVar

from leopart_kit.data.image_opening import MAX_MEGAPIXELS
from leopart_kit.data.loading import DatasetSettings
from leopart_kit.data.segmentation import SegmentationDataset
from leopart_kit.data.table_images import table_images
from leopart_kit.settings import Positive, Text, settings


@settings
class HuggingfaceSettings(DatasetSettings):
    """Tables of datasets (extra shards); root: a saved folder, or parquet or arrow files."""

    needs_root: ClassVar[bool] = False

    split: Text = "all"
    """all; or one of the table, or the word that names of files begin with."""
    image: Text | None = None
    """Column of the images; null: the only one."""
    mask: Text | None = None
    """Column of the masks; null: no masks."""
    key: Text | None = None
    """Column of the names; null: the numbers of the rows."""
    classes: Text | None = None
    """Column whose feature lists the classes; null: classes.txt beside the files."""
    binary: bool = False
    """Masks are black and white, 0 and 255."""
    max_megapixels: Positive = MAX_MEGAPIXELS
    """Millions of pixels; larger images and masks are left out."""

    def load(self) -> SegmentationDataset:
        """See `table_images`."""
        return table_images(**self.arguments())


PART = HuggingfaceSettings
