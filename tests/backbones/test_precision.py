"""What is said where bfloat16 would run in emulation."""

import logging

import pytest
import torch

from leopart_kit.backbones import precision


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
