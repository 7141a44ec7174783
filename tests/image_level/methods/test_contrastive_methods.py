"""SimCLR, MoCo v2 and v3: which views meet in the loss, what the queue holds, who follows whom."""

from __future__ import annotations

import copy

import pytest
import torch

from leopart_kit.image_level.methods.moco_v2 import MoCoV2, MoCoV2Settings
from leopart_kit.image_level.methods.moco_v3 import MoCoV3, MoCoV3Settings
from leopart_kit.image_level.methods.simclr import SimCLR, SimCLRSettings
from leopart_kit.losses import batch_info_nce, nt_xent, queue_info_nce
from tests.image_level.tiny_networks import normalised_images, tiny_resnet
from tests.methods.tiny_clusterer import tiny_vit


def two_views(seed: int = 0, num: int = 3):
    return [normalised_images(num, seed), normalised_images(num, seed + 100)]


def moved(method) -> None:
    """Change the trained encoder, so that it and its moving average differ."""
    with torch.no_grad():
        for parameter in method.encoder.parameters():
            parameter.add_(0.05)


def test_simclr_is_nt_xent_of_projected_cls_tokens():
    settings = SimCLRSettings(hidden_dim=8, out_dim=4, temperature=0.3, batch_norm=False)
    method = SimCLR(tiny_vit(), settings)
    first, second = two_views()
    z = [method.projection(method.encoder.cls_token(view)) for view in (first, second)]
    torch.testing.assert_close(method([first, second], 0).loss, nt_xent(z[0], z[1], 0.3))
    torch.testing.assert_close(z[0].norm(dim=1), torch.ones(3))


def small_moco_v2(queue_length: int = 8) -> MoCoV2:
    torch.manual_seed(0)
    settings = MoCoV2Settings(hidden_dim=8, out_dim=4, queue_length=queue_length)
    return MoCoV2(tiny_vit(), settings).train()


def test_the_queue_holds_the_keys_of_the_last_steps():
    method = small_moco_v2()
    moved(method)
    keys = []
    for step in range(4):
        views = two_views(step)
        keys.append(method.keys(views[1]))
        before = method.queue.content(0).clone()
        query = method.projection(method.encoder.cls_token(views[0]))
        expected = queue_info_nce(query, keys[-1], before, 0.2)
        torch.testing.assert_close(method(views, step).loss, expected)
    # 12 keys went through 8 places: the last 8 are there, in whatever order.
    stored = sorted(method.queue.content(0)[:, 0].tolist())
    newest = torch.cat(keys[2:])[:, 0].tolist()
    assert all(any(abs(s - n) < 1e-6 for s in stored) for n in newest)
    assert len(stored) == 8
    old = keys[0][:, 0].tolist()
    assert not any(abs(s - o) < 1e-6 for s in stored for o in old)


def test_keys_come_from_the_moving_average_and_carry_no_gradient():
    method = small_moco_v2()
    moved(method)
    method(two_views(), 0)
    method(two_views(1), 1).loss.backward()
    trained = [p for p in method.parameters() if p.requires_grad]
    assert all(p.grad is not None for p in trained)
    assert all(p.grad is None for p in method.momentum_encoder.parameters())
    expected = [
        torch.lerp(slow, fast, 0.1)
        for slow, fast in zip(
            copy.deepcopy(method.momentum_encoder).parameters(),
            method.encoder.parameters(),
            strict=True,
        )
    ]
    method.after_step(1, momentum=0.9)
    for own, other in zip(method.momentum_encoder.parameters(), expected, strict=True):
        torch.testing.assert_close(own, other)


def test_a_key_does_not_depend_on_its_batch():
    settings = MoCoV2Settings(hidden_dim=8, out_dim=4, queue_length=8)
    method = MoCoV2(tiny_resnet(), settings).train()
    images = normalised_images(4)
    alone, together = method.keys(images[:2]), method.keys(images)[:2]
    torch.testing.assert_close(alone, together)
    assert method.encoder.training


def small_moco_v3(**options) -> MoCoV3:
    torch.manual_seed(0)
    numbers = {"hidden_dim": 8, "out_dim": 4, "frozen_patch_embedding": False, **options}
    return MoCoV3(tiny_vit(), MoCoV3Settings(**numbers)).train()


def test_moco_v3_predicts_each_view_s_key_from_the_other_view():
    method = small_moco_v3(temperature=0.5)
    moved(method)
    first, second = two_views()
    loss = method([first, second], 0).loss
    images = torch.cat([first, second])
    q1, q2 = method.predictor(method.projector(method.encoder.cls_token(images))).chunk(2)
    k1, k2 = method.momentum_projector(method.momentum_encoder.cls_token(images)).chunk(2)
    expected = batch_info_nce(q1, k2, 0.5) + batch_info_nce(q2, k1, 0.5)
    torch.testing.assert_close(loss, 2 * 0.5 * expected)
    assert not torch.allclose(loss, batch_info_nce(q1, k1, 0.5) + batch_info_nce(q2, k2, 0.5))
    loss.backward()
    assert all(p.grad is not None for p in method.predictor.parameters())
    assert all(p.grad is None for p in method.momentum_projector.parameters())


def test_moco_v3_ends_both_networks_in_batch_norm():
    method = small_moco_v3()
    for layers in (method.projector, method.momentum_projector, method.predictor.layers):
        last = list(layers.children())[-1]
        assert isinstance(last, torch.nn.BatchNorm1d)
        assert not last.affine


def test_the_patch_embedding_may_stay_random():
    method = small_moco_v3(frozen_patch_embedding=True)
    trained = {id(p) for g in method.parameter_groups() for p in g.parameters}
    patch_embed = method.encoder.get_submodule("vit.patch_embed")
    assert not any(id(p) in trained for p in patch_embed.parameters())
    assert id(method.encoder.get_parameter("vit.cls_token")) in trained
    with pytest.raises(ValueError, match="tiny_resnet"):
        MoCoV3(tiny_resnet(), MoCoV3Settings(frozen_patch_embedding=True))


@pytest.mark.parametrize("network", [tiny_vit, tiny_resnet])
@pytest.mark.parametrize(
    ("kind", "settings"),  # losses of eight seeds end at 14 % of the first or below
    [
        (SimCLR, SimCLRSettings(hidden_dim=16, out_dim=8)),
        (MoCoV3, MoCoV3Settings(hidden_dim=16, out_dim=8, frozen_patch_embedding=False)),
    ],
)
def test_views_of_one_image_come_together(kind, settings, network):
    torch.manual_seed(0)
    method = kind(network(), settings).train()
    views = two_views(num=8)
    groups = [{"params": g.parameters, "lr": 1e-3} for g in method.parameter_groups()]
    optimizer = torch.optim.Adam(groups)
    losses = []
    for step in range(40):
        loss = method(views, step).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            method.after_step(step, 0.5)
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
