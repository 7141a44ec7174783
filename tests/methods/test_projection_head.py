from __future__ import annotations

import pytest
import torch

from leopart_kit.methods.projection_head import (
    LinearProjection,
    ProjectionHead,
    Prototypes,
    mlp,
)


def test_head_is_the_mlp_of_the_paper():
    head = ProjectionHead(6, hidden_dim=5, out_dim=4)
    tokens = torch.rand(2, 3, 6)
    gelu = torch.nn.functional.gelu
    first, second, third = (head.layers[i] for i in (0, 2, 4))
    expected = third(gelu(second(gelu(first(tokens)))))
    expected = expected / expected.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(head(tokens), expected)
    sizes = [tuple(p.shape) for p in ProjectionHead(384).parameters() if p.ndim == 2]
    assert sizes == [(2048, 384), (2048, 2048), (256, 2048)]


def test_a_last_batch_norm_has_no_scale_and_replaces_the_bias():
    layers = mlp(6, 5, 4, num_layers=2, batch_norm=True, activation="relu", output_norm=True)
    rows = torch.randn(50, 6)
    first, norm, last = layers[0], layers[1], layers[3]
    hidden = last(torch.relu(norm(first(rows))))
    spread = (hidden.var(dim=0, unbiased=False) + 1e-5).sqrt()
    expected = (hidden - hidden.mean(dim=0)) / spread
    torch.testing.assert_close(layers(rows), expected)
    assert [name for name, _ in layers.named_parameters()] == [
        "0.weight",
        "1.weight",
        "1.bias",
        "3.weight",
    ]


def test_projection_from_pca_by_hand():
    mean = torch.tensor([1.0, 2.0, 3.0])
    components = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 2.0]])
    projection = LinearProjection.from_pca(mean, components)
    # (5, 5, 5) minus the mean is (4, 3, 2); the components give (3, 4), of length 5.
    result = projection(torch.tensor([5.0, 5.0, 5.0]))
    torch.testing.assert_close(result, torch.tensor([0.6, 0.8]))
    assert projection.out_dim == 2


def test_scores_are_cosines_and_normalising_keeps_directions():
    prototypes = Prototypes.from_centroids(torch.tensor([[3.0, 4.0], [0.0, -2.0]]))
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    expected = torch.tensor([[0.6, 0.0], [0.8, -1.0]])
    torch.testing.assert_close(prototypes(embeddings), expected)
    with torch.no_grad():
        prototypes.weight.mul_(7)
    prototypes.normalize_()
    torch.testing.assert_close(prototypes(embeddings), expected)


def test_random_prototypes_have_length_1_and_are_learned():
    prototypes = Prototypes(8, 30)
    torch.testing.assert_close(prototypes.weight.norm(dim=1), torch.ones(30))
    prototypes(torch.rand(2, 8)).sum().backward()
    assert prototypes.weight.grad is not None


def test_bad_input():
    with pytest.raises(ValueError, match="centroid 1"):
        Prototypes.from_centroids(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    with pytest.raises(ValueError, match="centroid 0"):
        Prototypes.from_centroids(torch.tensor([[float("nan"), 0.0], [0.0, 1.0]]))
    with pytest.raises(ValueError, match=r"centroids.*\[K, dim\]"):
        Prototypes.from_centroids(torch.rand(3))
    with pytest.raises(ValueError, match=r"got shapes \[2, 3\] and \[2\]"):
        LinearProjection.from_pca(torch.rand(2), torch.rand(2, 3))
