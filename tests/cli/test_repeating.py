"""A page's command gives the page's figures again, from another folder and in another shell."""

from __future__ import annotations

import hashlib
import html
import json
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from leopart_kit.cli import eval_segmentation, export_masks, repeating, train
from leopart_kit.cli.benchmark import main as benchmark_main
from leopart_kit.cli.shorthand import spelled_out
from leopart_kit.cli.words import word_of
from leopart_kit.image_level.cli import augmentation_ablation, eval_image_level
from leopart_kit.launch import Launch
from tests.cli.command import run_command_line
from tests.cli.test_custom_method import SOURCE
from tests.cli.train_command import LEOPART, TINY
from tests.evaluation.tiny_data import write_folder
from tests.image_level.evaluation.tiny_images import write_colours

MAIN = {
    "eval": eval_segmentation.main,
    "train": train.main,
    "image": eval_image_level.main,
    "export": export_masks.main,
    "bench": benchmark_main,
    "ablation": augmentation_ablation.main,
}
AWKWARD = 'it\'s my "data" (2), a=b'
"""The folder of the images, as one may call it."""
ENCODER = """
import torch.nn.functional as F
from leopart_kit.backbones import Encoder


def colours(**options):
    assert options == {"a list": [1, None, {"b": "c d"}]}
    return Encoder.from_module(lambda x: F.avg_pool2d(x, 8), patch_size=8, embed_dim=3)
"""
OWN = ("encoder=custom", "encoder.factory=own_encoder:colours")
OPTIONS = {"a list": [1, None, {"b": "c d"}]}


def listed(*words: str, **settings: Any) -> list[str]:
    """Words, and settings as words; `__` stands for a dot."""
    return [*words, *(word_of(k.replace("__", "."), v) for k, v in settings.items())]


def text(words: Sequence[str]) -> str:
    return shlex.join(words)


DATA = listed("dataset=folder", dataset__root=AWKWARD)
SMALL = ["protocol.resolution=[32,32]", "protocol.score_resolution=[16,16]", "page_images=1"]
SEEDS = ["protocol.num_clusters=5", "protocol.seeds=[4,1]"]
OF_A_RUN = ("encoder", "trainer.max_steps", "evaluation.page_images", "views.local_size")
TRAINING = [
    *(word for word in TINY if not word.startswith(OF_A_RUN)),
    *("trainer.max_steps=2", "evaluation.page_images=1", "views.local_size=32"),
]
START = {"name": "test_vit", "weights": "random", "seed": 3}
ENCODED = ["encoder=timm", "encoder.name=test_vit"]
ENCODED += ["encoder.weights=random", "encoder.seed=3"]
TRAIN = [
    *(*DATA, *TRAINING, *LEOPART, *ENCODED),
    *listed("dataset@evaluation.dataset=folder", evaluation__dataset__root=AWKWARD),
]
LESS = [word for word in TRAINING if not word.startswith(("method.", "trainer.checkpoint"))]
SELA = ["method.num_heads=1", "method.num_labels=3", "method.num_labellings=1"]
LINEAR = ["protocol.evaluations=[linear]", "protocol.linear.layers=[output]"]
LINEAR += ["protocol.linear.epochs=1", "protocol.seeds=[0]", "protocol.resolution=16"]
BENCH = [
    *listed(
        benchmarks={"one": text(DATA)},
        overrides=text([*SMALL[:2], *SEEDS, "protocol.pca_dim=3"]),
        page_images=1,
    ),
]


class Run(NamedTuple):
    """A command, its words but for the output, and those of its pages that are repeated."""

    name: str
    words: list[str]
    pages: tuple[str, ...] = ("report.html",)


