"""`leopart bench`: cells that are kept, cells that fail alone, and the leaderboard of all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from leopart_kit.cli import cells, eval_segmentation
from leopart_kit.cli.benchmark import main
from leopart_kit.cli.eval_segmentation import main as evaluate_main
from leopart_kit.report import read_leaderboard, read_results
from tests.cli.command import error_of_command, leopart_eval, run_command_line

TINY = "protocol.resolution=[32,32] protocol.score_resolution=[16,16] protocol.seeds=[0,1]"


@pytest.fixture
def board(folder: Path, tmp_path: Path) -> list[str]:
    """Two encoders on a data set that is there and on one that is not."""
    mine = "{factory: 'tests.cli.mean_colours:mean_colours'}"
    return [
        f"output_dir={tmp_path / 'board'}",
        "page_images=1",
        f'overrides="{TINY}"',
        f"encoders={{classical: {{name: handcrafted}}, mine: {mine}}}",
        f'benchmarks={{here: "dataset=folder dataset.root={folder}", away: "dataset=voc"}}',
    ]


def benchmark(*arguments: str) -> None:
    run_command_line(main, "leopart bench", arguments)


def rows(path: Path) -> dict[str, dict[str, dict]]:
    """Rows of a leaderboard by benchmark and encoder."""
    found = read_leaderboard(path / "leaderboard.json")["benchmarks"]
    return {b["name"]: {row["encoder"]: row for row in b["rows"]} for b in found}


def test_every_cell_has_figures_or_a_reason(board: list[str], tmp_path: Path):
    benchmark(*board)
    found = rows(tmp_path / "board")
    assert found["here"]["classical"]["miou"]["mean"] > 0
    assert found["here"]["mine"]["num_seeds"] == 2
    for encoder in ("classical", "mine"):
        assert found["away"][encoder]["reason"] == "no data: set roots.voc=DIR"
    for name in ("leaderboard.md", "leaderboard.html"):
        assert "no data: set roots.voc=DIR" in (tmp_path / "board" / name).read_text()
    cell = tmp_path / "board" / "mine" / "here"
    name = json.loads((cell / "results.json").read_text())["encoder"]["name"]
    assert name == "tests.cli.mean_colours:mean_colours"
    assert (cell / "report.html").is_file()


def test_what_is_done_is_not_done_again(board: list[str], tmp_path: Path, monkeypatch):
    benchmark(*board)
    before = (tmp_path / "board" / "leaderboard.json").read_text()
    measured: list[str] = []
    original = cells.measure_encoder

    def counted(config, encoder, *rest):
        measured.append(str(config.output_dir))
        return original(config, encoder, *rest)

    monkeypatch.setattr(cells, "measure_encoder", counted)
    benchmark(*board)
    assert measured == []
    assert (tmp_path / "board" / "leaderboard.json").read_text() == before
    benchmark(*board, f'overrides="{TINY} protocol.num_clusters=5"')
    assert len(measured) == 2, "other settings are another measurement"


def test_other_images_or_masks_are_measured_anew(board: list[str], folder: Path, tmp_path: Path):
    def num_images() -> int:
        benchmark(*board)
        return read_results(tmp_path / "board" / "classical" / "here")["dataset"]["num_images"]

    mask = folder / "masks" / "im00.png"
    whole = mask.read_bytes()
    mask.write_bytes(b"no mask")
    assert num_images() == 5
    mask.write_bytes(whole)
    assert num_images() == 6, "repaired"
    for kind in ("images", "masks"):
        shutil.copy(folder / kind / "im00.png", folder / kind / "more.png")
    assert num_images() == 7


def test_a_failure_of_ours_stops_its_row_alone(board: list[str], tmp_path: Path, monkeypatch):
    original = cells.measure_encoder

    def fails_once(config, encoder, *rest):
        if encoder.name == "handcrafted":
            raise RuntimeError("a mistake")
        return original(config, encoder, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(cells, "measure_encoder", fails_once)
        benchmark(*board)
    found = rows(tmp_path / "board")["here"]
    assert found["classical"]["reason"] == "RuntimeError: a mistake"
    assert "miou" in found["mine"]
    benchmark(*board)
    assert "miou" in rows(tmp_path / "board")["here"]["classical"], "what failed is tried again"


@pytest.mark.parametrize("gone", ["report.html", "overview.png", "masks", "results.json"])
def test_a_cell_that_lacks_a_part_is_measured_anew(board: list[str], tmp_path: Path, gone: str):
    board = [*board, "masks=true"]
    benchmark(*board)
    part = tmp_path / "board" / "classical" / "here" / gone
    shutil.rmtree(part) if part.is_dir() else part.unlink()
    benchmark(*board)
    assert part.exists()


def test_results_come_last(board: list[str], tmp_path: Path, monkeypatch):
    """Also where another result is there already: it does not stand beside half of a new one."""
    benchmark(*board)
    with monkeypatch.context() as patch:

        def fails(*_: object, **__: object) -> None:
            raise OSError("no page")

        patch.setattr(eval_segmentation, "write_page", fails)
        other = f'overrides="{TINY} protocol.num_clusters=5"'
        assert "no page" in error_of_command(main, "leopart bench", [*board, other])
    assert not (tmp_path / "board" / "classical" / "here" / "results.json").exists()
    assert "no page" in rows(tmp_path / "board")["here"]["classical"]["reason"]


def test_an_interrupted_run_goes_on(board: list[str], tmp_path: Path, monkeypatch):
    original = cells.measure_encoder

    def interrupted(config, encoder, *rest):
        if encoder.name != "handcrafted":
            raise KeyboardInterrupt
        return original(config, encoder, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(cells, "measure_encoder", interrupted)
        with pytest.raises(SystemExit, match="run the same command again to go on"):
            benchmark(*board)
    assert set(rows(tmp_path / "board")["here"]) == {"classical"}, "written after each encoder"
    benchmark(*board)
    assert set(rows(tmp_path / "board")["here"]) == {"classical", "mine"}


def test_an_encoder_that_cannot_be_loaded_says_so_in_its_rows(board: list[str], tmp_path: Path):
    benchmark(*board, "+encoders.lost={name: dino_vits16, weights: none.pth}")
    found = rows(tmp_path / "board")["here"]
    assert "none.pth" in found["lost"]["reason"]
    assert "miou" in found["classical"]


def test_predictions_of_others_stand_in_the_same_table(
    board: list[str], folder: Path, tmp_path: Path
):
    words = [f"dataset.root={folder}", "dataset=folder"]
    leopart_eval(*words, f"output_dir={tmp_path / 'run'}", "protocol.num_clusters=5")
    score = [
        "protocol=predictions",
        f"predictions.root={tmp_path / 'run' / 'masks'}",
        "predictions.name=theirs",
        f"output_dir={tmp_path / 'scored'}",
    ]
    run_command_line(evaluate_main, "leopart eval", [*words, *score])
    benchmark(*board, f"include={{here: {{theirs: {tmp_path / 'scored'}}}}}")
    assert "miou" in rows(tmp_path / "board")["here"]["theirs"]


@pytest.mark.parametrize("more", [[], ["include={here: {theirs: RUN}}"]])
def test_it_fails_if_nothing_was_measured(
    board: list[str], on_folder: list[str], tmp_path: Path, more: list[str]
):
    if more:
        leopart_eval(*on_folder, "protocol.num_clusters=5")
        more = [more[0].replace("RUN", str(tmp_path / "out"))]
    error = error_of_command(main, "leopart bench", [*board, *more, 'overrides="dataset.limit=0"'])
    assert "dataset.limit" in error
    found = rows(tmp_path / "board")["here"]
    assert "dataset.limit" in found["mine"]["reason"]
    assert ("theirs" in found) == bool(more)


def test_encoders_run_where_they_should_and_the_readme_is_written(board: list[str], tmp_path: Path):
    readme = tmp_path / "README.md"
    readme.write_text("# Mine\n<!-- leaderboard: begin -->\n<!-- leaderboard: end -->\n")
    benchmark(
        *board,
        "+encoders.classical.only=[h*]",
        "+encoders.mine.only=away",
        f"write_to={readme}",
        f"publish={tmp_path / 'small'}",
    )
    found = rows(tmp_path / "board")
    assert set(found["here"]) == {"classical"}
    assert set(found["away"]) == {"mine"}
    assert "| `here` |" in readme.read_text()
    assert "### `here`" in (tmp_path / "small.md").read_text()
    assert "### `here`" not in readme.read_text(), "the overview alone"
    assert (tmp_path / "small.json").read_text() == (
        tmp_path / "board" / "leaderboard.json"
    ).read_text()


@pytest.mark.parametrize(
    ("said", "run"),
    [("only=h*", {"here"}), ("only=[her?]", {"here"}), ("only=[aw*,here]", {"here", "away"})],
)
def test_only_the_benchmarks_that_were_asked_for_are_run(
    board: list[str], tmp_path: Path, said: str, run: set[str]
):
    benchmark(*board, said)
    assert set(rows(tmp_path / "board")) == run


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["only=here", "+encoders.mine.only=away", "+encoders.classical.only=away"], "only"),
        (["only=[]"], "only"),
        (["only=[here,nowhere]"], "only: no benchmark is 'nowhere'"),
        (["encoders=null"], "no encoder"),
        (["benchmarks=null"], "no benchmark"),
        (["+benchmarks.voc_k2=null"], "unknown benchmark 'voc_k2'"),
        (["+encoders.mine.published_as=[Leopart]"], "encoders.mine.published_as"),
        (["suite=mine"], "'mine'"),
    ],
)
def test_mistakes_show_at_once(board: list[str], tmp_path: Path, changed, message: str):
    line = error_of_command(main, "leopart bench", [*board, *changed])
    assert message in line
    assert not (tmp_path / "board" / "leaderboard.json").exists()


def test_what_the_words_of_an_evaluation_set_is_taken_or_refused(board: list[str], tmp_path: Path):
    said = [word.replace(TINY, f"{TINY} masks=true page_images=0") for word in board]
    benchmark(*said)
    cell = tmp_path / "board" / "mine" / "here"
    assert (cell / "masks").is_dir()
    assert not (cell / "overview.png").exists()
    for lost in ("encoder.block=-2", "encoder=handcrafted", "precision=bf16", "device=cpu"):
        said = [word.replace(TINY, f"{TINY} {lost}") for word in board]
        assert lost in error_of_command(main, "leopart bench", said)
