# timm modules are untyped: tests reach into them by attribute.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportIndexIssue=false, reportOptionalMemberAccess=false, reportReturnType=false

"""The transformer wrapper against timm's own forward pass and against independent computations."""

from __future__ import annotations

from copy import deepcopy

import pytest
import timm
import torch
from timm.models.deit import VisionTransformerDistilled
from timm.models.eva import Eva
from timm.models.vision_transformer import (
    DiffParallelScalingBlock,
    ParallelScalingBlock,
    ParallelThingsBlock,
    ResPostBlock,
    VisionTransformer,
)
from torch import Tensor

from leopart_kit.backbones.vit import ViTEncoder

MEAN_STD = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
SIZES = {"img_size": 64, "patch_size": 16, "embed_dim": 48, "depth": 3, "num_heads": 3}


def make_vit(**options) -> VisionTransformer:
    torch.manual_seed(0)
    vit = VisionTransformer(**{**SIZES, "num_classes": 0, "dynamic_img_size": True, **options})
    return spread(vit)


def make_dinov3() -> Eva:
    torch.manual_seed(0)
    options = {"img_size": 64, "embed_dim": 48, "depth": 3, "num_heads": 3, "num_classes": 0}
    return spread(timm.create_model("vit_small_patch16_dinov3", **options))


def make_eva(**options) -> Eva:
    torch.manual_seed(0)
    return spread(Eva(**{**SIZES, "num_classes": 0, "dynamic_img_size": True, **options}))


def spread(vit):
    """Large random weights, so that attention is far from uniform and errors show."""
    for parameter in vit.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return vit.eval()


def encoder_of(vit, **options) -> ViTEncoder:
    mean, std = MEAN_STD
    return ViTEncoder(vit, name="test", mean=mean, std=std, **options).eval()


