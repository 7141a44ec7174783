"""Segmentation data sets in their released layouts, their label sets, and training views."""

from leopart_kit.data.anchored_views import AnchoredTransform, AnchoredViews
from leopart_kit.data.class_histogram import ClassHistogram, class_histogram
from leopart_kit.data.errors import BrokenSampleError, UnknownClassError
from leopart_kit.data.image_files import read_image, read_label_map
from leopart_kit.data.label_sets import IGNORE_INDEX, LabelSet, LabelTable
from leopart_kit.data.loading import DATASETS, load_dataset
from leopart_kit.data.multi_crop import MultiCropTransform, MultiCropViews, view_overlaps
from leopart_kit.data.photometric import PhotometricAugmentation
from leopart_kit.data.segmentation import Sample, SegmentationDataset

__all__ = [
    "DATASETS",
    "IGNORE_INDEX",
    "AnchoredTransform",
    "AnchoredViews",
    "BrokenSampleError",
    "ClassHistogram",
    "LabelSet",
    "LabelTable",
    "MultiCropTransform",
    "MultiCropViews",
    "PhotometricAugmentation",
    "Sample",
    "SegmentationDataset",
    "UnknownClassError",
    "class_histogram",
    "load_dataset",
    "read_image",
    "read_label_map",
    "view_overlaps",
]
