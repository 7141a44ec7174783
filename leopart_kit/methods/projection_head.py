"""From patch tokens to embeddings, and from embeddings to prototype scores."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Activation = Literal["gelu", "relu"]


def mlp(
    in_dim: int,
    hidden_dim: int,
    out_dim: int,
    *,
    num_layers: int = 3,
    batch_norm: bool = False,
    activation: Activation = "gelu",
    output_norm: bool = False,
) -> nn.Sequential:
    """Linear layers with an activation between each two, and batch norm before it if asked for.

    `output_norm` ends it with a batch norm that has no scale and shift of its own.

    Raises:
        ValueError: fewer than one layer.
    """
    if num_layers < 1:
        raise ValueError(f"a projection needs 1 layer or more, got num_layers={num_layers}")
    layers: list[nn.Module] = []
    for layer in range(num_layers):
        last = layer == num_layers - 1
        linear = nn.Linear(
            in_dim if layer == 0 else hidden_dim,
            out_dim if last else hidden_dim,
            bias=not (output_norm if last else batch_norm),
        )
        nn.init.trunc_normal_(linear.weight, std=0.02)
        if linear.bias is not None:
            nn.init.zeros_(linear.bias)
        layers.append(linear)
        if not last:
            norm = [nn.BatchNorm1d(hidden_dim)] if batch_norm else []
            layers += [*norm, nn.GELU() if activation == "gelu" else nn.ReLU()]
        elif output_norm:
            layers.append(nn.BatchNorm1d(out_dim, affine=False))
    return nn.Sequential(*layers)


class ProjectionHead(nn.Module):
    """MLP, then L2 normalisation: the one projection head of all methods.

    Args:
        in_dim: of the tokens.
        hidden_dim: of the hidden layers.
        out_dim: of the embeddings.
        num_layers, batch_norm, activation, output_norm: see `mlp`. The defaults are Leopart's and
            DINO's; SimCLR and SwAV have two layers, batch norm and ReLU.

    Source: Ziegler and Asano (Leopart), CVPR 2022, section 4.1; Chen et al. (SimCLR), ICML 2020,
    section 4.2.
    """

    def __init__(
        self,
        in_dim: int,
        hidden_dim: int = 2048,
        out_dim: int = 256,
        *,
        num_layers: int = 3,
        batch_norm: bool = False,
        activation: Activation = "gelu",
        output_norm: bool = False,
    ) -> None:
        super().__init__()
        self.out_dim = out_dim
        self.layers = mlp(
            in_dim,
            hidden_dim,
            out_dim,
            num_layers=num_layers,
            batch_norm=batch_norm,
            activation=activation,
            output_norm=output_norm,
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """`[..., in_dim]` → `[..., out_dim]` of length 1."""
        rows = self.layers(tokens.flatten(0, -2))  # batch norm takes a matrix
        return F.normalize(rows, dim=-1).unflatten(0, tokens.shape[:-1])


class LinearProjection(nn.Module):
    """One linear layer, then L2 normalisation; can start as a PCA of the tokens.

    Args:
        in_dim: of the patch tokens.
        out_dim: of the embeddings.
    """

    def __init__(self, in_dim: int, out_dim: int = 64) -> None:
        super().__init__()
        self.out_dim = out_dim
        self.linear = nn.Linear(in_dim, out_dim)
        nn.init.trunc_normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)

    @classmethod
    def from_pca(cls, mean: Tensor, components: Tensor) -> LinearProjection:
        """The projection `components @ (token - mean)`.

        Args:
            mean: `[in_dim]`.
            components: `[out_dim, in_dim]`, in any scaling (whitened or not).

        Raises:
            ValueError: if the shapes do not fit each other.
        """
        if components.ndim != 2 or mean.shape != components.shape[1:]:
            raise ValueError(
                "components must be [out_dim, in_dim] and mean [in_dim], got shapes "
                f"{list(components.shape)} and {list(mean.shape)}"
            )
        projection = cls(components.shape[1], components.shape[0])
        with torch.no_grad():
            projection.linear.weight.copy_(components)
            projection.linear.bias.copy_(-(components @ mean))
        return projection

    def forward(self, tokens: Tensor) -> Tensor:
        """`[..., in_dim]` → `[..., out_dim]` of length 1."""
        return F.normalize(self.linear(tokens), dim=-1)


class UnitTokens(nn.Module):
    """No projection: the tokens themselves at length 1."""

    def __init__(self, in_dim: int) -> None:
        super().__init__()
        self.out_dim = in_dim

    def forward(self, tokens: Tensor) -> Tensor:
        """`[..., in_dim]` → the same of length 1."""
        return F.normalize(tokens, dim=-1)


class Prototypes(nn.Module):
    """Unit vectors; the scores are cosine similarities of embeddings of length 1.

    Args:
        dim: of the embeddings.
        num_prototypes: K.

    Source: Caron et al. (SwAV), NeurIPS 2020, section 3.1.
    """

    def __init__(self, dim: int, num_prototypes: int = 300) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_prototypes, dim))
        self._holding_still = False
        self.normalize_()

    @classmethod
    def from_centroids(cls, centroids: Tensor) -> Prototypes:
        """Prototypes in the directions of cluster centres `[K, dim]`.

        Raises:
            ValueError: if the centroids are no matrix, or one is zero or not finite.
        """
        if centroids.ndim != 2:
            raise ValueError(f"centroids must be [K, dim], got shape {list(centroids.shape)}")
        lengths = centroids.norm(dim=1)
        bad = ~(lengths > 0) | lengths.isinf()
        if bad.any():
            raise ValueError(
                f"centroid {int(bad.nonzero()[0])} is zero or not finite and has no direction; "
                "use fewer clusters or more data"
            )
        num_prototypes, dim = centroids.shape
        prototypes = cls(dim, num_prototypes)
        with torch.no_grad():
            prototypes.weight.copy_(centroids)
        prototypes.normalize_()
        return prototypes

    @torch.no_grad()
    def normalize_(self) -> None:
        """Give every prototype length 1; call it before each step."""
        self.weight.copy_(F.normalize(self.weight, dim=1))

    def hold_still(self, yes: bool) -> None:
        """Stop, or allow, gradients of the weights; embeddings get theirs.

        Adam counts such steps too, and its first real ones would be several times too large. So
        name the weights in `Method.started_anew` when their gradients come back.
        """
        self._holding_still = yes

    def forward(self, embeddings: Tensor) -> Tensor:
        """`[..., dim]` → `[..., K]`."""
        # Zero rather than none: over several processes every parameter must have a gradient.
        weight = self.weight.detach() + 0 * self.weight if self._holding_still else self.weight
        return F.linear(embeddings, weight)
