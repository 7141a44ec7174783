"""Settings in which a run differs from the benchmark whose figures stand beside it."""

from __future__ import annotations

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from leopart_kit.cli.cells import list_benchmarks
from leopart_kit.cli.config import compose_command, register_configs
from leopart_kit.cli.published import published_beside
from leopart_kit.parts import config_folder

HOW = [
    *("dataset.root=/data", "encoder=handcrafted", "encoder.block=-2", "output_dir=out"),
    *("batch_size=7", "num_workers=0", "page_images=0", "masks=false", "device=cpu"),
]
"""What is measured, where it lies, and how it is computed."""


def changed(*words: str) -> dict:
    register_configs()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_folder("configs")), version_base="1.3"):
        benchmark = published_beside(compose_command("eval_segmentation", words))
    assert benchmark is not None
    return benchmark.changed


@pytest.mark.parametrize("name", list_benchmarks())
def test_a_benchmark_as_it_is_has_no_other_settings(name: str):
    assert changed(f"benchmark={name}", *HOW) == {}


@pytest.mark.parametrize(
    ("word", "theirs", "own"),
    [
        ("dataset.limit=12", None, 12),
        ("dataset.split=train", "val", "train"),
        ("protocol.seeds=2", [42, 400, 783, 1293, 4019], 2),
        ("protocol.resolution=[224,224]", [504, 504], [224, 224]),
        ("protocol.temperature=0.5", 0.07, 0.5),
        ("precision=bf16", "fp32", "bf16"),
        ("shared_images=allow", "stop", "allow"),
    ],
)
def test_what_determines_the_result_and_is_another_is_named(word: str, theirs: object, own: object):
    found = changed("benchmark=voc_in_context_8th", *HOW, word)
    assert found == {word.partition("=")[0]: (theirs, own)}


def test_another_data_set_or_protocol_is_named():
    assert changed("benchmark=voc_k500", "dataset=folder")["dataset.name"] == ("voc", "folder")
    found = changed("benchmark=voc_k500", "protocol=linear")
    assert found["protocol.name"] == ("overclustering", "linear")


def test_predictions_have_a_protocol_of_their_own():
    words = ["benchmark=voc_k500", "protocol=predictions", "predictions.root=/data"]
    assert changed(*words) == {}
    assert list(changed(*words, "dataset.limit=3")) == ["dataset.limit"]
