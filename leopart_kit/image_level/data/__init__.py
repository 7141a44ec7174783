"""Data sets with image classes, one photograph, captions, and views of whole images."""

from leopart_kit.image_level.data.captions import Captions, read_captions
from leopart_kit.image_level.data.classes_settings import ClassesSettings
from leopart_kit.image_level.data.classification import ClassificationDataset
from leopart_kit.image_level.data.hidden_region import HiddenRegionTransform
from leopart_kit.image_level.data.image_views import CentralView, OfImage, RandomViews, ViewSettings
from leopart_kit.image_level.data.loading import load_classification
from leopart_kit.image_level.data.patch_pairs import NEIGHBOURS, PatchPair, PatchPairTransform
from leopart_kit.image_level.data.read_images import ReadImages, central_squares
from leopart_kit.image_level.data.single_image import CropSettings, single_image

__all__ = [
    "NEIGHBOURS",
    "Captions",
    "CentralView",
    "ClassesSettings",
    "ClassificationDataset",
    "CropSettings",
    "HiddenRegionTransform",
    "OfImage",
    "PatchPair",
    "PatchPairTransform",
    "RandomViews",
    "ReadImages",
    "ViewSettings",
    "central_squares",
    "load_classification",
    "read_captions",
    "single_image",
]
