"""What is said where bfloat16 would run in emulation, and what stays in float32."""

import logging

import pytest
import torch

from leopart_kit.backbones import precision
from leopart_kit.backbones.vit import ViTEncoder
from tests.methods.tiny_clusterer import tiny_vit


@pytest.mark.parametrize(
    ("hardware", "chosen", "warnings"), [(False, "bf16", 1), (True, "bf16", 0), (False, "fp32", 0)]
)
def test_emulated_bfloat16_is_named_once(
    hardware: bool,
    chosen: precision.Precision,
    warnings: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: hardware)
    precision._warn_of_emulation.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            with precision.autocast_to(chosen, torch.device("cpu")):
                assert torch.is_autocast_enabled("cpu") == (chosen == "bf16")
    assert [m for m in caplog.messages if "choose precision=fp32" in m] == caplog.messages
    assert len(caplog.messages) == warnings
    precision._warn_of_emulation.cache_clear()


def test_attention_under_the_autocast_of_a_training_is_that_of_an_evaluation():
    tiny = tiny_vit()
    look = {"name": "tiny", "mean": tiny.mean, "std": tiny.std}
    encoder = ViTEncoder(tiny.vit, precision="bf16", **look).eval()
    images = torch.randn(2, 3, 48, 40, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        alone = encoder.attention(images)
        with torch.autocast("cpu", torch.bfloat16):
            within = encoder.attention(images)
    assert alone.dtype == torch.float32
    assert torch.equal(alone, within)


def test_networks_take_tf32_where_a_gpu_has_it_and_clustering_does_not(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(precision, "has_tf32", lambda device: True)
    assert torch.get_float32_matmul_precision() == "highest"
    with precision.autocast_to("fp32", torch.device("cuda")):
        assert torch.get_float32_matmul_precision() == "high"
    assert torch.get_float32_matmul_precision() == "highest"
    with precision.autocast_to("fp32", torch.device("cpu")):
        assert torch.get_float32_matmul_precision() == "highest"
