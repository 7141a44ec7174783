"""A method of the user's: one file with a class of settings, found by its name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from leopart_kit.cli.train import main
from leopart_kit.report import read_results
from leopart_kit.training import list_checkpoints, read_metrics
from leopart_kit.training.checkpoint import read_checkpoint_file
from tests.cli.command import error_of_command, run_command_line
from tests.cli.train_command import TINY, stand_beside

SOURCE = '''
from __future__ import annotations

import torch

from leopart_kit.image_level.methods.drawn_views import ImageMethodSettings
from leopart_kit.data import ImagesOf
from leopart_kit.methods import Built, Method, Parts, StepOutput, TrainingDefaults, split_by_decay
from leopart_kit.settings import Count, settings


class Brightness(Method):
    """Tells how bright a view is."""

    def __init__(self, encoder, settings):
        super().__init__()
        self.encoder, self.settings = encoder, settings
        self.head = torch.nn.Sequential(
            torch.nn.Linear(encoder.embed_dim, settings.width), torch.nn.Linear(settings.width, 1)
        )

    def forward(self, batch, step):
        (images,) = batch
        guess = self.head(self.encoder.cls_token(images))[:, 0]
        return StepOutput((guess - images.mean(dim=(1, 2, 3))).square().mean(), {})

    def parameter_groups(self):
        return split_by_decay("all", self, self.settings.learning_rate)


@settings
class BrightnessSettings(ImageMethodSettings):
    """Settings of a method that is not here."""

    width: Count = 8
    """Of the hidden layer."""
    training: TrainingDefaults = TrainingDefaults(epochs=1, weight_decay=0.25)

    def build(self, parts: Parts) -> Built:
        views = self.random_views(parts)
        return Built(Brightness(parts.encoder, self), ImagesOf(parts.dataset), views)
'''


@pytest.fixture(autouse=True)
def beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The method and six images lie where the user stands."""
    stand_beside(tmp_path, "own_brightness.py", SOURCE, monkeypatch)


def words(*own: str) -> list[str]:
    """A run as long as the method wants; Leopart's sizes left out."""
    tiny = [word for word in TINY if not word.startswith(("method.", "trainer.max_steps"))]
    run = ["dataset.root=images", "output_dir=out", "method=custom"]
    return [*tiny, *run, *own]


FACTORY = "method.factory=own_brightness:BrightnessSettings"


def test_it_trains_and_is_set_like_any_other(tmp_path: Path):
    own = (FACTORY, "method.width=5", "method.views.image.flip_probability=0.0")
    run_command_line(main, "leopart train", words(*own))
    assert len(read_metrics(tmp_path / "out" / "metrics.jsonl")) == 3, "one epoch"
    recorded = read_results(tmp_path / "out" / "evaluation" / "after")["settings"]
    assert (recorded["method"]["width"], recorded["method"]["learning_rate"]) == (5, 1e-3)
    assert recorded["trainer"]["weight_decay"] == 0.25
    state = read_checkpoint_file(list_checkpoints(tmp_path / "out" / "checkpoints")[-1])
    assert state["state_dict"]["head.0.weight"].shape == (5, 64)
    assert (tmp_path / "out" / "backbone.safetensors").exists()


def test_another_version_of_its_code_or_defaults_is_another_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run_command_line(main, "leopart train", words(FACTORY))
    changes = [("width: Count = 8", "width: Count = 9"), (".square()", ".abs()")]
    for before, after in changes:
        monkeypatch.delitem(sys.modules, "own_brightness")
        (tmp_path / "own_brightness.py").write_text(SOURCE.replace(before, after))
        line = error_of_command(main, "leopart train", words(FACTORY))
        assert "method." in line
        assert "output_dir" in line


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ((FACTORY, "method.width=0"), r"method.width"),
        ((FACTORY, "method.widht=3"), r"method.width"),
        (("method.factory=own_brightness:Brightness",), "@settings"),
        (("method.factory=nowhere:Settings",), "method.factory=nowhere:Settings"),
        ((), r"method.factory"),
    ],
)
def test_its_settings_are_checked(own: tuple[str, ...], message: str):
    assert message in error_of_command(main, "leopart train", words(*own))
