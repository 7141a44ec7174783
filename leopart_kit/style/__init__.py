"""Style transfer with a network's first layers: a demonstration that they are real features."""

from leopart_kit.style.gram import gram_matrix
from leopart_kit.style.transfer import StyleSettings, stylize

__all__ = ["StyleSettings", "gram_matrix", "stylize"]
