"""Settings of a data set: what every one declares."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from leopart_kit.data.segmentation import SegmentationDataset
from leopart_kit.settings import Count, PathText, Text, settings


@settings
class DatasetSettings:
    """A data set in the layout that it comes in.

    Raises:
        ValueError: a value of another type; names the setting.
    """

    needs_root: ClassVar[bool] = True
    """True if the root must be a folder that is there."""

    root: PathText
    """Folder of the data set."""
    split: Text
    """Part of it."""
    label_set: Text | None = None
    """Classes, where there is a choice; null: the usual ones."""
    limit: Count | None = None
    """For a quick try: at most so many images, spread evenly over the set; null: all."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root).expanduser())

    def arguments(self) -> dict[str, Any]:
        """Arguments of a function that lists the images: all settings but `limit`."""
        return {name: value for name, value in vars(self).items() if name != "limit"}

    def load(self) -> SegmentationDataset:
        """The images, with masks where there are some.

        Raises:
            FileNotFoundError: the root or a part of the layout does not exist.
            ValueError: an unknown split or label set; lists the choices.
        """
        raise NotImplementedError
