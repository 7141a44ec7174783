"""Style transfer with a network's first layers: a demonstration that they are real features."""

from leopart_kit.image_level.style.gram import gram_matrix
from leopart_kit.image_level.style.transfer import StyleSettings, stylize

__all__ = ["StyleSettings", "gram_matrix", "stylize"]
