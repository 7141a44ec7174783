"""A leaderboard as one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from leopart_kit.report.page import page_environment
from leopart_kit.whole_file import write_whole_text


def write_leaderboard_page(board: Mapping[str, Any], path: Path, title: str) -> Path:
    """Write the page of a leaderboard (`build_leaderboard`).

    Figures link to the pages of their evaluations where these lie beside it, as
    `ENCODER/BENCHMARK/report.html`.
    """
    template = page_environment().get_template("leaderboard.html")
    html = template.render(
        board=board, encoders=board["encoders"], title=title, pages=_pages(board, path.parent)
    )
    write_whole_text(path, html)
    return path


def _pages(board: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Address of the page of each evaluation that lies below `folder`, by "benchmark/encoder"."""
    pages = {}
    for benchmark in board["benchmarks"]:
        for encoder in board["encoders"]:
            page = Path(encoder, benchmark["name"], "report.html")
            if (folder / page).is_file():
                pages[f"{benchmark['name']}/{encoder}"] = quote(page.as_posix())
    return pages
