"""Results and pages of what whole images are measured by."""

from leopart_kit.image_level.report.console import print_image_level
from leopart_kit.image_level.report.filters import write_filters
from leopart_kit.image_level.report.json_file import read_image_level, write_image_level
from leopart_kit.image_level.report.page import write_image_level_page

__all__ = [
    "print_image_level",
    "read_image_level",
    "write_filters",
    "write_image_level",
    "write_image_level_page",
]
