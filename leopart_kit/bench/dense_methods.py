"""Benchmark of one step of each dense method, as ratios to Leopart's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import torch
from torch.utils.data import default_collate

from leopart_kit.backbones import load_encoder
from leopart_kit.data import MultiCropTransform, MultiCropViews
from leopart_kit.methods import (
    Leopart,
    LeopartSettings,
    Method,
    NeCo,
    NeCoSettings,
    PaKA,
    PaKASettings,
    PatchClusterer,
    PatchEmbedder,
    ProjectionHead,
    Prototypes,
)
from leopart_kit.training import adamw

DIM, PROTOTYPES = 384, 300


def bench_dense_methods(batch_size: int = 4, rounds: int = 3) -> Iterator[str]:
    """Steps of ViT-S/14 with 2 × 224 + 4 × 98 px in fp32, taken in turns; the fastest of each."""
    transform = MultiCropTransform(224, 98)
    generator = torch.Generator().manual_seed(0)
    photo = torch.randint(0, 256, (3, 375, 500), dtype=torch.uint8, generator=generator)
    batch: MultiCropViews = default_collate([transform(photo) for _ in range(batch_size)])
    yield (
        f"dense_methods: ViT-S/14, batch {batch_size}, 2 × 224 + 4 × 98 px, fp32, "
        f"{torch.get_num_threads()} threads"
    )
    steps = {name: _Step(make) for name, make in METHODS.items()}
    for _ in range(rounds + 1):
        for step in steps.values():
            step(batch)
    reference = steps["leopart"].fastest
    for name, step in steps.items():
        seconds = step.fastest
        yield f"  {name:22}  {seconds:6.2f} s  {seconds / reference:5.2f} of leopart"


class _Step:
    """A whole optimiser step, and the fastest but the first so far."""

    def __init__(self, make: Callable[[], Method]) -> None:
        torch.manual_seed(0)
        self.method = make().train()
        groups = self.method.parameter_groups()
        self.optimizer = adamw([{"params": g.parameters, "lr": 1e-5} for g in groups])
        self.seconds: list[float] = []

    @property
    def fastest(self) -> float:
        return min(self.seconds[1:])

    def __call__(self, batch: MultiCropViews) -> None:
        start = time.perf_counter()
        with torch.no_grad():
            self.method.before_step(0)
        self.method(batch, 0).loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        with torch.no_grad():
            self.method.after_step(0, 0.9995)
        self.seconds.append(time.perf_counter() - start)


def _leopart(**settings: object) -> Leopart:
    student = PatchClusterer(_encoder(), ProjectionHead(DIM), Prototypes(256, PROTOTYPES))
    numbers = {"foreground": "all", "queue_length": 0, **settings}
    return Leopart(student, LeopartSettings(**numbers))  # type: ignore[arg-type]


def _encoder():
    return load_encoder("random_vits14")


METHODS: dict[str, Callable[[], Method]] = {
    "leopart": _leopart,
    "neco": lambda: NeCo(PatchEmbedder(_encoder(), ProjectionHead(DIM)), NeCoSettings()),
    "paka": lambda: PaKA(PatchEmbedder(_encoder(), ProjectionHead(DIM)), PaKASettings()),
    "leopart, gram of ema": lambda: _leopart(gram_weight=2.0, gram_teacher="ema"),
    "leopart, gram of start": lambda: _leopart(gram_weight=2.0),
}