RUNS = {
    "eval": Run(
        "eval", ["dataset=folder", f"dataset.root={AWKWARD}", *SMALL, *SEEDS, "dataset.limit=4"]
    ),
    "eval: a folder alone": Run("eval", [AWKWARD, *SMALL, "protocol.seeds=2"]),
    "eval: the shell": Run(
        "eval", ["dataset=folder", "dataset.root=${oc.env:MY_DATA}", *SMALL, *SEEDS]
    ),
    "eval: own YAML": Run("eval", ["--config-dir=my conf", "dataset=mine", *SMALL, *SEEDS]),
    "eval: own encoder": Run(
        "eval",
        listed(*DATA, *SMALL, *OWN, encoder__factory_options=OPTIONS),
    ),
    "eval: predictions": Run(
        "eval",
        [*DATA, "protocol=predictions", "predictions.root=drawn", "page_images=1"],
    ),
    "image": Run(
        "image",
        ["dataset.root=whole", "protocol.evaluations=[knn]", "protocol.knn.neighbours=5"],
    ),
    "export": Run(
        "export",
        listed("protocol.resolution=[32,32]", "protocol.num_clusters=4", images=f"{AWKWARD}/images")
        + listed("names=names.json", "encoder=demo_leopart", limit=4),
        ("explore.html",),
    ),
    "train": Run("train", TRAIN),
    "train: own method": Run(
        "train",
        [*LESS, "method=custom", "method.factory=own_brightness:BrightnessSettings"]
        + [word for word in TRAIN if word.startswith(("encoder", "dataset", "evaluation"))]
        + ["method.width=5"],
    ),
    "train: rounds": Run(
        "train",
        [*TRAIN, *listed(rounds=["method.temperature=0.2", text(listed(dataset__root=AWKWARD))])],
    ),
    "bench": Run(
        "bench",
        BENCH
        + listed(encoders={"mine": {**START, "block": -2}, "h": {"name": "handcrafted"}})
        + ["encoders.h.patch_size=16"],
        ("mine/one/report.html", "h/one/report.html"),
    ),
    "bench: own encoder": Run(
        "bench",
        BENCH
        + listed(encoders={"m": {"factory": "own_encoder:colours", "factory_options": OPTIONS}}),
        ("m/one/report.html",),
    ),
    "bench: roots": Run(
        "bench",
        listed(roots__camvid="city", benchmarks={"one": text(["dataset=camvid", *SMALL, *SEEDS])})
        + listed(encoders={"h": {"name": "handcrafted", "patch_size": 16}}),
        ("h/one/report.html", "leaderboard.html"),
    ),
    "bench: trained": Run(
        "bench",
        BENCH + listed(encoders={"t": {**START, "trained": text([*DATA, *TRAINING, *LEOPART])}}),
        ("t/training/report.html",),
    ),
    "ablation": Run(
        "ablation",
        listed(train=text([*LESS, *ENCODED, "dataset.root=whole/train", *SELA]), without=[])
        + listed(evaluate=text(["dataset.root=whole", *LINEAR])),
        ("all/seed_0/training/report.html", "all/seed_0/evaluation/report.html"),
    ),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a user works in."""
    home = tmp_path_factory.mktemp("home")
    write_folder(home / AWKWARD, 6)
    for split, number in (("train", 4), ("test", 2)):
        write_colours(home / "whole", split, number)
    shutil.copytree(home / AWKWARD / "masks", home / "drawn")
    (home / "my conf/dataset").mkdir(parents=True)
    node = {"name": "folder", "root": str(home / AWKWARD), "split": "all", "label_set": None}
    (home / "my conf/dataset/mine.yaml").write_text(json.dumps(node))
    (home / "own_encoder.py").write_text(ENCODER)
    (home / "own_brightness.py").write_text(SOURCE)
    (home / "names.json").write_text('{"0": "one, and \\"two\\""}')
    for own, theirs in (("images", "val"), ("masks", "valannot")):
        shutil.copytree(home / AWKWARD / own, home / "city" / theirs)
    # Names of settings that lie about as folders too.
    for name in ("all", "random", "auto", "val", "handcrafted"):
        (home / name).mkdir()
    return home


def figures(folder: Path) -> Mapping[str, Any]:
    """Scores, leaderboards and masks below a folder."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.name == "results.json" and "scores" in (document := json.loads(path.read_text())):
            found[name] = document["scores"]
        elif path.name == "leaderboard.json":
            rows = [b["rows"] for b in json.loads(path.read_text())["benchmarks"]]
            found[name] = [(row["encoder"], row["miou"]) for row in rows[0]]
        elif path.suffix == ".png" and path.parent.name == "masks":
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def shown_command(page: Path) -> list[str]:
    (shown,) = re.findall(r"<pre[^>]*><code>(leopart .*?)</code>", page.read_text())
    return shlex.split(html.unescape(shown))[1:]


@pytest.mark.parametrize("kind", RUNS)
def test_the_command_of_a_page_gives_its_figures_again(
    kind: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    name, words, pages = RUNS[kind]
    monkeypatch.chdir(home)
    monkeypatch.setenv("MY_DATA", AWKWARD)
    out = tmp_path / "out"
    spelled = spelled_out(name, words)
    run_command_line(MAIN[name], f"leopart {name}", [*spelled, f"output_dir={out}"])
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.delenv("MY_DATA")
    monkeypatch.syspath_prepend(home)  # as the page asks, for code of one's own
    for number, page in enumerate(pages):
        name, *words = shown_command(out / page)
        words = [word for word in words if not word.startswith(("output_dir=", "cache_dir="))]
        again = tmp_path / f"again{number}"
        run_command_line(MAIN[name], f"leopart {name}", [*words, f"output_dir={again}"])
        first = figures((out / page).parent)
        assert first
        assert figures(again) == first
    assert not [*tmp_path.glob("elsewhere/*")], "nothing is made where it stands"


LETTERS = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"))
TEXTS = st.text(LETTERS, min_size=1)
KEYS = st.from_regex(
    r"[A-Za-z_][\w :=,(){}\[\]/.+-]*", fullmatch=True, alphabet=st.characters(max_codepoint=126)
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=2),
)


@given(VALUES)
@example("a\\'b")
@example("ends in \\")
@example(["'", "\\\\'", "null"])
@example("a ${b} \\${c} $")
@example({"a: b, {c}": 1})
def test_a_word_is_read_as_what_it_was_made_of(value: object):
    override = OverridesParser.create().parse_override(word_of("key", value))
    read = OmegaConf.to_container(OmegaConf.create({"key": override.value()}), resolve=True)
    assert read == {"key": value}


def test_processes_that_shared_a_batch_are_started_again(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(home)
    monkeypatch.setattr(repeating, "read_launch", lambda: Launch(count=4, local_count=2))
    words = [*RUNS["eval"].words, f"output_dir={tmp_path / 'out'}"]
    run_command_line(MAIN["eval"], "leopart eval", words)
    start = "torchrun --nnodes=2 --nproc-per-node=2 -m leopart_kit eval dataset=folder"
    assert f"<code>{start} " in (tmp_path / "out/report.html").read_text()
