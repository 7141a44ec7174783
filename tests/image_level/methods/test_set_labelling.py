"""DeepCluster and SeLa: labels of a whole set, when they are found and what they are worth."""

from __future__ import annotations

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from leopart_kit.image_level.methods.deep_cluster import (
    DeepCluster,
    DeepClusterSettings,
    whitened,
)
from leopart_kit.image_level.methods.sela import SeLa, SeLaSettings, labelling_steps
from leopart_kit.image_level.networks.whole_set import own_features
from leopart_kit.losses import balanced_cross_entropy
from tests.image_level.tiny_networks import TinySet, normalised_images, tiny_resnet
from tests.methods.tiny_clusterer import tiny_vit
from tests.two_processes import run_in_processes


def coloured_images(num: int = 24) -> Tensor:
    """Images of four colours in turn, with a little noise."""
    colours = torch.tensor([[2.0, -1, -1], [-1, 2, -1], [-1, -1, 2], [1, 1, 1]])
    noise = torch.randn(num, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return colours[torch.arange(num) % 4][:, :, None, None] + 0.1 * noise


def deep_cluster(num_clusters: int = 4) -> DeepCluster:
    torch.manual_seed(0)
    settings = DeepClusterSettings(num_clusters=num_clusters, pca_dim=3)
    images = TinySet(coloured_images())
    return DeepCluster(tiny_vit(), images, settings, relabel_every=3).train()


def same_partition(labels: Tensor, other: Tensor) -> bool:
    return len({*zip(labels.tolist(), other.tolist(), strict=True)}) == len(labels.unique())


def test_features_are_those_of_the_images_in_order_in_eval_mode():
    encoder = tiny_resnet().train()
    images = normalised_images(10)
    features = own_features(encoder, TinySet(images))
    assert encoder.training
    torch.testing.assert_close(features, encoder.eval().cls_token(images), rtol=1e-4, atol=1e-5)
    assert not features.requires_grad


def test_deep_cluster_finds_the_colours():
    method = deep_cluster()
    with torch.no_grad():
        method.before_step(0)
    assert same_partition(method.labels, torch.arange(24) % 4)
    assert method.label_counts.tolist() == [6] * 4
    assert torch.equal(method.assignments(), method.labels)


def test_deep_cluster_labels_when_due_and_then_starts_a_new_classifier():
    method = deep_cluster()
    weights = []
    for step in range(7):
        with torch.no_grad():
            method.before_step(step)
        weights.append(method.classifier.weight.detach().clone())
    changed = [step for step in range(1, 7) if not torch.equal(weights[step], weights[step - 1])]
    assert changed == [3, 6]
    other = deep_cluster()
    with torch.no_grad():
        other.before_step(3)
    assert torch.equal(other.classifier.weight, weights[3]), "the same in every process"


def test_a_new_classifier_has_no_past_in_the_optimiser():
    method = deep_cluster()
    named = [list(method.started_anew(step)) for step in range(4)]
    assert [len(parameters) for parameters in named] == [2, 0, 0, 2]
    assert named[3][0] is method.classifier.weight


def test_deep_cluster_s_loss_weighs_clusters_alike():
    method = deep_cluster()
    method.labels.copy_(torch.tensor([0] * 18 + [1] * 4 + [2] * 2))
    method.label_counts.copy_(torch.tensor([18, 4, 2, 0]))
    views, indices = [coloured_images(3), normalised_images(3)], torch.tensor([23, 0, 19])
    scores = method.classifier(method.encoder.cls_token(torch.cat(views)))
    labels = torch.tensor([2, 0, 1, 2, 0, 1])
    expected = balanced_cross_entropy(scores, labels, method.label_counts)
    torch.testing.assert_close(method((views, indices), 0).loss, expected)
    assert not torch.allclose(expected, F.cross_entropy(scores, labels))


def test_whitening_gives_every_direction_the_same_say():
    points = torch.randn(200, 3) * torch.tensor([100.0, 1.0, 0.01]) + 5
    result = whitened(points, 3)
    torch.testing.assert_close(result.norm(dim=1), torch.ones(200))
    spread = result.std(dim=0)
    assert spread.min() > 0.8 * spread.max()


def sela(num_labels: int = 4, relabel_at: tuple[int, ...] = (0, 2)) -> SeLa:
    torch.manual_seed(0)
    settings = SeLaSettings(num_heads=2, num_labels=num_labels)
    return SeLa(tiny_vit(), TinySet(coloured_images()), settings, relabel_at=relabel_at).train()


def test_sela_s_labels_have_equal_masses_and_keep_what_is_alike_together():
    method = sela()
    with torch.no_grad():
        for parameter in method.heads.parameters():
            parameter.mul_(5)
        method.before_step(0)
    for labels in method.labels:
        counts = torch.bincount(labels, minlength=4)
        assert counts.tolist() == [6] * 4
        assert same_partition(labels, torch.arange(24) % 4)
    assert torch.equal(method.assignments(), method.labels[0])


def test_sela_labels_at_its_steps_alone():
    method = sela()
    found = []
    for step in range(4):
        with torch.no_grad():
            for parameter in method.heads.parameters():
                parameter.copy_(torch.randn_like(parameter))
            method.before_step(step)
        found.append(method.labels.clone())
    assert [torch.equal(found[i], found[i - 1]) for i in (1, 2, 3)] == [True, False, True]


def test_sela_s_loss_is_the_mean_over_its_heads():
    method = sela()
    method.labels.copy_(torch.randint(0, 4, (2, 24)))
    views, indices = [coloured_images(3)], torch.tensor([23, 0, 19])
    features = method.encoder.cls_token(views[0])
    losses = [
        F.cross_entropy(head(features), method.labels[h, indices])
        for h, head in enumerate(method.heads)
    ]
    torch.testing.assert_close(method((views, indices), 0).loss, torch.stack(losses).mean())


def test_labellings_are_denser_at_the_start():
    assert labelling_steps(4, 1600) == (0, 100, 400, 900)
    assert labelling_steps(1, 10) == (0,)
    steps = labelling_steps(80, 1000)
    assert steps[0] == 0
    assert max(steps) < 1000


def found_labels(number: int = 21) -> dict[str, Tensor]:
    """Labels of both methods, by all processes that are there."""
    images = TinySet(coloured_images(number))
    features = own_features(tiny_vit(), images)
    torch.manual_seed(7)
    methods = {
        "sela": SeLa(tiny_vit(), images, SeLaSettings(num_heads=2, num_labels=3), relabel_at=(0,)),
        "deep_cluster": DeepCluster(
            tiny_vit(), images, DeepClusterSettings(num_clusters=4, pca_dim=3), relabel_every=3
        ),
    }
    with torch.no_grad():
        for method in methods.values():
            method.before_step(0)
    labels = {name: method.labels for name, method in methods.items()}
    return {"features": features, "counts": methods["deep_cluster"].label_counts, **labels}


def label_in_one_of_several(rank: int, number: int) -> dict[str, Tensor]:
    assert dist.get_world_size() > 1
    return found_labels(number)


@pytest.mark.parametrize(("count", "number"), [(2, 21), (3, 4)])
def test_several_processes_label_as_one(count: int, number: int):
    """Each a share of the images: labels, clusters and counts are those of one process."""
    expected = found_labels(number)
    shares = run_in_processes(label_in_one_of_several, count, number)
    features = torch.cat([share["features"] for share in shares])
    torch.testing.assert_close(features, expected["features"], rtol=1e-4, atol=1e-5)
    assert len(shares[0]["features"]) < number
    for share in shares:
        for name in ("sela", "deep_cluster", "counts"):
            assert torch.equal(share[name], expected[name]), name
    assert expected["sela"].any()


def features_by_one_of_two(rank: int) -> Tensor:
    """Features of networks whose running statistics the processes have made of their own images."""
    encoder = tiny_resnet().train()
    with torch.no_grad():
        encoder.cls_token(normalised_images(4, seed=rank))
    return own_features(encoder, TinySet(normalised_images(6)))


def test_a_pass_uses_one_set_of_running_statistics_for_all_images():
    encoder, other = tiny_resnet().train(), tiny_resnet().train()
    with torch.no_grad():
        encoder.cls_token(normalised_images(4, seed=0))
        other.cls_token(normalised_images(4, seed=1))
    for own, second in zip(encoder.buffers(), other.buffers(), strict=True):
        if own.is_floating_point():
            own.add_(second).div_(2)
    expected = own_features(encoder, TinySet(normalised_images(6)))
    features = torch.cat(run_in_processes(features_by_one_of_two, 2))
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (deep_cluster, {"num_clusters": 25}, "num_clusters"),
        (sela, {"num_labels": 25}, "num_labels"),
        (sela, {"relabel_at": (3,)}, "labelled before step 0"),
    ],
)
def test_bad_numbers(make, options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        make(**options)
