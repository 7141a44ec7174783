"""Segmentation masks on disk, and the model of parts that they are made with."""

from leopart_kit.data.palettes import cluster_palette
from leopart_kit.masks.dense_crf import check_dense_crf, dense_crf_available
from leopart_kit.masks.export import ExportSettings, ExportSummary, export_masks
from leopart_kit.masks.export_checks import check_export
from leopart_kit.masks.indexed_png import write_id_png, write_indexed_png
from leopart_kit.masks.label_maps import label_map
from leopart_kit.masks.mask_folder import write_masks
from leopart_kit.masks.overview_sheets import OverviewSheets
from leopart_kit.masks.part_classes import ClassTable, part_classes
from leopart_kit.masks.part_model import PartModel
from leopart_kit.masks.part_names import PartNames, read_names
from leopart_kit.masks.refine import Refinement, refine, refine_probabilities
from leopart_kit.masks.refine_many import refine_many
from leopart_kit.masks.regions import LabelledImage

__all__ = [
    "ClassTable",
    "ExportSettings",
    "ExportSummary",
    "LabelledImage",
    "OverviewSheets",
    "PartModel",
    "PartNames",
    "Refinement",
    "check_dense_crf",
    "check_export",
    "cluster_palette",
    "dense_crf_available",
    "export_masks",
    "label_map",
    "part_classes",
    "read_names",
    "refine",
    "refine_many",
    "refine_probabilities",
    "write_id_png",
    "write_indexed_png",
    "write_masks",
]
