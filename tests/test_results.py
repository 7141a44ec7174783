"""The committed results, and the tables that documents show of them and of published figures."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import mean, stdev

import pytest
import yaml

from leopart_kit.image_level.report.method_table import method_table_markdown, read_method_table
from leopart_kit.parts import list_parts
from leopart_kit.report import leaderboard_markdown, leaderboard_overview, read_leaderboard
from leopart_kit.report.leaderboard_markdown import marks

EVAL = Path(__file__).parents[1] / "eval"
IMAGE_METHODS = list_parts(["leopart_kit.image_level.methods"])
RESULTS = EVAL / "results"
METHODS = ("methods", "methods_fp32")
BOARDS_OF_TRAININGS = ("dense_methods_amx", "dense_methods")
TRAINED_TWICE = ("leopart", "neco", "paka")  # in the second, by the seeds 1 and 2
DEMO_STAGES = ("random", "dino", "leopart")


def shown(name: str) -> str:
    """What the results' page has between the marks of that name."""
    begin, end = marks(name)
    return (RESULTS / "README.md").read_text().split(begin)[1].split(end)[0].strip()


def published_in(path: Path) -> list[float]:
    rows = yaml.safe_load(path.read_text())["benchmark"]["published"]
    return [row[key] for row in rows for key in ("pixel_accuracy", "miou") if key in row]


@pytest.mark.parametrize("path", sorted((EVAL / "benchmark").glob("*.yaml")), ids=lambda p: p.stem)
def test_the_table_of_benchmarks_has_the_published_figures(path: Path):
    rows = (EVAL / "README.md").read_text().splitlines()
    [row] = [row for row in rows if row.startswith("|") and f"(benchmark/{path.name})" in row]
    if yaml.safe_load(path.read_text())["benchmark"].get("published") is None:
        return  # those of the benchmark that it changes, or none at hand
    shown = sorted(map(float, re.findall(r"\d+\.\d", row.split("|")[3])))
    linked = re.findall(r"\((benchmark/\w+\.yaml)\)", row)
    if "shares" in row:  # a row of four benchmarks, with some of the figures of each
        assert set(shown) <= {f for name in linked for f in published_in(EVAL / name)}
        assert set(shown) & set(published_in(path))
    else:
        assert shown == sorted(published_in(path))


@pytest.mark.parametrize(
    ("name", "file"), [("leaderboard", "small"), ("dense_methods", "dense_methods")]
)
def test_the_page_shows_the_committed_leaderboard(name: str, file: str):
    board = read_leaderboard(RESULTS / f"{file}.json")
    assert shown(name) == leaderboard_overview(board).strip()


def test_the_table_of_three_trainings_is_that_of_both_leaderboards():
    one, two = (
        {
            (b["name"], r["encoder"]): r["miou_present"]
            for b in board["benchmarks"]
            for r in b["rows"]
        }
        for board in (read_leaderboard(RESULTS / f"{n}.json") for n in BOARDS_OF_TRAININGS)
    )
    header, _, *lines = (
        line.strip("| ").split(" | ") for line in shown("three_trainings").split("\n")
    )
    assert tuple(name.strip("`") for name in header[2:]) == TRAINED_TWICE
    for name, frozen, *cells in lines:
        name = name.strip("`")
        assert frozen == f"{two[name, 'frozen']['mean']:.1f}"
        for method, cell in zip(TRAINED_TWICE, cells, strict=True):
            apart = two[name, method]["std"] / 2**0.5  # from the mean, of each of two
            values = [two[name, method]["mean"] + sign * apart for sign in (-1, 1)]
            values.append(one[name, method]["mean"])
            assert cell == f"{mean(values):.1f} ± {stdev(values):.1f}"
    assert len(lines) == len({name for name, _ in two})


LEADERBOARDS = [path for path in sorted(RESULTS.glob("*.json")) if path.stem not in METHODS]


@pytest.mark.parametrize("path", LEADERBOARDS, ids=lambda p: p.stem)
def test_every_leaderboard_has_its_markdown(path: Path):
    assert path.with_suffix(".md").read_text() == leaderboard_markdown(read_leaderboard(path))


@pytest.mark.parametrize("name", METHODS)
def test_the_page_shows_the_committed_methods(name: str):
    table = read_method_table(RESULTS / f"{name}.json")
    assert shown(name) == method_table_markdown(table).strip()
    recipes = EVAL.parent / "configs" / "recipe"
    compared = {m for m in IMAGE_METHODS if (recipes / f"cifar10_{m}.yaml").exists()}
    assert {row["method"] for row in table["rows"]} == compared


def test_the_page_shows_the_dense_figures_of_image_level_methods():
    names = ("image_level", "image_level_fp32", "image_level_recipes")
    columns = [present_figures(RESULTS / f"{name}.json", "voc_k300") for name in names]
    encoders = dict.fromkeys(encoder for column in columns for encoder in column)
    rows = [[f"`{e}`", *(column.get(e, "–") for column in columns)] for e in encoders]
    expected = [f"| {' | '.join(row)} |" for row in rows]
    assert set(expected) <= set((RESULTS / "README.md").read_text().splitlines())


def present_figures(path: Path, benchmark: str) -> dict[str, str]:
    """mIoU of the classes present by encoder."""
    [found] = [b for b in read_leaderboard(path)["benchmarks"] if b["name"] == benchmark]
    figures = {row["encoder"]: row["miou_present"] for row in found["rows"]}
    return {name: f"{one['mean']:.1f} ± {one['std']:.1f}" for name, one in figures.items()}


def test_the_page_shows_the_demo_s_six_trainings():
    """Each of both stages with three seeds in two precisions; random weights know no precision."""
    lines = shown("demo").splitlines()
    fp32, bf16 = demo_figures("demo"), demo_figures("demo_bf16")
    assert len(lines) == 2 + len(fp32)
    for line, (benchmark, stages) in zip(lines[2:], fp32.items(), strict=True):
        others = bf16[benchmark]
        rows = [stages["random"], *(stages[stage] + others[stage] for stage in ("dino", "leopart"))]
        figures = [f"{mean(values):.1f} ± {stdev(values):.1f}" for values in rows]
        assert line == f"| `{benchmark}` | {' | '.join(figures)} |"


def demo_figures(name: str) -> dict[str, dict[str, list[float]]]:
    """mIoU of the three trainings by benchmark and stage."""
    figures = {}
    for benchmark in read_leaderboard(RESULTS / f"{name}.json")["benchmarks"]:
        means = {row["encoder"]: row["miou"]["mean"] for row in benchmark["rows"]}
        stages = {stage: [means[f"{stage}_{seed}"] for seed in range(3)] for stage in DEMO_STAGES}
        figures[benchmark["name"]] = stages
    return figures


@pytest.mark.parametrize("path", LEADERBOARDS, ids=lambda p: p.stem)
def test_committed_figures_are_whole(path: Path):
    rows = [row for b in read_leaderboard(path)["benchmarks"] for row in b["rows"]]
    assert rows
    for row in rows:
        assert ("miou" in row) != bool(row["reason"])
        if "miou" in row:
            low, high = row["miou"]["ci95"]
            assert low <= row["miou"]["mean"] <= high
            assert row["git_sha"]