def images(height: int = 64, width: int = 64, batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


def grid_of(tokens: Tensor, prefix: int, rows: int, columns: int) -> Tensor:
    return tokens[:, prefix:].transpose(1, 2).reshape(len(tokens), -1, rows, columns)


NETWORKS = {
    "plain": lambda: make_vit(),
    "layer_scale": lambda: make_vit(init_values=0.5),
    "registers": lambda: make_vit(reg_tokens=4, no_embed_class=True, init_values=0.5),
    "clip": lambda: make_vit(pre_norm=True),
    "no_cls": lambda: make_vit(class_token=False, global_pool=""),
    "qk_norm": lambda: make_vit(qk_norm=True),
    "dinov3": make_dinov3,
    "post_norm": lambda: make_vit(block_fn=ResPostBlock),
    "parallel": lambda: make_vit(block_fn=ParallelScalingBlock),
    "two_at_a_time": lambda: make_vit(block_fn=ParallelThingsBlock),
    "differential": lambda: make_vit(block_fn=DiffParallelScalingBlock),
    "distilled": lambda: spread(VisionTransformerDistilled(**SIZES, num_classes=0)),
    "eva": lambda: make_eva(use_rot_pos_emb=True, swiglu_mlp=True, scale_mlp=True),
    "eva_post_norm": lambda: make_eva(use_post_norm=True),
    "rope_mixed": lambda: make_eva(use_rot_pos_emb=True, rope_type="mixed", attn_type="rope"),
    "rope_registers": lambda: make_eva(
        use_rot_pos_emb=True, attn_type="rope", num_reg_tokens=4, no_embed_class=True
    ),
    "gap": lambda: make_vit(class_token=False, global_pool="avg", fc_norm=False),
}


@pytest.mark.parametrize("network", NETWORKS)
def test_equals_timm_at_native_size(network):
    vit = NETWORKS[network]()
    encoder = encoder_of(vit)
    with torch.inference_mode():
        reference = vit.forward_features(images())
        tokens = encoder.patch_tokens(images())
        cls = encoder.cls_token(images())
    prefix = vit.num_prefix_tokens
    torch.testing.assert_close(tokens, grid_of(reference, prefix, 4, 4), rtol=1e-5, atol=1e-5)
    expected = reference[:, 0] if prefix else reference.mean(dim=1)
    torch.testing.assert_close(cls, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("network", ["plain", "registers", "dinov3"])
def test_equals_timm_at_another_size(network):
    """timm resamples positions by its own rule, which is ours with ``antialias``."""
    vit = NETWORKS[network]()
    with torch.inference_mode():
        reference = vit.forward_features(images(48, 112))
        tokens = encoder_of(vit, position_rule="antialias").patch_tokens(images(48, 112))
    expected = grid_of(reference, vit.num_prefix_tokens, 3, 7)
    torch.testing.assert_close(tokens, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("block", [0, 1, -1, -2])
def test_blocks_carry_the_final_norm(block):
    vit = make_vit()
    with torch.inference_mode():
        (expected,) = vit.get_intermediate_layers(images(), n=[block % 3], norm=True, reshape=True)
        tokens = encoder_of(vit, block=block).patch_tokens(images())
    torch.testing.assert_close(tokens, expected, rtol=1e-5, atol=1e-5)


def test_input_is_padded_like_timm_pads():
    """70 x 90 px: 5 x 6 patches, zeros to the right and below."""
    vit = make_vit(dynamic_img_pad=True)
    encoder = encoder_of(vit)
    with torch.inference_mode():
        tokens = encoder.patch_tokens(images(70, 90))
        expected = grid_of(vit.forward_features(images(70, 90)), 1, 5, 6)
        by_hand = torch.zeros(2, 3, 80, 96)
        by_hand[..., :70, :90] = images(70, 90)
        torch.testing.assert_close(tokens, encoder.patch_tokens(by_hand))
    torch.testing.assert_close(tokens, expected, rtol=1e-5, atol=1e-5)


def test_registers_and_cls_stay_out_of_the_grid():
    """With the blocks switched off, a patch token is its own embedding and nothing else."""
    vit = make_vit(reg_tokens=4, no_embed_class=True)
    for block in vit.blocks:
        torch.nn.init.zeros_(block.attn.proj.weight)
        torch.nn.init.zeros_(block.attn.proj.bias)
        torch.nn.init.zeros_(block.mlp.fc2.weight)
        torch.nn.init.zeros_(block.mlp.fc2.bias)
    with torch.inference_mode():
        tokens = encoder_of(vit).patch_tokens(images())
        patches = vit.patch_embed.proj(images()).flatten(2).transpose(1, 2) + vit.pos_embed
        expected = grid_of(vit.norm(patches), 0, 4, 4)
    torch.testing.assert_close(tokens, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("network", ["plain", "registers", "qk_norm"])
def test_attention_matches_an_independent_softmax(network):
    vit = NETWORKS[network]()
    seen: list[Tensor] = []
    vit.blocks[-1].attn.qkv.register_forward_hook(lambda _m, _i, output: seen.append(output))
    with torch.inference_mode():
        attention = encoder_of(vit).attention(images(48, 80))
        q, k, _ = seen[0].reshape(2, -1, 3, 3, 16).permute(2, 0, 3, 1, 4)
        if network == "qk_norm":
            q, k = vit.blocks[-1].attn.q_norm(q), vit.blocks[-1].attn.k_norm(k)
    scores = torch.einsum("bhd,bhnd->bhn", q[:, :, 0], k) / 4.0
    full = scores.exp() / scores.exp().sum(dim=-1, keepdim=True)
    prefix = vit.num_prefix_tokens
    expected = full[..., prefix:].reshape(2, 3, 3, 5)
    torch.testing.assert_close(attention, expected, rtol=1e-4, atol=1e-6)
    # a head gives to the patches what CLS and registers do not get
    rest = 1 - full[..., :prefix].sum(dim=-1)
    torch.testing.assert_close(attention.sum(dim=(2, 3)), rest, rtol=1e-4, atol=1e-6)


def test_attention_of_dinov3_uses_rotated_keys():
    """Against the weights of timm's unfused branch."""
    vit = make_dinov3()
    attn = vit.blocks[-1].attn
    attn.fused_attn = False
    seen: list[Tensor] = []
    attn.attn_drop.register_forward_hook(lambda _m, _i, output: seen.append(output))
    with torch.inference_mode():
        vit.forward_features(images())
        attention = encoder_of(vit).attention(images())
    expected = seen[0][:, :, 0, 5:].reshape(2, 3, 4, 4)
    torch.testing.assert_close(attention, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("facet", "part"), [("query", 0), ("key", 1), ("value", 2)])
@pytest.mark.parametrize("block", [1, -1])
def test_facets_match_a_hook_on_qkv(facet, part, block):
    vit = make_vit()
    seen: list[Tensor] = []
    vit.blocks[block].attn.qkv.register_forward_hook(lambda _m, _i, output: seen.append(output))
    with torch.inference_mode():
        vit.forward_features(images())
        tokens = encoder_of(vit, facet=facet, block=block).patch_tokens(images())
    expected = grid_of(seen[0][..., 48 * part : 48 * (part + 1)], 1, 4, 4)
    torch.testing.assert_close(tokens, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "options", [{}, {"block": 0}, {"facet": "key"}, {"facet": "value", "block": 0}]
)
def test_tokens_and_attention_agree_with_the_single_calls(options):
    encoder = encoder_of(make_vit(), **options)
    with torch.inference_mode():
        tokens, attention = encoder.tokens_and_attention(images())
        torch.testing.assert_close(tokens, encoder.patch_tokens(images()))
        torch.testing.assert_close(attention, encoder_of(encoder.vit).attention(images()))


def test_without_cls_there_is_no_attention():
    encoder = encoder_of(NETWORKS["no_cls"]())
    with pytest.raises(ValueError, match="CLS attention"):
        encoder.attention(images())
    torch.testing.assert_close(
        encoder.cls_token(images()), encoder.patch_tokens(images()).mean(dim=(2, 3))
    )


def test_gradient_reaches_every_weight():
    vit = make_vit(init_values=0.5)
    encoder = encoder_of(vit, position_rule="offset").train()
    encoder.patch_tokens(images(48, 80)).square().sum().backward()
    without = [n for n, p in vit.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_drop_path_acts_in_training_only():
    vit = make_vit(drop_path_rate=0.9)
    encoder = encoder_of(vit)
    with torch.no_grad():
        assert torch.equal(encoder.patch_tokens(images()), encoder.patch_tokens(images()))
        encoder.train()
        assert not torch.equal(encoder.patch_tokens(images()), encoder.patch_tokens(images()))


def test_cached_positions_follow_the_weights():
    """Also when the weights change behind the version counter, as EMA code through .data does."""
    vit = make_vit()
    encoder = encoder_of(vit, position_rule="offset")
    with torch.inference_mode():
        before = encoder.patch_tokens(images(48, 80))
    vit.pos_embed.data.mul_(3.0)
    with torch.inference_mode():
        after = encoder.patch_tokens(images(48, 80))
        fresh = encoder_of(vit, position_rule="offset").patch_tokens(images(48, 80))
    assert not torch.allclose(before, after)
    torch.testing.assert_close(after, fresh)


def test_cached_positions_do_not_pile_up():
    """Images at native size come in hundreds of shapes."""
    encoder = encoder_of(make_vit())
    with torch.inference_mode():
        for columns in range(1, 25):
            encoder.patch_tokens(images(16, 16 * columns, batch=1))
    assert len(encoder._resized) == 16


def test_a_copy_can_be_trained_after_inference():
    """An EMA teacher is a deep copy of a student that may have been evaluated before."""
    encoder = encoder_of(make_vit())
    with torch.inference_mode():
        expected = encoder.patch_tokens(images(48, 80))
    copy = deepcopy(encoder)
    copy.patch_tokens(images(48, 80)).sum().backward()
    with torch.no_grad():
        torch.testing.assert_close(copy.patch_tokens(images(48, 80)), expected)


def test_positions_are_resized_once_per_grid(monkeypatch):
    import leopart_kit.backbones.vit as module

    calls: list[tuple[int, int]] = []
    resize = module.interpolate_position_embedding

    def counted(stored, grid, *rest):
        calls.append(grid)
        return resize(stored, grid, *rest)

    monkeypatch.setattr(module, "interpolate_position_embedding", counted)
    encoder = encoder_of(make_vit())
    with torch.inference_mode():
        for height in (48, 80, 48, 80):
            encoder.patch_tokens(images(height, 80))
    assert calls == [(3, 5), (5, 5)]


@pytest.mark.parametrize("network", ["plain", "layer_scale", "dinov3"])
@pytest.mark.parametrize("grad", [False, True])
def test_bf16_stays_close_and_returns_float32(network, grad):
    vit = NETWORKS[network]()
    with torch.set_grad_enabled(grad):
        exact, attention = encoder_of(vit).tokens_and_attention(images())
        tokens, rough = encoder_of(vit, precision="bf16").tokens_and_attention(images())
    assert tokens.dtype == rough.dtype == torch.float32
    assert not torch.equal(tokens, exact)
    assert (tokens - exact).norm() / exact.norm() < 0.03
    assert (rough - attention).abs().max() < 0.03


@pytest.mark.parametrize("network", ["plain", "dinov3"])
def test_bf16_gradients_stay_close(network):
    """Training has an attention of its own on a CPU: see ``_attend``."""
    gradients = []
    for precision in ("fp32", "bf16"):
        vit = NETWORKS[network]()
        weight = torch.randn(vit.embed_dim, generator=torch.Generator().manual_seed(1))
        tokens = encoder_of(vit, precision=precision).patch_tokens(images())
        (tokens * weight[:, None, None]).sum().backward()
        gradients.append({n: p.grad for n, p in vit.named_parameters() if p.grad is not None})
    exact, rough = gradients
    for name in (name for name in exact if "attn.qkv" in name or "attn.proj" in name):
        difference = (rough[name] - exact[name]).norm() / exact[name].norm()
        assert 0 < difference < 0.05, name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block": 3}, "3 blocks"),
        ({"block": -4}, "test has 3 blocks"),
        ({"facet": "keys"}, "query"),
        ({"precision": "fp16"}, "fp32"),
    ],
)
def test_choices_that_do_not_exist(options, message):
    with pytest.raises(ValueError, match=message):
        encoder_of(make_vit(), **options)


@pytest.mark.parametrize(
    "network",
    [
        lambda: torch.nn.Linear(2, 2),
        lambda: make_vit(patch_size=(16, 8)),
    ],
)
def test_other_networks_are_refused(network):
    with pytest.raises(ValueError, match="encoder=custom"):
        encoder_of(network())


def test_image_smaller_than_a_patch():
    with pytest.raises(ValueError, match="15 x 64"):
        encoder_of(make_vit()).patch_tokens(images(15, 64))
