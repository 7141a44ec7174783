"""State dicts that somebody changed: each ends in an encoder or in one line, at once."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from leopart_kit.backbones import load_encoder, read_checkpoint
from tests.backbones import checkpoint_files as files

NAME = "vitmini8"
WHOLE = {
    key.removeprefix("vit."): value.half()
    for key, value in load_encoder(NAME, "random").state_dict().items()
}
KEY = "blocks.1.mlp.fc2.weight"


def loaded(path: Path, name: str = NAME) -> str | None:
    """Why a file makes no encoder, in one line that names it; ``None`` where it makes one."""
    message = None
    try:
        encoder = load_encoder(name, path)
        with torch.inference_mode():
            assert encoder.patch_tokens(torch.zeros(1, 3, 16, 16)).isfinite().all()
    except ValueError as error:
        message = str(error)
    if message is not None:
        assert str(path) in message
        assert "\n" not in message
        assert len(message) < 2500
    return message


# A tensor that is no weight, made of one that is.
NO_WEIGHTS: dict[str, Callable[[Tensor], Any]] = {
    **{
        str(kind).removeprefix("torch."): lambda t, kind=kind: t.to(kind)
        for kind in (torch.int8, torch.uint8, torch.int64, torch.bool, torch.complex64)
    },
    "sparse": lambda t: t.float().to_sparse(),
    "csr": lambda t: t.float().reshape(len(t), -1).to_sparse_csr(),
    "quantised": lambda t: torch.quantize_per_tensor(t.float(), 0.1, 0, torch.qint8),
    "meta": lambda t: t.to("meta"),
    "nested": lambda t: torch.nested.nested_tensor([t.float(), t.float()[:1]]),
    "endless": lambda t: t[:1].expand(1 << 40, *t.shape[1:]),
    "one number for all": lambda t: t.reshape(-1)[:1].clone().expand(t.shape),
    "empty": lambda t: t[:0],
    "a number": lambda t: t.sum(),
    "nan": lambda t: torch.full_like(t, float("nan")),
    "infinite": lambda t: torch.where(t == t.max(), float("inf"), t.float()).half(),
    "transposed": lambda t: t.transpose(0, -1),
    "one more dimension": lambda t: t[None],
    "one fewer": lambda t: t[0],
    "twice as long": lambda t: torch.cat([t, t]),
    "an array": lambda t: t.numpy(),
    "a text": lambda _: "weights",
    "nothing": lambda _: None,
}


@pytest.mark.filterwarnings("ignore:.*prototype", "ignore:Sparse CSR", "ignore:.*quantize_per")
@pytest.mark.parametrize("kind", NO_WEIGHTS)
@pytest.mark.parametrize("key", [KEY, "patch_embed.proj.weight", "pos_embed"])
def test_what_is_no_weight_is_refused_by_its_key(tmp_path: Path, kind: str, key: str):
    value = NO_WEIGHTS[kind](WHOLE[key])
    torch.save({**WHOLE, key: value}, tmp_path / "weights.pt")
    started = time.process_time()
    message = loaded(tmp_path / "weights.pt")
    assert message is not None
    assert time.process_time() - started < 1
    if key == KEY:
        assert KEY in message


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float32", "float64", "float8_e4m3fn"])
def test_any_floating_point_loads(tmp_path: Path, kind: str):
    state = {key: value.to(getattr(torch, kind)) for key, value in WHOLE.items()}
    torch.save(state, tmp_path / "weights.pt")
    assert loaded(tmp_path / "weights.pt") is None


def test_heads_and_counters_may_be_of_any_kind(tmp_path: Path):
    extra = {"queue_ptr": torch.zeros(1, dtype=torch.int64), "head.mask": torch.eye(3).to_sparse()}
    torch.save({**WHOLE, **extra}, tmp_path / "weights.pt")
    assert loaded(tmp_path / "weights.pt") is None
    torch.save(load_encoder("resnet18_mini").resnet.state_dict(), tmp_path / "resnet.pt")  # type: ignore[union-attr]
    assert loaded(tmp_path / "resnet.pt", "resnet18_mini") is None


ODD_NUMBERS = ("1000000000", "999", "9" * 5000, "-1", "01", "٣", "1e3", "0x1", "")
ODD_KEYS = (
    *(f"blocks.{number}.norm1.weight" for number in ODD_NUMBERS),
    "blocks.0.0.1.2.norm1.weight",
    "blocks.0.line\nbreak.weight",
    "blocks.0." + "x" * 100_000,
    "patch_embed.proj.weight.patch_embed.proj.weight",
    "layer1.0.conv1.weight",
    "\ud800",
    "",
    ".",
)


@pytest.mark.parametrize("key", ODD_KEYS, ids=range(len(ODD_KEYS)))
def test_odd_keys_are_quick(tmp_path: Path, key: str):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    torch.save({**WHOLE, key: torch.zeros(192)}, tmp_path / "weights.pt")
    started = time.process_time()
    message = loaded(tmp_path / "weights.pt")
    assert time.process_time() - started < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB
    assert (message is None) == (not key.startswith("blocks."))


def test_dictionaries_inside_one_another(tmp_path: Path):
    """Deep, in a circle, and the same one many times over."""
    deep: dict[str, Any] = dict(WHOLE)
    for _ in range(200):
        deep = {"deeper": deep}
    circle: dict[str, Any] = {"model": dict(WHOLE)}
    circle["model"]["again"] = circle
    many: dict[str, Any] = {"x": 1}
    for _ in range(14):
        many = {str(i): many for i in range(10)}
    thick: dict[str, Any] = {"x": torch.zeros(1)}
    for _ in range(14):
        thick = {str(i): thick for i in range(10)}
    for content in (deep, circle, {**WHOLE, "many": many}, {**WHOLE, "thick": thick}):
        torch.save(content, tmp_path / "weights.pt")
        started = time.process_time()
        loaded(tmp_path / "weights.pt")
        assert time.process_time() - started < 3


def test_two_keys_for_one_weight_are_refused(tmp_path: Path):
    """Blocks in chunks, as DINOv2 has them, beside the same block without."""
    torch.save({**WHOLE, "blocks.0.1.norm1.bias": torch.ones(192)}, tmp_path / "weights.pt")
    assert "blocks.0.1.norm1.bias" in str(loaded(tmp_path / "weights.pt"))
    torch.save({"a": {"norm.bias": torch.ones(1)}, "a.norm.bias": torch.ones(1)}, tmp_path / "b.pt")
    with pytest.raises(ValueError, match=r"a\.norm\.bias"):
        read_checkpoint(tmp_path / "b.pt")


def test_projections_of_other_lengths_are_not_joined(tmp_path: Path):
    """q, k and v of 10, 20 and 18 rows have the rows of a whole one."""
    renamed = files.to_hugging_face(files.tiny_state(), files.HF_OLD_VIT)
    stem = "vit.encoder.layer.0.attention.attention"
    for name, rows in (("query", 10), ("key", 20), ("value", 42)):
        renamed[f"{stem}.{name}.weight"] = torch.zeros(rows, 24)
    torch.save(renamed, tmp_path / "weights.pt")
    with pytest.raises(ValueError, match=r"weights\.pt.*blocks\.0\.attn"):
        read_checkpoint(tmp_path / "weights.pt")


TEXTS = st.text(max_size=8) | st.sampled_from(ODD_KEYS)
VALUES = st.sampled_from(sorted(NO_WEIGHTS))


def _instead(kind: str, value: Tensor) -> Any:
    """What is no weight; a tensor of another length where this one cannot be changed so."""
    try:
        return NO_WEIGHTS[kind](value)
    except (RuntimeError, IndexError):
        return torch.cat([value.reshape(-1), torch.ones(1)])


@st.composite
def changed(draw, whole: files.State = WHOLE) -> dict[Any, Any]:
    """The state dict after a few changes of any kind, perhaps below other dictionaries."""
    state: dict[Any, Any] = dict(whole)
    for _ in range(draw(st.integers(0, 3))):
        key = draw(st.sampled_from(sorted(whole)))
        value = state.pop(key, whole[key])
        match draw(st.sampled_from(["drop", "rename", "value", "add", "number"])):
            case "rename":
                state[draw(TEXTS)] = value
            case "value":
                state[key] = _instead(draw(VALUES), whole[key])
            case "add":
                state |= {key: value, draw(TEXTS): _instead(draw(VALUES), whole[key])}
            case "number":
                state |= {key: value, draw(st.integers() | st.tuples(st.integers())): value}
    for name in draw(st.lists(TEXTS, max_size=2)):
        state = {name: state}
    return state


WITH_REGISTERS = {**files.to_hub({**files.tiny_state(), "reg_token": torch.ones(1, 4, 24)})}
OTHER_LAYOUTS = (
    files.to_hugging_face(files.tiny_state(), files.HF_OLD_VIT),
    files.to_hugging_face(WITH_REGISTERS, files.HF_DINOV2),
    WITH_REGISTERS,
    load_encoder("resnet18_mini").resnet.state_dict(),  # type: ignore[union-attr]
)


@pytest.mark.filterwarnings("ignore:.*prototype", "ignore:Sparse CSR", "ignore:.*quantize_per")
@settings(deadline=None, max_examples=60)
@given(state=st.sampled_from(OTHER_LAYOUTS).flatmap(changed))
def test_any_change_of_another_layout_too(tmp_path_factory, state: dict[Any, Any]):
    path = tmp_path_factory.getbasetemp() / "other.pt"
    torch.save(state, path)
    try:
        read_checkpoint(path)
    except ValueError as error:
        message = str(error)
    else:
        message = str(path)
    assert str(path) in message
    assert "\n" not in message


@pytest.mark.filterwarnings("ignore:.*prototype", "ignore:Sparse CSR", "ignore:.*quantize_per")
@settings(deadline=None, max_examples=60)
@given(state=changed())
def test_any_change_ends_in_an_encoder_or_one_line(tmp_path_factory, state: dict[Any, Any]):
    path = tmp_path_factory.getbasetemp() / "changed.pt"
    torch.save(state, path)
    started = time.process_time()
    loaded(path)
    assert time.process_time() - started < 1
