"""A page's command gives the page's figures again."""

from __future__ import annotations

import html
import json
import re
import shlex
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from leopart_kit.cli import eval_segmentation, train
from leopart_kit.cli.benchmark import main as benchmark_main
from leopart_kit.cli.repeating import word_of
from leopart_kit.image_level.cli import eval_image_level
from tests.cli.command import run_command_line
from tests.image_level.evaluation.tiny_images import write_colours

MAIN = {
    "leopart eval": eval_segmentation.main,
    "leopart train": train.main,
    "leopart image": eval_image_level.main,
}


def repeat(page: Path, output_dir: Path) -> None:
    """Run the command that a page shows, into another folder."""
    (shown,) = re.findall(r"<pre[^>]*><code>(leopart .*?)</code>", page.read_text())
    program, name, *words = shlex.split(html.unescape(shown))
    words = [word for word in words if not word.startswith("output_dir=")]
    run_command_line(MAIN[f"{program} {name}"], name, [*words, f"output_dir={output_dir}"])


def scores(folder: Path) -> object:
    return json.loads((folder / "results.json").read_text())["scores"]


@pytest.mark.parametrize(
    "encoder",
    [
        "{name: timm/test_vit, weights: random, seed: 3, block: -2}",
        "{name: handcrafted, patch_size: 16}",
        "{factory: 'tests.cli.mean_colours:mean_colours'}",
    ],
)
def test_the_page_of_a_cell(folder: Path, tmp_path: Path, encoder: str):
    encoder = encoder.replace("timm/", "")
    words = f"dataset=folder dataset.root={folder} protocol.resolution=[32,32]"
    given = [
        f"encoders={{mine: {encoder}}}", f'benchmarks={{one: "{words}"}}', "page_images=3",
        'overrides="protocol.seeds=[4,1] protocol.num_clusters=5 protocol.pca_dim=8"',
        f"output_dir={tmp_path / 'board'}",
    ]  # fmt: skip
    run_command_line(benchmark_main, "leopart bench", given)
    cell = tmp_path / "board/mine/one"
    repeat(cell / "report.html", tmp_path / "again")
    assert scores(tmp_path / "again") == scores(cell)


def test_the_page_of_an_evaluation(on_folder: list[str], tmp_path: Path):
    words = [*on_folder, "encoder=handcrafted", "protocol.seeds=2", "dataset.limit=4"]
    run_command_line(eval_segmentation.main, "leopart eval", words)
    repeat(tmp_path / "out/report.html", tmp_path / "again")
    assert scores(tmp_path / "again") == scores(tmp_path / "out")


def test_the_page_of_whole_images(tmp_path: Path):
    write_colours(tmp_path / "data", "train", 10)
    write_colours(tmp_path / "data", "test", 4)
    words = [f"dataset.root={tmp_path / 'data'}", "protocol.evaluations=[knn]"]
    words += ["protocol.knn.neighbours=5", f"output_dir={tmp_path / 'out'}"]
    run_command_line(eval_image_level.main, "leopart image", words)
    repeat(tmp_path / "out/report.html", tmp_path / "again")
    assert scores(tmp_path / "again") == scores(tmp_path / "out")


LETTERS = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="$")
TEXTS = st.text(LETTERS, min_size=1)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3),
)


@given(VALUES)
@example("a\\'b")
@example("ends in \\")
@example(["'", "\\\\'", "null"])
def test_a_word_is_read_as_what_it_was_made_of(value: object):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    override = OverridesParser.create().parse_override(word_of("key", value))
    assert override.value() == value
