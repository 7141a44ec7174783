from __future__ import annotations

import pytest
import torch

from leopart_kit.clustering.segment_sums import segment_sums


def test_by_hand():
    rows = torch.tensor([[1.0, 2.0], [10.0, 20.0], [3.0, 4.0]])
    sums = segment_sums(rows, torch.tensor([2, 0, 2]), 4)
    assert sums.tolist() == [[10, 20], [0, 0], [4, 6], [0, 0]]


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_equals_a_product_with_one_hot_rows(dtype: torch.dtype):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(5000, 7, generator=generator)
    labels = torch.randint(0, 30, (5000,), generator=generator).to(dtype)
    labels[labels == 11] = 12  # one without rows
    expected = torch.nn.functional.one_hot(labels.long(), 30).double().T @ rows.double()
    sums = segment_sums(rows, labels, 30)
    torch.testing.assert_close(sums, expected.float(), rtol=1e-5, atol=1e-4)
    assert torch.equal(segment_sums(rows, labels, 30), sums)
