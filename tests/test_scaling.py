"""Estimates of large runs: hand-computed figures, and what must follow from the rates."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leopart_kit.bench.scaling import H100, TOKENS, WORKLOADS, Rates, Workload, estimate

SLOW = Rates("slow", network=1e12, products=1e11, search=1e10, images=100, views=10, reading=1e9)


def test_bytes_and_seconds_by_hand():
    found = estimate(Workload("a thousand", 1000), SLOW, 1)
    assert TOKENS == 1024
    assert found.tokens == 1000 * 1024 * 384 * 2
    assert found.projected == 1000 * 1024 * 50 * 4
    # 2 · N · K · d · iterations
    assert found.kmeans == pytest.approx(2 * 1_024_000 * 500 * 50 * 20 / 1e11)
    assert found.in_context == pytest.approx(2 * 1449 * 1024 * 10_240_000 * 384 / 1e10)
    # 12 blocks of 24 · n · d² + 4 · n² · d, and the patches' embedding.
    n, d = 1025, 384
    forward = 12 * (24 * n * d * d + 4 * n * n * d) + 2 * 1024 * 3 * 14 * 14 * d
    assert found.features == pytest.approx(1000 * forward / 1e12)
    slower = estimate(Workload("a thousand", 1000), replace(SLOW, images=0.5, views=0.25), 1)
    assert (slower.features, slower.epoch) == (1000 / 0.5, 1000 / 0.25)
    assert estimate(Workload("a thousand", 1000), replace(SLOW, reading=1e3), 1).kmeans == (
        pytest.approx(found.projected * 20 / 1e3)
    )


def test_what_bounds_a_stage_is_named():
    work = WORKLOADS[0]
    assert estimate(work, SLOW, 1).kmeans_bound == "products"
    assert estimate(work, replace(SLOW, reading=1e6), 1).kmeans_bound == "reading"
    assert estimate(work, replace(SLOW, images=1e9), 1).features_bound == "network"
    assert estimate(work, replace(SLOW, images=1), 1).features_bound == "decoding"
    assert estimate(work, replace(SLOW, views=1), 1).epoch_bound == "views"
    assert estimate(work, replace(SLOW, views=1e9), 1).epoch_bound == "network"


@pytest.mark.parametrize("devices", [2, 8, 64])
def test_devices_divide_every_stage(devices: int):
    one, many = (estimate(WORKLOADS[1], H100, n) for n in (1, devices))
    for stage in ("features", "kmeans", "in_context", "epoch"):
        assert getattr(one, stage) == pytest.approx(devices * getattr(many, stage))
    assert one.tokens == many.tokens
