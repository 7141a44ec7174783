"""The measurement of a card runs through, as far as it can without one."""

from __future__ import annotations

import json

import pytest
import torch

from leopart_kit.bench.gpu import bench_gpu


def test_a_few_images_on_the_cpu():
    *table, last = bench_gpu(small=True)
    report = json.loads(last)
    assert report["small"]
    assert len(table) == 1 + len(report["figures"])
    assert all(figure["value"] > 0 for figure in report["figures"])
    assert len({figure["name"] for figure in report["figures"]}) == len(report["figures"]) >= 6


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card, which takes minutes")
def test_without_a_card_one_line_says_so():
    (line,) = bench_gpu()
    assert "--small" in line
