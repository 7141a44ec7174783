"""STEGO: a head on frozen features whose codes are alike where the features are.

Hamilton et al., "Unsupervised Semantic Segmentation by Distilling Feature Correspondences", ICLR
2022. Features are taken once, from five crops of each image, and the steps read them from disk.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from leopart_kit.clustering.nearest_neighbours import nearest_neighbours
from leopart_kit.data.five_crops import FiveCrops
from leopart_kit.losses import token_directions
from leopart_kit.losses.assignment_statistics import chosen
from leopart_kit.losses.stego_correlation import (
    correlation_of_points,
    sample_points,
    unit_points,
)
from leopart_kit.methods.building import (
    Built,
    MethodSettings,
    Parts,
    StoredTokens,
    TrainingDefaults,
    check_patches,
)
from leopart_kit.methods.collapse import warn_of_few_directions
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput, split_by_decay
from leopart_kit.methods.stego_encoder import StegoEncoder, StegoHead
from leopart_kit.methods.stego_shifts import Shifts, sampled_similarities, shifts_of
from leopart_kit.settings import Count, DropRate, NotNegative, Share, settings

_ATTRACTED = (0.5, 0.5, 0.1)  # half of what belongs together, and a tenth of what need not


class FeaturePair(NamedTuple):
    """Features `[D, h, w]` of a crop and of one of its nearest neighbours in the set."""

    features: Tensor
    neighbour: Tensor


class Stego(Method):
    """A head and a cluster probe on stored features.

    Args:
        encoder: the frozen network with head and probe.
        settings: the method's numbers.
        shifts: those of the settings unless given.

    Raises:
        ValueError: a shift of the settings is None, to be measured, and none are given.
    """

    encoder: StegoEncoder

    def __init__(
        self, encoder: StegoEncoder, settings: StegoSettings, shifts: Shifts | None = None
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.settings = settings
        self.shifts = _known(settings.shifts()) if shifts is None else shifts

    def forward(self, batch: Any, step: int) -> StepOutput:
        """See `Method.forward`; `batch` is a collated `FeaturePair`, features `[B, D, h, w]`."""
        pair = FeaturePair(*batch)
        _check_batch(len(pair.features))
        head, used = self.encoder.head, self.settings
        # The channels of a patch lie together, as they are stored: the head's products are faster.
        crops = torch.cat(pair).contiguous(memory_format=torch.channels_last)
        codes, near_codes = head(crops).chunk(2)
        features, near_features = head.dropout(crops).chunk(2)
        here, there, elsewhere = (self._points(features) for _ in range(3))
        sampled, own = _sampled(features, codes, here)
        neighbours = _sampled(near_features, near_codes, there)
        alike = correlation_of_points(sampled, sampled, own, own, self.shifts.own)
        near = correlation_of_points(
            sampled, neighbours.features, own, neighbours.codes, self.shifts.neighbour
        )
        # Sampled once: whichever crop another one is compared with, its points are random ones.
        others = _sampled(features, codes, elsewhere)
        far = []
        for _ in range(used.num_random):
            rows = _other_rows(len(features)).to(features.device, non_blocking=True)
            far.append(
                correlation_of_points(
                    sampled, others.features[rows], own, others.codes[rows], self.shifts.random
                )
            )
        random = torch.stack(far).mean()
        loss = used.self_weight * alike + used.neighbour_weight * near + used.random_weight * random
        probe, logs = self._probe(codes)
        directions = token_directions(codes)
        warn_of_few_directions(directions, step, used.warning_every)
        terms = {"self": alike, "neighbour": near, "random": random}
        logs["code_directions"] = directions
        logs |= {f"{name}_term": term.detach() for name, term in terms.items()}
        return StepOutput(loss + probe, logs)

    def _points(self, features: Tensor) -> Tensor:
        """Random points `[B, s, s, 2]`, drawn on the CPU so that a resumed run draws the same."""
        side = self.settings.num_points
        points = 2 * torch.rand(len(features), side, side, 2) - 1
        return points.to(features.device, non_blocking=True)

    def _probe(self, codes: Tensor) -> tuple[Tensor, dict[str, Tensor | float]]:
        """Loss of the cluster probe, which the codes do not feel: minus the largest cosine."""
        rows = F.normalize(codes.detach().float(), dim=1).flatten(2)
        cosines = F.normalize(self.encoder.centroids, dim=1) @ rows  # [B, K, h * w]
        largest = cosines.max(dim=1)
        used = chosen(largest.indices, cosines.shape[1])
        return -largest.values.mean(), {"clusters_used": used.float().sum()}

    def parameter_groups(self) -> list[ParameterGroup]:
        """Head and probe."""
        probe = [self.encoder.centroids]
        return [
            *split_by_decay("head", self.encoder.head, self.settings.learning_rate),
            ParameterGroup("probe", probe, self.settings.probe_learning_rate, decayed=False),
        ]


class _Sampled(NamedTuple):
    """Unit vectors `[B, s², D]` of features and `[B, s², E]` of codes at the same points."""

    features: Tensor
    codes: Tensor


def _sampled(features: Tensor, codes: Tensor, points: Tensor) -> _Sampled:
    return _Sampled(*(unit_points(sample_points(maps, points)) for maps in (features, codes)))


def _other_rows(number: int) -> Tensor:
    """A permutation, one step aside where a row would stay in its place."""
    rows = torch.randperm(number)
    own = torch.arange(number)
    return torch.where(rows == own, (rows + 1) % number, rows)


class StoredPairs:
    """Rows of stored features, each with the rows of its nearest neighbours.

    Args:
        stored: features of all crops.
        neighbours: int64 `[N, k]`, rows of the crops whose mean features are nearest.
    """

    def __init__(self, stored: StoredTokens, neighbours: np.ndarray) -> None:
        self.stored, self.neighbours = stored, neighbours

    def __len__(self) -> int:
        return len(self.neighbours)

    def __getitem__(self, index: int) -> int:
        return index

    def draw(self, row: int) -> FeaturePair:
        """The crop's features, and those of a neighbour that is drawn at random."""
        chosen = int(torch.randint(0, self.neighbours.shape[1], ()))
        return FeaturePair(self._features(row), self._features(self.neighbours[row, chosen]))

    def _features(self, row: int) -> Tensor:
        tokens = np.array(self.stored.tokens[self.stored.indices[row]])
        return torch.from_numpy(tokens).float().T.unflatten(1, self.stored.grid)


