# timm modules are untyped: tests reach into them by attribute.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportIndexIssue=false, reportOptionalMemberAccess=false

"""Parity of positional embeddings with the released code (golden/position_embedding.npz)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from timm.models import VisionTransformer

from leopart_kit.backbones import load_encoder, read_checkpoint
from leopart_kit.backbones.position_embedding import interpolate_position_embedding

# stored embedding, prefix of its results, patch size, rule, sizes, encoder
RELEASES = [
    ("dino_pos_embed", "dino_", 16, "offset", [(448, 448), (320, 480), (96, 96)], "dino_vits16"),
    (
        "dinov2_vits14_hub_pos_embed",
        "dinov2_vits14_hub_",
        14,
        "offset",
        [(448, 448), (224, 336)],
        "dinov2_vits14",
    ),
    (
        "dinov2_vits14_reg_hub_pos_embed",
        "dinov2_vits14_reg_hub_",
        14,
        "antialias",
        [(448, 448), (224, 336)],
        "dinov2_vits14_reg",
    ),
]


@pytest.mark.parametrize(("stored", "prefix", "patch", "rule", "sizes", "_name"), RELEASES)
def test_matches_the_released_code(golden, stored, prefix, patch, rule, sizes, _name):
    figures = golden("position_embedding")
    for height, width in sizes:
        ours = interpolate_position_embedding(
            torch.from_numpy(figures[stored]), (height // patch, width // patch), rule
        )
        expected = figures[f"{prefix}{height}x{width}"]
        np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("stored", "prefix", "patch", "_rule", "sizes", "name"), RELEASES)
def test_matches_through_a_loaded_vit(
    golden, tmp_path: Path, stored, prefix, patch, _rule, sizes, name
):
    """The first block receives the golden positions when everything else in the file is zero."""
    figures = golden("position_embedding")
    state = {k: torch.zeros_like(v).half() for k, v in _hub_state(name).items()}
    positions = torch.zeros(1, figures[stored].shape[1], 384)
    positions[..., :16] = torch.from_numpy(figures[stored])
    torch.save({**state, "pos_embed": positions}, tmp_path / "hub.pth")
    encoder = load_encoder(name, tmp_path / "hub.pth", block=0)
    received: list[torch.Tensor] = []
    encoder.vit.blocks[0].norm1.register_forward_pre_hook(lambda _, args: received.append(args[0]))
    for height, width in sizes:
        received.clear()
        with torch.inference_mode():
            encoder.patch_tokens(torch.zeros(1, 3, height, width))
        registers = 4 if name.endswith("_reg") else 0
        seen = received[0][..., :16]
        seen = torch.cat([seen[:, :1], seen[:, 1 + registers :]], dim=1)
        expected = figures[f"{prefix}{height}x{width}"]
        np.testing.assert_allclose(seen.numpy(), expected, rtol=1e-5, atol=1e-5)


def _hub_state(name: str) -> dict[str, torch.Tensor]:
    """Keys of the hub release, values as timm initialises them."""
    state = dict(load_encoder(name, "random").vit.state_dict())
    if name.endswith("_reg"):
        state["register_tokens"] = state.pop("reg_token")
    return state


def test_native_grid_is_returned_unchanged():
    stored = torch.randn(1, 1 + 14 * 14, 8)
    for rule in ("offset", "antialias", "size"):
        assert interpolate_position_embedding(stored, (14, 14), rule) is stored


def test_other_shape_of_the_same_size_is_resized():
    """7 x 28 has as many patches as 14 x 14 and still needs interpolation."""
    stored = torch.randn(1, 1 + 14 * 14, 8)
    assert not torch.equal(interpolate_position_embedding(stored, (7, 28), "offset"), stored)


@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    old=st.integers(2, 20),
    prefix=st.integers(0, 5),
    rule=st.sampled_from(["offset", "antialias", "size"]),
)
def test_constant_positions_stay_constant(rows, columns, old, prefix, rule):
    """Interpolation weights sum to one at every size, and the prefix is never touched."""
    stored = torch.full((1, prefix + old * old, 2), 3.0)
    stored[:, :prefix] = -1.0
    resized = interpolate_position_embedding(stored, (rows, columns), rule, prefix)
    assert resized.shape == (1, prefix + rows * columns, 2)
    assert torch.equal(resized[:, :prefix], stored[:, :prefix])
    torch.testing.assert_close(resized[:, prefix:], torch.full((1, rows * columns, 2), 3.0))


def test_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="position rule"):
        interpolate_position_embedding(torch.zeros(1, 5, 2), (3, 3), "bilinear")  # type: ignore[arg-type]


def _small_vit(grid: tuple[int, int], **options) -> VisionTransformer:
    """``vitmini4`` trained on images of another shape."""
    torch.manual_seed(0)
    size = {"img_size": (grid[0] * 4, grid[1] * 4), "patch_size": 4}
    net = {"embed_dim": 128, "depth": 6, "num_heads": 4, "num_classes": 0}
    vit = VisionTransformer(**size, **net, dynamic_img_size=True, **options).eval()
    torch.nn.init.normal_(vit.pos_embed)
    return vit


@pytest.mark.parametrize("grid", [(5, 10), (10, 5), (2, 8), (1, 7), (3, 3)])
def test_the_grid_of_a_file_can_be_said(tmp_path: Path, grid):
    """Also one whose positions would fill a square, 2 x 8, and at another size than its own."""
    vit = _small_vit(grid)
    torch.save(vit.state_dict(), tmp_path / "wide.pth")
    encoder = load_encoder("vitmini4", tmp_path / "wide.pth", grid=grid)
    for rows, columns in (grid, (4, 6)):
        images = torch.randn(1, 3, rows * 4, columns * 4)
        with torch.inference_mode():
            expected = vit.forward_features(images)[:, 1:].transpose(1, 2)
            tokens = encoder.patch_tokens(images)
        torch.testing.assert_close(tokens.flatten(2), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("grid", [None, (4, 10), (51, 1), (7, 7)])
def test_a_grid_that_does_not_fit_names_the_file(tmp_path: Path, grid):
    torch.save(_small_vit((5, 10)).state_dict(), tmp_path / "wide.pth")
    with pytest.raises(ValueError, match=r"wide\.pth.*encoder\.grid"):
        load_encoder("vitmini4", tmp_path / "wide.pth", grid=grid)


def test_a_network_without_cls_on_a_wide_grid(tmp_path: Path):
    state = _small_vit((5, 10), class_token=False, global_pool="").state_dict()
    torch.save(state, tmp_path / "wide.pth")
    read, _ = read_checkpoint(tmp_path / "wide.pth", grid=(5, 10))
    assert "cls_token" not in read
    with pytest.raises(ValueError, match="cls_token"):
        read_checkpoint(tmp_path / "wide.pth")


@pytest.mark.parametrize(
    "grid", [3, (3,), (1, 2, 3), (0, 4), (2.0, 4), ("2", "4"), "24", (True, 4)]
)
def test_what_is_no_grid(tmp_path: Path, grid):
    torch.save(_small_vit((2, 4)).state_dict(), tmp_path / "wide.pth")
    with pytest.raises(ValueError, match=r"encoder\.grid"):
        load_encoder("vitmini4", tmp_path / "wide.pth", grid=grid)


def test_a_grid_without_a_file_or_without_positions(tmp_path: Path):
    with pytest.raises(ValueError, match=r"encoder\.grid"):
        load_encoder("vitmini4", "random", grid=(2, 4))
    vit = load_encoder("dinov3_vits16", "random").vit
    torch.save(vit.state_dict(), tmp_path / "rope.pth")
    with pytest.raises(ValueError, match=r"rope\.pth.*encoder\.grid"):
        load_encoder("dinov3_vits16", tmp_path / "rope.pth", grid=(2, 4))
