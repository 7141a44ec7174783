"""Steps of STEGO a second, from features that lie in memory."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch

from leopart_kit.backbones import load_encoder
from leopart_kit.methods.stego import FeaturePair, Stego, StegoSettings
from leopart_kit.methods.stego_encoder import StegoEncoder, StegoHead

BATCH, SIDE = 16, 224


def bench_stego(seconds: float = 4.0) -> Iterator[str]:
    """Steps of 16 crops of 224 px with a neighbour each, forward, backward and Adam."""
    yield f"stego: batch {BATCH}, {SIDE} px, {torch.get_num_threads()} threads"
    for name in ("random_vits16", "random_vits14", "random_vits8"):
        encoder = load_encoder(name, "random")
        head = StegoHead(encoder.embed_dim)
        method = Stego(StegoEncoder(encoder, head, torch.randn(27, 70)), StegoSettings())
        method.train()
        grid = SIDE // encoder.patch_size
        batch = FeaturePair(*torch.randn(2, BATCH, encoder.embed_dim, grid, grid).unbind())
        trained = [p for group in method.parameter_groups() for p in group.parameters]
        optimizer = torch.optim.Adam(trained, 5e-4)
        for precision in ("fp32", "bf16"):
            steps, start = 0, time.perf_counter()
            while time.perf_counter() - start < seconds:
                optimizer.zero_grad()
                with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                    loss = method(batch, steps).loss
                loss.backward()
                optimizer.step()
                steps += 1
            rate = steps / (time.perf_counter() - start)
            yield f"  {name:14} {precision}  {rate:5.1f} steps/s"
