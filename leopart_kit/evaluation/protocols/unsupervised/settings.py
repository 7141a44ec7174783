"""Settings of fully unsupervised segmentation."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from leopart_kit.backbones.encoder_settings import EncoderSettings
from leopart_kit.evaluation.protocols.token_clusters.settings import TokenClustering
from leopart_kit.evaluation.protocols.unsupervised.part_graph import (
    CommunityMethod,
    Merging,
    Neighbourhood,
)
from leopart_kit.evaluation.protocols.unsupervised.selection import SearchSpace
from leopart_kit.masks import Refinement, check_dense_crf
from leopart_kit.settings import Count, Probability, Seeds, Share, Text, settings, several

Select = Literal["stability", "labels"]
Foreground = Literal["clusters", "attention", "component", "all"]


@settings
class UnsupervisedSettings(TokenClustering):
    """Foreground, parts and communities; what is null is chosen by `select`.

    Raises:
        ValueError: a value of another type or out of range; names the setting.
    """

    train_split: Text | None = "train"
    """Split whose images are clustered too; null: only those that are measured."""
    prior: EncoderSettings | None = None
    """Encoder whose attention marks the foreground, as {name: dino_vits16}; null: the measured
    one."""
    seeds: Seeds = tuple(range(10))
    """Of k-means and of the communities together."""
    select: Select = "stability"
    """Choice of what is null: stability, without labels; labels, by the ground truth of train_split
    as in the paper."""
    num_clusters: Count | None = None
    """Parts of the foreground."""
    edge_threshold: Probability | None = None
    """Smallest share of each other's neighbours for an edge."""
    markov_time: Annotated[float, Field(gt=0, le=1000)] | None = None
    """Of Infomap, larger: larger communities; for louvain its resolution, larger: smaller ones."""
    foreground: Foreground | None = None
    """Patches that are parts: clusters inside the attention masks (CBFE), attention, component
    (one side of the first principal one), all; null: clusters, but all where no class is a
    background (street scenes)."""
    foreground_threshold: Probability | None = None
    """Smallest share of a cluster inside the attention masks, for foreground=clusters."""
    foreground_clusters: Annotated[int, Field(ge=2)] = 200
    """Clusters of all patches from which the foreground is chosen."""
    attention_mass: Share = 0.65
    """Share of the attention that the first guess of the foreground holds."""
    preferred_communities: Count | None = None
    """Number that the search is drawn towards; null: the classes but background."""
    community_method: CommunityMethod = "infomap"
    """Community detection."""
    neighbourhood: Neighbourhood = "symmetric"
    """Offsets of neighbours: the eight exact directions, or those of the released code."""
    search: SearchSpace = Field(default_factory=SearchSpace)
    """Values that select tries."""
    refinement: several(Refinement, at_least=0) = ("bilateral_grid",)  # type: ignore[valid-type]
    """Refinements to the edges of the image, each scored beside the result; dense_crf, the papers',
    needs the extra crf."""
    refinement_seeds: Count = 1
    """Seeds that are refined; 0.04 s an image, dense_crf about 1 s."""

    def __post_init__(self) -> None:
        if (self.edge_threshold is None) != (self.markov_time is None):
            raise ValueError("set both edge_threshold and markov_time, or neither of them")
        if "dense_crf" in self.refinement:
            check_dense_crf()  # now, not after hours
        if self.foreground not in ("clusters", None) and self.foreground_threshold is not None:
            raise ValueError(
                f"foreground={self.foreground} has no threshold; leave out foreground_threshold"
            )

    def fixed_merging(self, num_objects: int) -> Merging:
        """Settings that are not searched; the threshold is 0 and the Markov time 1 unless set.

        Args:
            num_objects: classes to be found, background left out; 0 where nothing says how many.
        """
        preferred = self.preferred_communities or num_objects or None
        return Merging(
            edge_threshold=self.edge_threshold or 0.0,
            markov_time=self.markov_time or 1.0,
            resolution=self.markov_time or 1.0,
            preferred_communities=preferred,
            method=self.community_method,
        )

    def search_space(self) -> SearchSpace:
        """The values to try: a value that is set is the only one of its kind."""
        space = self.search
        if self.num_clusters is not None:
            space = replace(space, num_clusters=(self.num_clusters,))
        if self.edge_threshold is not None and self.markov_time is not None:
            space = replace(
                space, edge_thresholds=(self.edge_threshold,), markov_times=(self.markov_time,)
            )
        return space
