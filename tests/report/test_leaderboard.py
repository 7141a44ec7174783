"""Leaderboards from result folders: order, pairing, published figures, forms."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leopart_kit.evaluation import Benchmark, PublishedFigure, Result, evaluate
from leopart_kit.evaluation.protocols.overclustering import Overclustering
from leopart_kit.report import (
    Cell,
    build_leaderboard,
    leaderboard_markdown,
    read_leaderboard,
    write_between_marks,
    write_leaderboard,
    write_leaderboard_page,
    write_results,
)
from leopart_kit.report.leaderboard_tables import leaderboard_csv, leaderboard_latex
from tests.evaluation.tiny_data import MeanColour, encoder_of, write_folder

PUBLISHED = Benchmark(
    "tiny", "4x4", 1.0, (PublishedFigure("Method", "ViT-S/16", "its README", miou=90.0),)
)


class Grey(MeanColour):
    """Sees one value a patch: it confuses the classes."""

    def __call__(self, images):
        return super().__call__(images).mean(dim=1, keepdim=True).round(decimals=1)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Result]]:
    root = tmp_path_factory.mktemp("leaderboard")
    dataset = write_folder(root / "data", 8)
    protocol = Overclustering(
        seeds=(0, 1), resolution=(32, 32), score_resolution=(4, 4), pca_dim=None
    )
    found = {}
    for name, encoder in (("colour", encoder_of(MeanColour())), ("grey", encoder_of(Grey(), 1))):
        result = evaluate(encoder, dataset, protocol, benchmark=PUBLISHED)
        write_results(result, root / name)
        found[name] = root / name, result
    return found


def cells(runs: dict[str, tuple[Path, Result]]) -> list[Cell]:
    return [
        Cell("grey", "tiny", runs["grey"][0]),
        Cell("lost", "tiny", None, "no data: set roots.voc=DIR"),
        Cell("colour", "tiny", runs["colour"][0], published_as=("Method", "ViT-S/16")),
        Cell("colour", "other", None, "no weights"),
    ]


def test_rows_are_ranked_and_paired_with_the_first(runs):
    board = build_leaderboard(cells(runs))
    tiny, other = board["benchmarks"]
    assert [row["encoder"] for row in tiny["rows"]] == ["colour", "grey", "lost"]
    first, second, third = tiny["rows"]
    colour, grey = (runs[name][1].metrics["miou"].mean for name in ("colour", "grey"))
    assert first["miou"]["mean"] == pytest.approx(colour, abs=0.01)
    assert "behind" not in first
    assert second["behind"]["difference"] == pytest.approx(colour - grey, abs=0.01)
    low, high = second["behind"]["interval"]
    assert low <= second["behind"]["difference"] <= high
    assert third == {"encoder": "lost", "reason": "no data: set roots.voc=DIR"}
    assert other["rows"] == [{"encoder": "colour", "reason": "no weights"}]
    assert first["published"]["miou"] == 90.0
    assert second["published"] is None, "no row was named for it"


def test_results_on_other_images_are_not_paired(runs, tmp_path: Path):
    result = runs["grey"][1]
    renamed = replace(result, image_names=tuple(f"x{name}" for name in result.image_names))
    write_results(renamed, tmp_path)
    board = build_leaderboard([cells(runs)[2], Cell("grey", "tiny", tmp_path)])
    assert board["benchmarks"][0]["rows"][1]["behind"] is None


def test_the_markdown_says_it_all(runs):
    text = leaderboard_markdown(build_leaderboard(cells(runs)))
    lines = text.splitlines()
    assert lines[0] == "| mIoU of classes present | `grey` | `lost` | `colour` |"
    colour = runs["colour"][1].metrics
    row = next(line for line in lines if line.startswith("| `colour` |"))
    assert f"{colour['miou'].mean:.1f} ± {colour['miou'].std:.1f}" in row
    assert f"90.0 ({colour['miou'].mean - 90:+.1f}".replace("-", "−") in row
    assert "| `lost` | not run: no data: set roots.voc=DIR |" in text
    assert "Published on the whole set: Method ViT-S/16 90.0." in text
    widths = {line.count("|") for line in lines if line.startswith("| `lost`")}
    assert widths == {9}, "eight cells, also where nothing was run"


@pytest.mark.parametrize("named", [False, True])
def test_there_is_a_column_of_published_figures_only_if_one_is_named(
    runs, tmp_path: Path, named: bool
):
    found = cells(runs)
    found = found if named else [replace(cell, published_as=None) for cell in found]
    board = build_leaderboard(found)
    text = leaderboard_markdown(board)
    assert ("| published |" in text) == named
    table = text.split("### `tiny`")[1].split("Published on")[0]
    widths = {line.count("|") for line in table.splitlines() if line.startswith("| ")}
    assert widths == {8 + named}
    write_leaderboard_page(board, tmp_path / "board.html", "Board", "command")
    html = (tmp_path / "board.html").read_text()
    assert ('<th scope="col">Published</th>' in html) == named
    assert f'<td colspan="{5 + named}" class="reason">' in html


def test_bars_in_names_do_not_break_the_table(runs):
    text = leaderboard_markdown(build_leaderboard([Cell("a|b", "tiny", runs["grey"][0])]))
    assert "`a\\|b`" in text


def test_a_written_leaderboard_comes_back_and_another_file_is_refused(runs, tmp_path: Path):
    board = build_leaderboard(cells(runs))
    path = write_leaderboard(board, tmp_path / "board.json")
    assert read_leaderboard(path) == json.loads(json.dumps(board))
    path.write_text("{}")
    with pytest.raises(ValueError, match="leaderboard"):
        read_leaderboard(path)
    path.write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        read_leaderboard(path)
    with pytest.raises(FileNotFoundError, match="no leaderboard at"):
        read_leaderboard(tmp_path / "none.json")


def test_a_readme_gets_the_table_between_its_marks(tmp_path: Path):
    path = tmp_path / "README.md"
    begin, end = "<!-- leaderboard: begin -->", "<!-- leaderboard: end -->"
    path.write_text(f"# Title\n{begin}\nold\n{end}\nafter\n")
    write_between_marks("new\n", path)
    write_between_marks("newer\n", path)
    assert path.read_text() == f"# Title\n{begin}\nnewer\n{end}\nafter\n"
    path.write_text(f"{end}\n{begin}\n")
    with pytest.raises(ValueError, match="in this order"):
        write_between_marks("text", path)
    with pytest.raises(FileNotFoundError, match="leaderboard"):
        write_between_marks("text", tmp_path / "none.md")


def test_a_readme_may_hold_tables_of_several_names(tmp_path: Path):
    path = tmp_path / "README.md"
    both = "<!-- {0}: begin -->\n{1}\n<!-- {0}: end -->\n"
    path.write_text(both.format("leaderboard", "a") + both.format("methods", "b"))
    write_between_marks("c", path, "methods")
    assert path.read_text() == both.format("leaderboard", "a") + both.format("methods", "c")
    with pytest.raises(ValueError, match="parts: begin"):
        write_between_marks("c", path, "parts")


def test_the_page_shows_rows_reasons_and_nothing_from_elsewhere(runs, tmp_path: Path):
    page = write_leaderboard_page(
        build_leaderboard(cells(runs)), tmp_path / "leaderboard.html", "Dense <protocols>"
    ).read_text()
    assert "Dense &lt;protocols&gt;" in page
    assert "not run: no data: set roots.voc=DIR" in page
    assert f"{runs['colour'][1].metrics['miou'].mean:.1f}" in page
    assert "p = " in page
    assert "http" not in page.replace("http-equiv", "")


def test_figures_link_to_the_evaluations_that_lie_beside_the_page(runs, tmp_path: Path):
    board = build_leaderboard(cells(runs))
    name = board["benchmarks"][0]["name"]
    report = tmp_path / "colour" / name / "report.html"
    report.parent.mkdir(parents=True)
    report.touch()
    page = write_leaderboard_page(board, tmp_path / "leaderboard.html", "title").read_text()
    assert page.count(f'<a href="colour/{name}/report.html">') == 1
    assert page.count("report.html") == 1


def test_two_encoders_of_one_name_keep_both_rows(runs):
    twice: list[Any] = [Cell("same", "tiny", runs[name][0]) for name in ("colour", "grey")]
    rows = build_leaderboard(twice)["benchmarks"][0]["rows"]
    assert [row["encoder"] for row in rows] == ["same", "same"]


def test_the_tables_to_copy_hold_what_was_run(runs):
    board = build_leaderboard(cells(runs))
    lines = list(csv.DictReader(io.StringIO(leaderboard_csv(board))))
    assert [(line["benchmark"], line["encoder"]) for line in lines] == [
        ("tiny", "colour"),
        ("tiny", "grey"),
    ]
    for line in lines:
        summary = runs[line["encoder"]][1].metrics["miou"]
        assert float(line["miou"]) == pytest.approx(summary.mean, abs=0.005)
        assert float(line["miou_low"]) == pytest.approx(summary.ci95[0], abs=0.005)
    latex = leaderboard_latex(board)
    best = runs["colour"][1].metrics["miou"].mean
    assert latex.count(r"\textbf{") == 1
    assert rf"colour & \textbf{{{best:.1f}}}" in latex
    assert "lost" not in latex
    assert latex.index(r"\toprule") < latex.index(r"\midrule") < latex.index(r"\bottomrule")


@pytest.mark.parametrize("name", ["a_b & 50%", r"\input{x}", "#1^2~$", 'quote", line\n2'])
def test_names_are_escaped_for_csv_and_latex(runs, name: str):
    board = build_leaderboard([Cell(name, name, runs["grey"][0])])
    line = next(iter(csv.DictReader(io.StringIO(leaderboard_csv(board)))))
    assert (line["encoder"], line["benchmark"]) == (name, name)
    row = leaderboard_latex(board).split("\\midrule\n")[1].split(" & ")[0]
    assert not re.search(r"(?<!\\)[&%$#_]", row)
    assert r"\input" not in row


@pytest.fixture
def trainings(tmp_path: Path) -> list[Path]:
    """Logs of two trainings, one of them in two rounds."""
    logs = {
        "a": [(10, 4.0, 100.0), (20, 4.0, 300.0)],
        "b": [(20, 2.0, 200.0)],
        "b/rounds/1": [(20, 4.0, None)],
    }
    for name, rows in logs.items():
        lines = [
            json.dumps({"step": step, "images_per_second": rate, "peak_memory_mb": memory})
            for step, rate, memory in rows
        ]
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        evaluated = json.dumps({"step": 20, "evaluation/miou": 1.0})
        (tmp_path / name / "metrics.jsonl").write_text("\n".join([*lines, evaluated]))
    return [tmp_path / "a", tmp_path / "b"]


def test_trainings_of_one_encoder_share_a_row(runs, trainings: list[Path]):
    found = [
        Cell("both", "tiny", runs[name][0], training=folder)
        for name, folder in zip(("colour", "grey"), trainings, strict=True)
    ]
    single = Cell("single", "tiny", runs["colour"][0])
    [benchmark] = build_leaderboard([*found, single])["benchmarks"]
    first, second = benchmark["rows"]
    assert (first["encoder"], second["encoder"]) == ("single", "both")
    means = [runs[name][1].metrics["miou"].mean for name in ("colour", "grey")]
    assert second["miou"]["mean"] == pytest.approx(sum(means) / 2, abs=0.01)
    assert second["miou"]["std"] == pytest.approx(abs(means[0] - means[1]) / 2**0.5, abs=0.01)
    low, high = second["miou"]["ci95"]
    assert low <= second["miou"]["mean"] <= high
    assert second["behind"]["difference"] == pytest.approx(means[0] - sum(means) / 2, abs=0.01)
    assert second["num_seeds"] == 2
    # 20 steps at 4 images a second, 20 at 2 and 20 at 4: 60 in 20 units of time, each at 3.
    assert second["training"] == {
        "steps": 30, "images_per_second": 3.0, "peak_memory_mb": 300, "number": 2, "asked": 2,
    }  # fmt: skip
    assert "training" not in first


def test_a_training_that_is_missing_is_said_beside_the_others(runs, trainings, tmp_path: Path):
    board = build_leaderboard(
        [
            Cell("taught", "tiny", runs["grey"][0], training=trainings[0]),
            Cell("taught", "tiny", None, "the loss is nan", training=trainings[1]),
            Cell("lost", "tiny", None, "no weights", training=trainings[1]),
        ]
    )
    text = leaderboard_markdown(board)
    page = write_leaderboard_page(board, tmp_path / "board.html", "Board").read_text()
    assert "`taught`, 1 of 2 trainings" in text
    assert "`taught`, not run: the loss is nan" in text
    assert "trained: 20 steps, 4.0 images/s, 300 MiB" in text
    assert "1 of 2 trainings" in page
    assert "not run: the loss is nan" in page
    assert "| `lost` | not run: no weights |" in text


def test_a_run_with_other_settings_is_not_subtracted(runs, tmp_path: Path):
    changed = replace(PUBLISHED, changed={"dataset.limit": (None, 12), "protocol.k": (21, 5)})
    write_results(replace(runs["colour"][1], benchmark=changed), tmp_path)
    board = build_leaderboard([replace(cells(runs)[2], folder=tmp_path)])
    assert "| 90.0 (other settings) |" in leaderboard_markdown(board)
    write_leaderboard_page(board, tmp_path / "board.html", "Board")
    page = (tmp_path / "board.html").read_text()
    assert "other settings: dataset.limit, protocol.k" in page
