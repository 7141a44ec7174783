"""Segmentation masks on disk."""

from leopart_kit.masks.indexed_png import cluster_palette, write_id_png, write_indexed_png
from leopart_kit.masks.mask_folder import write_masks

__all__ = ["cluster_palette", "write_id_png", "write_indexed_png", "write_masks"]
