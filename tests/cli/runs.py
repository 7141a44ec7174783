"""One small run of each kind of command, on data that it makes: a fraction of a second each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from leopart_kit.cli import benchmark, eval_segmentation, export_masks, train
from tests.cli import train_command
from tests.data.shard_writers import write_tars
from tests.evaluation.protocols.test_unsupervised import write_objects
from tests.evaluation.tiny_data import write_folder

COLOURS = ("encoder=custom", "encoder.factory=tests.cli.mean_colours:mean_colours")
LARGE = "protocol.resolution=[256,256]"
"""Large enough that each mapped file is a good part of what a run needs."""

PROBE = ("protocol.train_split=all", "protocol.epochs=2", "protocol.train_resolution=[16,16]")
SAME = ("shared_images=allow",)  # the images that are learned from are those that are scored
EVALUATIONS = {
    "overclustering": ("protocol.num_clusters=5", LARGE, *COLOURS),
    "linear": (*PROBE, *SAME, LARGE, *COLOURS),
    "in_context": (*SAME, "protocol.train_split=all", "protocol.neighbours=3", LARGE, *COLOURS),
    "unsupervised": (
        *("encoder=timm", f"encoder.name={train_command.MODEL}", "encoder.weights=random"),
        *("protocol.train_split=null", "protocol.foreground_clusters=5", LARGE),
        *("protocol.num_clusters=4", "protocol.edge_threshold=0.1", "protocol.markov_time=1.0"),
    ),
}
FORMATS = "export.formats=[png,coco_rle,coco_polygons,panoptic,labelme,yolo]"
LABELLED = (
    "dataset@evaluation.dataset=webdataset",
    "evaluation.dataset.root=${dataset.root}",
    "evaluation.dataset.mask=seg.png",
)
"""The shards of a training are those that it is measured on."""
KINDS = (*EVALUATIONS, "export", "training", "shards", "rounds", "benchmark")


class Run(NamedTuple):
    """A program and its words, but for `output_dir`.

    `kept` are patterns of files that it keeps beside its data, to be read by the next run.
    """

    command: Callable[[], None]
    words: list[str]
    kept: str = ""


def small_run(kind: str, data: Path) -> Run:
    """A run of one of the `KINDS`; its images are written to the folder `data`."""
    if kind == "shards":
        write_folder(data / "loose", 6)
        shards = write_tars(data / "loose", data / "tars", 6)
        words = train_command.arguments(data, Path(), *train_command.LEOPART, "dataset=webdataset")
        words = [word for word in words if not word.startswith(("output_dir=", "dataset.root="))]
        return Run(train.main, [*words, f"dataset.root={shards}", *LABELLED], "tars/.*.index")
    if kind in ("training", "rounds"):
        images = train_command.write_images(data)
        own = ["rounds=2", "trainer.max_steps=2"] if kind == "rounds" else []
        words = train_command.arguments(images, Path(), *train_command.LEOPART, *own)
        return Run(train.main, [word for word in words if not word.startswith("output_dir=")])
    if kind == "unsupervised":
        write_objects(data, 8)
    else:
        write_folder(data, 6)
    if kind == "export":
        words = [f"images={data / 'images'}", LARGE, "protocol.num_clusters=4", FORMATS]
        return Run(export_masks.main, [*words, *COLOURS])
    small = ["protocol.score_resolution=[128,128]", "protocol.seeds=[0]"]
    if kind == "benchmark":
        mine = "{factory: 'tests.cli.mean_colours:mean_colours'}"
        words = [
            "page_images=1",
            f'overrides="{" ".join(small)} protocol.resolution=[32,32]"',
            f"encoders={{classical: {{name: handcrafted}}, mine: {mine}}}",
            f'benchmarks={{here: "dataset=folder dataset.root={data}"}}',
        ]
        return Run(benchmark.main, words)
    words = [f"protocol={kind}", "dataset=folder", f"dataset.root={data}", "page_images=2"]
    return Run(eval_segmentation.main, [*words, *small, *EVALUATIONS[kind]])
