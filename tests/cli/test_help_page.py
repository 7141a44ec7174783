"""`--help` of every command: each of its settings, with its words, and those of what is chosen."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from leopart_kit.cli.bench_encoders import EncoderEntry
from leopart_kit.cli.declared import PACKAGES
from leopart_kit.cli.program import COMMANDS as PROGRAM
from leopart_kit.parts import find_part, list_parts
from leopart_kit.settings import declared, group_of

COMMANDS = list_parts(PACKAGES["command"])


def page_of(command: str, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    (module,) = [c.module for c in PROGRAM.values() if c.module.endswith(f".{command}")]
    main = importlib.import_module(f"leopart_kit.{module}").main
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [command, *words, "--help"])
        main()
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_setting_is_there_with_its_words(command: str, capsys: pytest.CaptureFixture[str]):
    page = page_of(command, capsys)
    for setting in declared(find_part(PACKAGES["command"], command, "command")):
        if group_of(setting.kind) is None:
            assert setting.name in page
            assert setting.words in page


@pytest.mark.parametrize(
    ("words", "shown", "hidden"),
    [
        (["method=dino"], "method.teacher_temperature=0.04", "method.queue_length"),
        (["method=leopart"], "method.queue_length=8192", "method.views"),
        (["method=dino"], "method.views.local.jitter=0.5", "method.views.image"),
        (["trainer.max_steps=7"], "trainer.max_steps=7", "trainer.max_steps=null"),
    ],
)
def test_the_page_shows_what_was_chosen(
    words: list[str], shown: str, hidden: str, capsys: pytest.CaptureFixture[str]
):
    page = page_of("train", capsys, *words)
    assert shown in page
    assert hidden not in page


def test_what_an_encoder_of_a_board_can_be_given_is_listed(capsys: pytest.CaptureFixture[str]):
    page = page_of("benchmark", capsys)
    for setting in declared(EncoderEntry):
        assert f"encoders.NAME.{setting.name}=" in page
        assert setting.words in page


def test_what_cannot_be_chosen_is_told(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="unknown method 'lepart'"):
        page_of("train", capsys, "method=lepart")


OWN = '''
from leopart_kit.settings import Count, settings

@settings
class Own:
    """A part of the user's."""

    name_of_its_own: Count = 41
    """What nobody else has."""

plain = dict
'''


@pytest.fixture
def own_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own_part.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    return "own_part:Own"


CUSTOM = [
    ("train", "method"),
    ("train", "dataset"),
    ("train", "evaluation.protocol"),
    ("train", "evaluation.dataset"),
    ("eval_segmentation", "protocol"),
    ("eval_segmentation", "dataset"),
    ("eval_image_level", "dataset"),
]


def choice(node: str) -> str:
    group = node.rpartition(".")[2]
    return f"{group}=custom" if group == node else f"{group}@{node}=custom"


@pytest.mark.parametrize(("command", "node"), CUSTOM)
def test_a_part_of_the_users_is_shown_as_any_other(
    command: str, node: str, own_part: str, capsys: pytest.CaptureFixture[str]
):
    words = [choice(node), f"{node}.factory={own_part}"]
    page = page_of(command, capsys, *words)
    assert f"{node}=custom: A part of the user's." in page
    assert f"{node}.name_of_its_own=41" in page
    assert "What nobody else has." in page
    changed = page_of(command, capsys, *words, f"{node}.name_of_its_own=7")
    assert f"{node}.name_of_its_own=7" in changed
    assert f"{node}.name_of_its_own=41" not in changed
    assert "output_dir=" in page_of(command, capsys, choice(node)), "without it, the rest"


@pytest.mark.parametrize(("command", "node"), CUSTOM)
@pytest.mark.parametrize("factory", ["own_part:plain", "own_part:Other", "nowhere:Own", "own"])
def test_a_part_that_cannot_be_shown_is_told(
    command: str, node: str, factory: str, own_part: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit, match=f"error: {node}.factory"):
        page_of(command, capsys, choice(node), f"{node}.factory={factory}")
