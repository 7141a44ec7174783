"""YAML of users in a folder of their own: every encoding and damage is read rightly or named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from leopart_kit.cli.config import config_folder, register_configs

SUITE = "# @package _global_\nencoders:\n  größe: {encoder: handcrafted}\n"


def composed(folder: Path) -> DictConfig:
    register_configs()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_folder("configs")), version_base="1.3"):
        return compose("benchmark", [f"hydra.searchpath=[file://{folder}]", "suite=mine"])


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    (tmp_path / "suite").mkdir()
    return tmp_path / "suite/mine.yaml"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_mark_is_no_part_of_the_text(tmp_path: Path, suite: Path, encoding: str):
    suite.write_text(SUITE, encoding=encoding)
    assert composed(tmp_path).encoders == {"größe": {"encoder": "handcrafted"}}


@pytest.mark.parametrize(
    "content",
    [
        SUITE.encode("utf-16"),
        SUITE.encode("utf-16-le"),
        SUITE.encode("cp1252"),
        b"a: [1, 2",
        b"\tencoders: 3",
        b"a: b: c",
        b"7",
        b"a: ${b",
        b"a: &x [*x]",
        b"!!python/object:os.system {}",
        b"[" * 20_000,
    ],
    ids=range(11),
)
def test_other_encodings_and_what_is_no_yaml_are_named(tmp_path: Path, suite: Path, content: bytes):
    suite.write_bytes(content)
    with pytest.raises(ValueError, match=r"mine\.yaml"):
        composed(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path: Path, suite: Path):
    os.mkfifo(suite)
    with pytest.raises(Exception, match="suite/mine"):
        composed(tmp_path)
