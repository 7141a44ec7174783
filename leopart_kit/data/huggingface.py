"""Images in tables of the library `datasets`, as `dataset=huggingface`."""

from __future__ import annotations

from typing import ClassVar

from leopart_kit.data.loading import OwnImagesSettings
from leopart_kit.data.segmentation import SegmentationDataset
from leopart_kit.data.table_images import table_images
from leopart_kit.settings import Text, settings


@settings
class HuggingfaceSettings(OwnImagesSettings):
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

    def load(self) -> SegmentationDataset:
        """See `table_images`."""
        return table_images(**self.arguments())


PART = HuggingfaceSettings
