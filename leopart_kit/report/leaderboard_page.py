"""A leaderboard as one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leopart_kit.report.page import page_environment
from leopart_kit.whole_file import whole_file


def write_leaderboard_page(board: Mapping[str, Any], path: Path, title: str) -> Path:
    """Write the page of a leaderboard (`build_leaderboard`)."""
    template = page_environment().get_template("leaderboard.html")
    with whole_file(path) as temporary:
        html = template.render(board=board, encoders=board["encoders"], title=title)
        temporary.write_text(html, encoding="utf-8")
    return path
