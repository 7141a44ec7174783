"""Segmentation masks on disk."""

from leopart_kit.data.palettes import cluster_palette
from leopart_kit.masks.indexed_png import write_id_png, write_indexed_png
from leopart_kit.masks.mask_folder import write_masks

__all__ = ["cluster_palette", "write_id_png", "write_indexed_png", "write_masks"]
