"""A leaderboard as one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from leopart_kit.report.leaderboard_tables import (
    lacks_classes,
    leaderboard_csv,
    leaderboard_latex,
    measured,
    names_published,
    standing,
)
from leopart_kit.report.overview import read_pictures
from leopart_kit.report.page import PAGE_NAME, Script, page_environment
from leopart_kit.whole_file import write_whole_text

_MAX_BYTES = 12_000_000  # of the pictures on a page


def write_leaderboard_page(
    board: Mapping[str, Any], path: Path, title: str, command: str | None = None
) -> Path:
    """Write the page of a leaderboard (`build_leaderboard`); `command` repeats the runs.

    Figures link to the pages of their evaluations where these lie beside it, as
    `ENCODER/BENCHMARK/report.html` or, of the first of several trainings, in a folder below. The
    pictures of those are shown side by side.

    Raises:
        ValueError: pictures beside it that cannot be read.
    """
    template = page_environment().get_template("leaderboard.html")
    html = template.render(
        board=board,
        encoders=board["encoders"],
        title=title,
        command=command,
        pages=_pages(board, path.parent),
        pictures=_within(_MAX_BYTES, [_pictures(b, path.parent) for b in board["benchmarks"]]),
        charts=[_chart(b) for b in board["benchmarks"]],
        standing=standing,
        lacks_classes=lacks_classes,
        names_published=names_published,
        texts=[("CSV", leaderboard_csv(board)), ("LaTeX", leaderboard_latex(board))],
        scripts=[Script.read("leaderboard.js")],
    )
    write_whole_text(path, html)
    return path


def _within(limit: int, pictures: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    """As many images of each benchmark as fit into the bytes of a page, and one at least."""
    most = max(map(len, pictures), default=0)
    while most > 1 and sum(image["bytes"] for some in pictures for image in some[:most]) > limit:
        most -= 1
    return [some[:most] for some in pictures]


def _pages(board: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Address of the page of each evaluation that lies below `folder`, by "benchmark/encoder"."""
    pages = {}
    for benchmark in board["benchmarks"]:
        for encoder in board["encoders"]:
            page = _results(folder, encoder, benchmark) / PAGE_NAME
            if page.is_file():
                address = quote(page.relative_to(folder).as_posix())
                pages[f"{benchmark['name']}/{encoder}"] = address
    return pages


def _results(folder: Path, encoder: str, benchmark: Mapping[str, Any]) -> Path:
    """Folder of an evaluation below that of the leaderboard."""
    own = folder / encoder / benchmark["name"]
    several = sorted(own.glob(f"*/{PAGE_NAME}"))
    return several[0].parent if several and not (own / PAGE_NAME).is_file() else own


def _pictures(benchmark: Mapping[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Each image with its photo, its truth, and what every encoder made of it."""
    images: dict[str, dict[str, Any]] = {}
    for row in measured(benchmark):
        encoder = row["encoder"]
        for name, image in read_pictures(_results(folder, encoder, benchmark)).items():
            panels = image["panels"]
            shown = images.setdefault(name, {"name": name, "size": image["size"], "panels": []})
            if not shown["panels"]:
                common = [key for key in ("Image", "Ground truth") if key in panels]
                shown["panels"] += [(key, None, panels[key]) for key in common]
            own = panels.get("Prediction", panels.get("Clusters"))
            if own is not None:
                shown["panels"].append((encoder, image["miou"], own))
    for shown in images.values():
        shown["bytes"] = sum(len(uri) for _, _, uri in shown["panels"])
    return list(images.values())


def _chart(benchmark: Mapping[str, Any]) -> dict[str, Any]:
    """Bars of the mIoU, with interval and spread, as shares of the widest end in percent."""
    rows = [row for row in measured(benchmark) if row["miou"]["mean"] is not None]
    present = lacks_classes(benchmark)
    ends = [value for row in rows for value in (row["miou"]["mean"], row["miou"]["ci95"][1])]
    ends += [row["miou_present"]["mean"] for row in rows if present]
    top = max([value for value in ends if value is not None], default=0.0) or 1.0
    bars = [_bar(row, top) for row in rows]
    if present:
        for bar, row in zip(bars, rows, strict=True):
            bar["present"] = _share(row["miou_present"]["mean"], top)
    return {"top": top, "bars": bars}


def _bar(row: Mapping[str, Any], top: float) -> dict[str, Any]:
    mean, std, (low, high) = (row["miou"][key] for key in ("mean", "std", "ci95"))
    several = row["num_seeds"] > 1 and std is not None
    spread = (max(0.0, mean - std), min(top, mean + std)) if several else None
    interval = None if low is None or high is None else (low, high)
    return {"row": row, "fill": _share(mean, top), "present": None} | {
        key: None if span is None else (_share(span[0], top), _share(span[1] - span[0], top))
        for key, span in (("interval", interval), ("spread", spread))
    }


def _share(value: float | None, top: float) -> float | None:
    return None if value is None else 100 * value / top
