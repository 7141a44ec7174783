"""What a run leaves for people and programs: results.json, the console table, the page."""

from leopart_kit.report.console import print_result
from leopart_kit.report.output import writable_output_dir
from leopart_kit.report.overview import write_overview
from leopart_kit.report.page import Section, write_page
from leopart_kit.report.results_json import read_per_image, read_results, write_results
from leopart_kit.report.training_section import training_section

__all__ = [
    "Section",
    "print_result",
    "read_per_image",
    "read_results",
    "training_section",
    "writable_output_dir",
    "write_overview",
    "write_page",
    "write_results",
]