def neighbours_of(stored: StoredTokens, number: int) -> np.ndarray:
    """Rows `[N, number]` of the crops whose mean features have the largest cosine with each one's.

    Raises:
        ValueError: there are too few crops.

    Source: Hamilton et al. (STEGO), ICLR 2022, section 4.
    """
    rows, patches = len(stored.indices), stored.grid[0] * stored.grid[1]
    _check_crops(rows, number)  # fewer than there are images where some cannot be read
    means = torch.cat([c.unflatten(0, (-1, patches)).mean(dim=1) for c in stored.chunks()])
    means = F.normalize(means, dim=1)
    _, found = nearest_neighbours(means, [means], number + 1)
    own = torch.arange(rows)[:, None]
    # Where equal images push a crop out of its own list, its last neighbour goes instead.
    others = [near[near != row][:number] for near, row in zip(found, own, strict=True)]
    return torch.stack(others).numpy()


def _known(shifts: tuple[float | None, ...]) -> Shifts:
    if None in shifts:
        raise ValueError("a shift is None: give the measured ones, see sampled_similarities")
    return Shifts(*shifts)  # type: ignore[arg-type]


def _check_batch(number: int) -> None:
    if number < 2:
        raise ValueError("stego compares the images of a batch: set batch_size to 2 or more")


def _check_crops(number: int, neighbours: int) -> None:
    if number <= neighbours:
        raise ValueError(
            f"{number} crops have no {neighbours} neighbours each: use more images, or lower "
            "method.num_neighbours"
        )


@settings
class StegoSettings(MethodSettings):
    """Settings of STEGO; shifts and weights are the released defaults, which papers tune by set."""

    loader: ClassVar[str] = "leopart_kit.methods.stego_encoder:load_stego"

    learning_rate: NotNegative = 5e-4
    """Of the head."""
    probe_learning_rate: NotNegative = 5e-3
    """Of the cluster probe."""
    code_dim: Count = 70
    """Dimensions of the codes."""
    dropout: DropRate = 0.1
    """Of whole channels of the features."""
    num_clusters: Count = 27
    """Centroids of the cluster probe."""
    num_neighbours: Count = 7
    """Nearest neighbours of a crop of which one is drawn."""
    num_points: Count = 11
    """Points a side that are drawn in each crop, num_points² in all."""
    num_random: Count = 5
    """Other crops of the batch that each one is compared with."""
    crop_size: Count = 224
    """Side in pixels to which the crops are resized."""
    five_crops: bool = True
    """Five crops of each image; false: the whole images."""
    self_weight: NotNegative = 0.67
    """Of the term of a crop with itself."""
    neighbour_weight: NotNegative = 0.25
    """Of the term of a crop with its neighbour."""
    random_weight: NotNegative = 0.63
    """Of the term of a crop with others."""
    self_shift: float | None = 0.18
    """Similarity of features above which codes are pulled together, in that term; null: measured,
    see attracted."""
    neighbour_shift: float | None = 0.12
    """Likewise."""
    random_shift: float | None = 0.46
    """Likewise."""
    attracted: Annotated[tuple[Share, Share, Share], Field(strict=False)] = _ATTRACTED
    """Shares of the pairs of points that are pulled together where a shift is null: of a crop with
    itself, with its neighbour, with others."""
    warning_every: Count = 50
    """Steps between two warnings of collapse."""
    training: TrainingDefaults = TrainingDefaults(
        epochs=1, weight_decay=0.0, final_weight_decay=0.0
    )

    def __post_init__(self) -> None:
        if None not in self.shifts() and self.attracted != _ATTRACTED:
            raise ValueError(
                "attracted is of shifts that are null: set self_shift, neighbour_shift or "
                "random_shift to null, or leave attracted out"
            )

    def shifts(self) -> tuple[float | None, float | None, float | None]:
        """Of the three terms, None where they are to be measured."""
        return self.self_shift, self.neighbour_shift, self.random_shift

    def build(self, parts: Parts) -> Built:
        """See `MethodSettings.build`."""
        check_patches({"method.crop_size": self.crop_size}, parts.encoder)
        images = FiveCrops(parts.dataset) if self.five_crops else parts.dataset
        _check_batch(parts.batch_size)
        _check_crops(len(images), self.num_neighbours)
        stored = parts.features(images, (self.crop_size, self.crop_size))
        pairs = StoredPairs(stored, neighbours_of(stored, self.num_neighbours))
        similar = sampled_similarities(pairs.draw, len(pairs), self.num_points)
        shifts = shifts_of(self.shifts(), self.attracted, similar)
        head = StegoHead(parts.encoder.embed_dim, self.code_dim, self.dropout)
        centroids = torch.randn(self.num_clusters, self.code_dim)
        encoder = StegoEncoder(parts.encoder, head, centroids)
        return Built(Stego(encoder, self, shifts), pairs, pairs.draw)


PART = StegoSettings
