"""Segmentation data sets in their released layouts, their label sets, and training views."""

from leopart_kit.data.anchored_views import AnchoredTransform, AnchoredViews
from leopart_kit.data.center_crop import CenterCrops, center_crops
from leopart_kit.data.class_histogram import ClassHistogram, check_told_apart, class_histogram
from leopart_kit.data.errors import BrokenSampleError, UnknownClassError
from leopart_kit.data.image_files import read_image, read_label_map
from leopart_kit.data.image_folder import folder_images
from leopart_kit.data.image_opening import LARGE, MAX_MEGAPIXELS
from leopart_kit.data.label_sets import IGNORE_INDEX, LabelSet, LabelTable
from leopart_kit.data.loading import DatasetSettings, as_dataset, list_datasets, load_dataset
from leopart_kit.data.multi_crop import MultiCropTransform, MultiCropViews, view_overlaps
from leopart_kit.data.multi_crop_settings import MultiCropSettings
from leopart_kit.data.photometric import PhotometricAugmentation
from leopart_kit.data.segmentation import Sample, SegmentationDataset
from leopart_kit.data.training_images import ImagesOf, ImagesWith, ImagesWithTokens
from leopart_kit.data.walking import files_below

__all__ = [
    "IGNORE_INDEX",
    "LARGE",
    "MAX_MEGAPIXELS",
    "AnchoredTransform",
    "AnchoredViews",
    "BrokenSampleError",
    "CenterCrops",
    "ClassHistogram",
    "DatasetSettings",
    "ImagesOf",
    "ImagesWith",
    "ImagesWithTokens",
    "LabelSet",
    "LabelTable",
    "MultiCropSettings",
    "MultiCropTransform",
    "MultiCropViews",
    "PhotometricAugmentation",
    "Sample",
    "SegmentationDataset",
    "UnknownClassError",
    "as_dataset",
    "center_crops",
    "check_told_apart",
    "class_histogram",
    "files_below",
    "folder_images",
    "list_datasets",
    "load_dataset",
    "read_image",
    "read_label_map",
    "view_overlaps",
]
