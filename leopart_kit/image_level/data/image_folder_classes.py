"""Images in a folder for each class, as `dataset=image_folder_classes`."""

from __future__ import annotations

from leopart_kit.data.image_opening import MAX_MEGAPIXELS
from leopart_kit.image_level.data.classes_settings import ClassesSettings
from leopart_kit.image_level.data.classification import ClassificationDataset, image_folder_classes
from leopart_kit.settings import Positive, settings


@settings
class ImageFolderClassesSettings(ClassesSettings):
    """Images root/<split>/<class>/*.jpg, as torchvision's ImageFolder reads them."""

    max_megapixels: Positive = MAX_MEGAPIXELS
    """Millions of pixels; larger images are left out."""

    def load_classes(self) -> ClassificationDataset:
        """See `image_folder_classes`."""
        return image_folder_classes(self.root, self.split, max_megapixels=self.max_megapixels)


PART = ImageFolderClassesSettings
