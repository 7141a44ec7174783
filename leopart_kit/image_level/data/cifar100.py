"""CIFAR-100, as `dataset=cifar100`."""

from __future__ import annotations

from leopart_kit.image_level.data.classes_settings import ClassesSettings
from leopart_kit.image_level.data.classification import ClassificationDataset, cifar100
from leopart_kit.settings import Text, settings


@settings
class Cifar100Settings(ClassesSettings):
    """CIFAR-100 as it is downloaded; root holds cifar-100-python."""

    split: Text = "train"
    """train, test."""

    def load_classes(self) -> ClassificationDataset:
        """See `cifar100`."""
        return cifar100(self.root, self.split)


PART = Cifar100Settings
