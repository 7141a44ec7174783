"""Evaluations before, in and after a training are shared by its processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from leopart_kit.report import read_per_image, read_results
from tests.cli.command import leopart_eval
from tests.cli.launched import TRAIN, launch_torchrun, torchrun
from tests.cli.train_command import LEOPART, MODEL, arguments
from tests.evaluation.tiny_data import write_folder
from tests.training.test_training_resume import last_state

SMALL = ("protocol.resolution=[32,32]", "protocol.score_resolution=[16,16]", "protocol.seeds=[0,1]")
NOTED = (
    "protocol@evaluation.protocol=custom",
    "evaluation.protocol.factory=tests.cli.shared_protocol:Noted",
)


def words(data: Path, output_dir: Path, *more: str) -> list[str]:
    """A training of four steps with an evaluation after two."""
    own = (
        *LEOPART,
        *NOTED,
        "dataset@evaluation.dataset=folder",
        f"evaluation.dataset.root={data}",
        "evaluation.batch_size=1",
        *(f"+evaluation.{setting}" for setting in (*SMALL, "protocol.pca_dim=4")),
        f"+evaluation.protocol.notes={output_dir.with_suffix('.notes')}",
        "trainer.evaluate_every=2",
        "trainer.keep_checkpoints=9",
        *more,
    )
    return [
        word
        for word in arguments(data / "images", output_dir, *own)
        if not word.startswith("evaluation.protocol.") or "factory" in word
    ]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_folder(folder, 7)
    return folder


@pytest.fixture(scope="module")
def trained(data: Path) -> Path:
    folder = data.parent / "trained"
    torchrun(TRAIN, words(data, folder), 2, data.parent)
    return folder


def test_every_process_takes_its_share(trained: Path):
    shares = [trained.with_suffix(f".notes.{rank}").read_text().split() for rank in (0, 1)]
    assert shares == [["4", "4", "4"], ["3", "3", "3"]]  # before, after two steps, at the end


@pytest.mark.parametrize("name", ["before", "step_2", "after"])
def test_the_figures_are_those_of_one_process(data: Path, trained: Path, tmp_path: Path, name: str):
    weights = {
        "before": "random",
        "step_2": trained / "checkpoints" / "step_00000002.pt",
        "after": trained / "backbone.safetensors",
    }
    leopart_eval(
        "dataset=folder",
        f"dataset.root={data}",
        "encoder=timm",
        f"encoder.name={MODEL}",
        f"encoder.weights={weights[name]}",
        *SMALL,
        "protocol.pca_dim=4",
        "batch_size=1",
        f"output_dir={tmp_path / 'out'}",
    )
    one, shared = (read_results(f) for f in (tmp_path / "out", trained / "evaluation" / name))
    for metric, summary in one["metrics"].items():
        for key in ("mean", "std", "per_seed", "ci95"):
            np.testing.assert_allclose(shared["metrics"][metric][key], summary[key], atol=1e-6)
    assert one["dataset"] == shared["dataset"]
    for resolution, counts in read_per_image(tmp_path / "out")[1].items():
        np.testing.assert_array_equal(
            read_per_image(trained / "evaluation" / name)[1][resolution], counts
        )


def test_only_the_first_writes_and_nothing_passing_stays(trained: Path):
    assert not [path.name for path in trained.iterdir() if path.name.startswith(".")]
    assert not (trained / "features").exists()
    assert (trained / "report.html").is_file()
    assert (trained / "identity.json").is_file()


@pytest.mark.parametrize(("process", "measurement"), [(0, 0), (1, 1), (1, 2)])
def test_one_process_that_cannot_evaluate_ends_all_in_one_line(
    data: Path, tmp_path: Path, process: int, measurement: int
):
    failing = (
        f"+evaluation.protocol.failing_process={process}",
        f"+evaluation.protocol.failing_measurement={measurement}",
    )
    done = launch_torchrun(TRAIN, words(data, tmp_path / "out", *failing), 2, tmp_path)
    assert done.returncode != 0
    told = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert 1 <= len(told) <= 2  # the launcher may end the other before it has said so
    assert all(f"process {process} cannot measure" in line for line in told)
    assert "leopart_kit/" not in done.stderr  # no traceback of ours
    if measurement == 2:  # the training itself is kept
        assert last_state(tmp_path / "out")["step"] == 4
