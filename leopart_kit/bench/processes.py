"""Benchmark of two processes that share an evaluation or a training, and of a linear probe."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.nn import functional as F

from leopart_kit.backbones import Encoder
from leopart_kit.data import load_dataset
from leopart_kit.data.scenes import SceneGenerator, write_voc
from leopart_kit.evaluation import RunSettings, evaluate
from leopart_kit.evaluation.protocols.linear import LinearProbe
from leopart_kit.report import read_results
from leopart_kit.training import read_metrics

_STAGES = ("features", "memory", "search", "scoring")


def bench_processes(images: int = 64) -> Iterator[str]:
    """Extraction, in-context search, scoring and training by one process and by two.

    One thread each; a step of the training has the same images for both.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_voc(folder / "VOC2012", SceneGenerator((448, 448)), {"train": images, "val": images})
        seconds = {count: _in_context(folder, count, images) for count in (1, 2)}
        rates = {count: _training(folder, count) for count in (1, 2)}
    yield f"processes: in-context, {images} + {images} images at 448 px, ViT-S/14, 1 thread each"
    for stage in (*_STAGES, "all"):
        one, two = (
            sum(found[s] for s in (_STAGES if stage == "all" else (stage,)))
            for found in seconds.values()
        )
        yield f"  {stage:10} 1: {one:7.1f} s   2: {two:7.1f} s   ratio {one / two:5.2f}"
    yield "processes: Leopart, ViT-S/16, 2 × 224 + 4 × 96 px, 8 images a step, 1 thread each"
    one, two = rates[1], rates[2]
    yield f"  {'training':10} 1: {one:5.2f} im/s   2: {two:5.2f} im/s   ratio {two / one:5.2f}"


def _in_context(folder: Path, processes: int, images: int) -> dict[str, float]:
    """Seconds of each stage."""
    output = folder / f"in_context_{processes}"
    settings = [
        "dataset=voc",
        f"dataset.root={folder / 'VOC2012'}",
        "encoder=dinov2_vits14",
        "encoder.weights=random",
        "protocol=in_context",
        f"protocol.memory_size={images * 1000}",
        "protocol.seeds=[0]",
        "masks=false",
        "page_images=1",
        "device=cpu",
        f"output_dir={output}",
    ]
    _launch("eval_segmentation", processes, settings)
    return read_results(output)["timing_seconds"]


def _training(folder: Path, processes: int) -> float:
    """Images a second of the last steps."""
    output = folder / f"training_{processes}"
    settings = [
        "method=leopart",
        "dataset=folder",
        f"dataset.root={folder / 'VOC2012' / 'JPEGImages'}",
        "encoder=dino_vits16",
        "encoder.weights=random",
        f"batch_size={8 // processes}",
        "trainer.max_steps=8",
        "trainer.log_every=1",
        "logger=[]",
        "evaluation.unlabelled_images=2",
        "evaluation.protocol.resolution=[224,224]",
        "evaluation.protocol.num_clusters=4",
        "evaluation.protocol.seeds=[0]",
        "evaluation.page_images=0",
        "num_workers=0",
        "accelerator=cpu",
        f"output_dir={output}",
    ]
    _launch("train", processes, settings)
    return read_metrics(output / "metrics.jsonl")[-1]["images_per_second"]


def _launch(command: str, processes: int, settings: list[str]) -> None:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--no-python"]
    launcher += [f"--nproc-per-node={processes}", sys.executable]
    code = f"from leopart_kit.cli.{command} import main; main()"
    subprocess.run(
        [sys.executable, *launcher, "-c", code, *settings],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
    )


def bench_probe(images: int = 240) -> Iterator[str]:
    """A linear probe from stored tokens, 384 dimensions of 32 × 32 patches, 21 classes."""
    weight = torch.randn(384, 3, generator=torch.Generator().manual_seed(0))

    def tokens(pixels: torch.Tensor) -> torch.Tensor:
        return F.conv2d(F.avg_pool2d(pixels, 14), weight[:, :, None, None])

    encoder = Encoder.from_module(tokens, patch_size=14, embed_dim=384)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_voc(folder / "VOC2012", SceneGenerator((256, 256)), {"train": images, "val": 8})
        train, val = (load_dataset("voc", folder / "VOC2012", split) for split in ("train", "val"))
        run = RunSettings(cache_dir=folder / "features")
        yield f"linear probe: {images} images, {torch.get_num_threads()} threads, one seed"
        for rate, label in ((None, "rate chosen of 4"), (0.05, "rate given")):
            protocol = LinearProbe(seeds=(0,), learning_rate=rate)
            found = evaluate(encoder, val, protocol, run, train=train)
            yield f"  {label:18} {found.timing_seconds['training']:7.1f} s"
