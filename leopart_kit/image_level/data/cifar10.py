"""CIFAR-10, as `dataset=cifar10`."""

from __future__ import annotations

from leopart_kit.image_level.data.classes_settings import ClassesSettings
from leopart_kit.image_level.data.classification import ClassificationDataset, cifar10
from leopart_kit.settings import Text, settings


@settings
class Cifar10Settings(ClassesSettings):
    """CIFAR-10 as it is downloaded; root holds cifar-10-batches-py."""

    split: Text = "train"
    """train, test."""

    def load_classes(self) -> ClassificationDataset:
        """See `cifar10`."""
        return cifar10(self.root, self.split)


PART = Cifar10Settings
