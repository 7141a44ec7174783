"""Benchmark of one Leopart step: seconds, share of the machine's bound, share of each part."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch.utils.data import default_collate

from leopart_kit.backbones import load_encoder
from leopart_kit.backbones.precision import Precision
from leopart_kit.bench.machine import fastest, gemm_rate, vit_flops
from leopart_kit.clustering import attention_foreground
from leopart_kit.data import MultiCropTransform, MultiCropViews
from leopart_kit.losses import assignment_cross_entropy, teacher_assignments
from leopart_kit.methods import (
    Leopart,
    LeopartSettings,
    PatchClusterer,
    ProjectionHead,
    Prototypes,
    update_ema,
)
from leopart_kit.training import adamw

T = TypeVar("T")
PATCH, DIM, PROTOTYPES = 16, 384, 300


def bench_train(batch_size: int = 4, repeats: int = 4) -> Iterator[str]:
    """A step of ViT-S/16 with 2 × 224 + 4 × 96 px and 300 prototypes, fp32 and bf16, fg and all."""
    transform = MultiCropTransform()
    generator = torch.Generator().manual_seed(0)
    photo = torch.randint(0, 256, (3, 375, 500), dtype=torch.uint8, generator=generator)
    batch: MultiCropViews = default_collate([transform(photo) for _ in range(batch_size)])
    flops = _step_flops(batch)
    yield (
        f"train: ViT-S/16, batch {batch_size}, {len(batch.views)} views, {PROTOTYPES} prototypes, "
        f"{flops / 1e9:.0f} GFLOP a step, {torch.get_num_threads()} threads"
    )
    kinds: tuple[tuple[Precision, torch.dtype], ...] = (
        ("fp32", torch.float32),
        ("bf16", torch.bfloat16),
    )
    slowest = 0.0
    for precision, dtype in kinds:
        seconds = {}
        for foreground in ("all", "fg"):
            step = _Step(precision, foreground == "fg")
            before = gemm_rate(dtype)
            seconds[foreground] = fastest(lambda step=step: step(batch), repeats)
            bound = flops / max(before, gemm_rate(dtype))
            parts = ", ".join(f"{k} {100 * v:.0f} %" for k, v in step.shares().items())
            taken = seconds[foreground]
            yield (
                f"  {precision} {foreground:3}  {taken:6.2f} s  bound {bound:5.2f} s  "
                f"share {100 * bound / taken:4.0f} %   {parts}"
            )
        dearer = 100 * (seconds["fg"] / seconds["all"] - 1)
        yield f"  {precision} fg takes {dearer:+.1f} % of the time of all more"
        slowest = max(slowest, batch_size / seconds["fg"])
    loading = fastest(lambda: transform(photo), 5)
    yield f"  views {1 / loading:.1f} images a second a core, the faster step takes {slowest:.1f}"


class _Step:
    """One step in its parts, each timed."""

    def __init__(self, precision: Precision, foreground: bool) -> None:
        torch.manual_seed(0)
        encoder = load_encoder("dino_vits16", "random", precision=precision)
        head = ProjectionHead(DIM), Prototypes(256, PROTOTYPES)
        settings = LeopartSettings(queue_length=0, foreground="fg" if foreground else "all")
        self.method = Leopart(PatchClusterer(encoder, *head), settings).train()
        self.foreground = foreground
        self.precision = precision
        groups = self.method.parameter_groups()
        self.optimizer = adamw([{"params": g.parameters, "lr": 1e-5} for g in groups])
        self.seconds: dict[str, float] = {}

    def __call__(self, batch: MultiCropViews) -> None:
        student, teacher = self.method.student, self.method.teacher
        images = torch.cat(batch.views[:2])
        bf16 = self.precision == "bf16"
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            with torch.no_grad():
                embeddings, mask = self._timed("teacher", lambda: self._teach(images))
            scores = teacher.scores(embeddings).unflatten(0, (2, -1))
            assignments = self._timed("Sinkhorn", lambda: teacher_assignments(scores))
            predicted = self._timed("student", lambda: student.scores_of_views(batch.views))
            loss = self._timed(
                "loss",
                lambda: assignment_cross_entropy(
                    assignments,
                    predicted,
                    batch.overlap_in_global,
                    batch.overlap_in_view,
                    PATCH,
                    foreground=mask,
                ),
            )
        self._timed("backward", loss.backward)
        self._timed("update", self._update)

    def shares(self) -> dict[str, float]:
        """Share of each part in the time of all calls."""
        total = sum(self.seconds.values())
        return {name: seconds / total for name, seconds in self.seconds.items()}

    def _teach(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        if not self.foreground:
            return self.method.teacher(images), None
        embeddings, attention = self.method.teacher.with_attention(images)
        return embeddings, attention_foreground(attention).unflatten(0, (2, -1))

    def _update(self) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad()
        update_ema(self.method.teacher, self.method.student, 0.9995)

    def _timed(self, name: str, function: Callable[[], T]) -> T:
        start = time.perf_counter()
        result = function()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
        return result


def _step_flops(batch: MultiCropViews) -> float:
    """Matrix products of the teacher's forward, the student's forward and its backward (twice)."""

    def forward(views: list[torch.Tensor]) -> float:
        total = 0.0
        for view in views:
            patches = (view.shape[-1] // PATCH) ** 2
            head = 2 * (DIM * 2048 + 2048 * 2048 + 2048 * 256 + 256 * PROTOTYPES)
            vit = vit_flops(patches + 1, DIM, 12, PATCH, patches)
            total += len(view) * (vit + patches * head)
        return total

    return forward(batch.views[:2]) + 3 * forward(batch.views)
