"""A leaderboard as one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from leopart_kit.report.leaderboard_tables import (
    best_of,
    leaderboard_csv,
    leaderboard_latex,
    measured,
)
from leopart_kit.report.overview import read_pictures
from leopart_kit.report.page import PAGE_NAME, Script, page_environment
from leopart_kit.whole_file import write_whole_text


def write_leaderboard_page(board: Mapping[str, Any], path: Path, title: str) -> Path:
    """Write the page of a leaderboard (`build_leaderboard`).

    Figures link to the pages of their evaluations where these lie beside it, as
    `ENCODER/BENCHMARK/report.html`, and the pictures of those are shown side by side.

    Raises:
        ValueError: pictures beside it that cannot be read.
    """
    template = page_environment().get_template("leaderboard.html")
    html = template.render(
        board=board,
        encoders=board["encoders"],
        title=title,
        pages=_pages(board, path.parent),
        pictures={b["name"]: _pictures(b, path.parent) for b in board["benchmarks"]},
        charts={b["name"]: _chart(b) for b in board["benchmarks"]},
        best_of=best_of,
        texts=[("CSV", leaderboard_csv(board)), ("LaTeX", leaderboard_latex(board))],
        scripts=[Script.read("leaderboard.js")],
    )
    write_whole_text(path, html)
    return path


def _pages(board: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Address of the page of each evaluation that lies below `folder`, by "benchmark/encoder"."""
    pages = {}
    for benchmark in board["benchmarks"]:
        for encoder in board["encoders"]:
            page = Path(encoder, benchmark["name"], PAGE_NAME)
            if (folder / page).is_file():
                pages[f"{benchmark['name']}/{encoder}"] = quote(page.as_posix())
    return pages


def _pictures(benchmark: Mapping[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Each image with its photo, its truth, and what every encoder made of it."""
    images: dict[str, dict[str, Any]] = {}
    for row in measured(benchmark):
        encoder = row["encoder"]
        for name, image in read_pictures(folder / encoder / benchmark["name"]).items():
            panels = image["panels"]
            shown = images.setdefault(name, {"name": name, "size": image["size"], "panels": []})
            if not shown["panels"]:
                common = [key for key in ("Image", "Ground truth") if key in panels]
                shown["panels"] += [(key, None, panels[key]) for key in common]
            own = panels.get("Prediction", panels.get("Clusters"))
            if own is not None:
                shown["panels"].append((encoder, image["miou"], own))
    return list(images.values())


def _chart(benchmark: Mapping[str, Any]) -> dict[str, Any]:
    """Bars of the mIoU, with interval and spread, as shares of the widest end in percent."""
    rows = [row for row in measured(benchmark) if row["miou"]["mean"] is not None]
    ends = [value for row in rows for value in (row["miou"]["mean"], row["miou"]["ci95"][1])]
    top = max([value for value in ends if value is not None], default=0.0) or 1.0
    return {"top": top, "bars": [_bar(row, top) for row in rows]}


def _bar(row: Mapping[str, Any], top: float) -> dict[str, Any]:
    mean, std, (low, high) = (row["miou"][key] for key in ("mean", "std", "ci95"))
    several = row["num_seeds"] > 1 and std is not None
    spread = (max(0.0, mean - std), min(top, mean + std)) if several else None
    interval = None if low is None or high is None else (low, high)
    return {"row": row, "fill": 100 * mean / top} | {
        key: None if span is None else (100 * span[0] / top, 100 * (span[1] - span[0]) / top)
        for key, span in (("interval", interval), ("spread", spread))
    }
