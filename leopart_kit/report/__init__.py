"""Output of a run for people and programs: results.json, the console table, the page."""

from leopart_kit.report.console import print_result
from leopart_kit.report.explore import (
    ClusterFacts,
    Stage,
    explore_result,
    explore_section,
    write_explore_page,
)
from leopart_kit.report.leaderboard import (
    Cell,
    build_leaderboard,
    read_leaderboard,
    write_leaderboard,
)
from leopart_kit.report.leaderboard_markdown import (
    leaderboard_markdown,
    leaderboard_overview,
    write_between_marks,
)
from leopart_kit.report.leaderboard_page import write_leaderboard_page
from leopart_kit.report.naming import write_naming_page
from leopart_kit.report.objects_section import objects_section
from leopart_kit.report.overview import write_overview, write_pictures
from leopart_kit.report.page import Section, write_page
from leopart_kit.report.part_views import part_views
from leopart_kit.report.representative_patches import representative_patches
from leopart_kit.report.results_json import (
    read_per_image,
    read_results,
    writable_output_dir,
    write_results,
)
from leopart_kit.report.training_section import training_opening, training_section

__all__ = [
    "Cell",
    "ClusterFacts",
    "Section",
    "Stage",
    "build_leaderboard",
    "explore_result",
    "explore_section",
    "leaderboard_markdown",
    "leaderboard_overview",
    "objects_section",
    "part_views",
    "print_result",
    "read_leaderboard",
    "read_per_image",
    "read_results",
    "representative_patches",
    "training_opening",
    "training_section",
    "writable_output_dir",
    "write_between_marks",
    "write_explore_page",
    "write_leaderboard",
    "write_leaderboard_page",
    "write_naming_page",
    "write_overview",
    "write_page",
    "write_pictures",
    "write_results",
]
