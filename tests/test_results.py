"""The committed leaderboards, and the table that eval/README.md shows of them."""

from __future__ import annotations

from pathlib import Path
from statistics import mean, stdev

import pytest

from leopart_kit.cli.build_image_method import IMAGE_METHODS
from leopart_kit.report import leaderboard_markdown, leaderboard_overview, read_leaderboard
from leopart_kit.report.leaderboard_markdown import BEGIN, END, marks
from leopart_kit.report.method_table import method_table_markdown, read_method_table

EVAL = Path(__file__).parents[1] / "eval"
DEMO_STAGES = ("random", "dino", "leopart")


def test_the_readme_shows_the_committed_leaderboard():
    shown = (EVAL / "README.md").read_text().split(BEGIN)[1].split(END)[0].strip()
    board = read_leaderboard(EVAL / "results" / "small.json")
    assert shown == leaderboard_overview(board).strip()
    assert (EVAL / "results" / "small.md").read_text() == leaderboard_markdown(board)


@pytest.mark.parametrize("name", ["methods", "methods_fp32"])
def test_the_readme_shows_the_committed_methods(name: str):
    begin, end = marks(name)
    shown = (EVAL / "README.md").read_text().split(begin)[1].split(end)[0].strip()
    table = read_method_table(EVAL / f"{name}.json")
    assert shown == method_table_markdown(table).strip()
    assert {row["method"] for row in table["rows"]} == {*IMAGE_METHODS} - {"distillation"}


def test_the_readme_shows_the_demo_s_six_trainings():
    """Each of both stages with three seeds in two precisions; random weights know no precision."""
    begin, end = marks("demo")
    shown = (EVAL / "README.md").read_text().split(begin)[1].split(end)[0].strip().splitlines()
    fp32, bf16 = demo_figures("demo"), demo_figures("demo_bf16")
    assert len(shown) == 2 + len(fp32)
    for line, (benchmark, stages) in zip(shown[2:], fp32.items(), strict=True):
        others = bf16[benchmark]
        rows = [stages["random"], *(stages[stage] + others[stage] for stage in ("dino", "leopart"))]
        figures = [f"{mean(values):.1f} ± {stdev(values):.1f}" for values in rows]
        assert line == f"| `{benchmark}` | {' | '.join(figures)} |"


def demo_figures(name: str) -> dict[str, dict[str, list[float]]]:
    """mIoU of the three trainings by benchmark and stage."""
    figures = {}
    for benchmark in read_leaderboard(EVAL / "results" / f"{name}.json")["benchmarks"]:
        means = {row["encoder"]: row["miou"]["mean"] for row in benchmark["rows"]}
        stages = {stage: [means[f"{stage}_{seed}"] for seed in range(3)] for stage in DEMO_STAGES}
        figures[benchmark["name"]] = stages
    return figures


@pytest.mark.parametrize("path", sorted((EVAL / "results").glob("*.json")), ids=lambda p: p.stem)
def test_committed_figures_are_whole(path: Path):
    rows = [row for b in read_leaderboard(path)["benchmarks"] for row in b["rows"]]
    assert rows
    for row in rows:
        assert ("miou" in row) != bool(row["reason"])
        if "miou" in row:
            low, high = row["miou"]["ci95"]
            assert low <= row["miou"]["mean"] <= high
            assert row["git_sha"]
