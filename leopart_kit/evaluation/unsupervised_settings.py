"""The numbers of fully unsupervised segmentation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from leopart_kit.evaluation.part_graph import CommunityMethod, Merging, Neighbourhood
from leopart_kit.evaluation.selection import SearchSpace
from leopart_kit.evaluation.settings import TokenClustering, check_choice, check_number, check_whole
from leopart_kit.masks import REFINEMENTS, Refinement, check_dense_crf

Select = Literal["stability", "labels"]
Foreground = Literal["clusters", "attention", "component", "all"]


@dataclass(frozen=True)
class UnsupervisedSettings(TokenClustering):
    """The protocol's numbers, beside those of `TokenClustering`.

    Attributes:
        seeds: of k-means and of the communities together.
        num_clusters: parts in the foreground; `None` leaves the choice to `select`.
        edge_threshold, markov_time: see `Merging`; both `None` leaves the choice to `select`.
        foreground: `clusters` that lie inside the attention masks often enough (CBFE), the
            `attention` masks themselves, one side of the first principal `component`, or `all`
            patches. `None` takes `all` where classes are to be found and none of them is a
            background, as in street scenes, else `clusters`.
        foreground_threshold: smallest share of a cluster inside the attention masks for it to be
            foreground; `None` leaves the choice to `select`. For `clusters` only.
        select: `stability` chooses without labels; `labels` by ground truth of the training images,
            as the paper did. `labels_used` in the result tells the two apart.
        foreground_clusters: clusters of all patches from which the foreground is chosen.
        attention_mass: share of the attention that the first guess of the foreground holds.
        preferred_communities: what the search is drawn towards; `None` takes the number of
            classes but background, and nothing where there are no classes.
        community_method: `infomap` or `louvain`.
        neighbourhood: see `cooccurrence`.
        search: the values that `select` tries.
        refinement: ways to refine the result to the edges of the images, each scored beside the
            result itself; `refinement_seeds` says for how many of the seeds.

    Raises:
        ValueError: a value of the wrong kind or out of range; names the setting.
    """

    seeds: tuple[int, ...] = tuple(range(10))
    num_clusters: int | None = None
    edge_threshold: float | None = None
    markov_time: float | None = None
    foreground: Foreground | None = None
    foreground_threshold: float | None = None
    select: Select = "stability"
    foreground_clusters: int = 200
    attention_mass: float = 0.65
    preferred_communities: int | None = None
    community_method: CommunityMethod = "infomap"
    neighbourhood: Neighbourhood = "symmetric"
    search: SearchSpace = field(default_factory=SearchSpace)
    refinement: tuple[Refinement, ...] = ("bilateral_grid",)
    refinement_seeds: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("num_clusters", "preferred_communities"):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), minimum=1)
        check_whole("foreground_clusters", self.foreground_clusters, minimum=2)
        for name, high in (
            ("edge_threshold", 1),
            ("markov_time", 1000),
            ("foreground_threshold", 1),
        ):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), 0, high)
        if (self.edge_threshold is None) != (self.markov_time is None):
            raise ValueError("set both edge_threshold and markov_time, or neither of them")
        check_whole("refinement_seeds", self.refinement_seeds, minimum=1)
        if not isinstance(self.refinement, tuple):
            raise ValueError(f"refinement must be a list, got {self.refinement!r}")
        for method in self.refinement:
            check_choice("refinement", method, REFINEMENTS)
        if "dense_crf" in self.refinement:
            check_dense_crf()  # now, not after hours
        check_number("attention_mass", self.attention_mass, 0.01, 1)
        check_choice("foreground", self.foreground, (None, *get_args(Foreground)))
        if self.foreground not in ("clusters", None) and self.foreground_threshold is not None:
            raise ValueError(
                f"foreground={self.foreground} has no threshold; leave out foreground_threshold"
            )
        check_choice("select", self.select, get_args(Select))
        check_choice("community_method", self.community_method, get_args(CommunityMethod))
        check_choice("neighbourhood", self.neighbourhood, get_args(Neighbourhood))

    def fixed_merging(self, num_objects: int) -> Merging:
        """What is not searched; a threshold and a Markov time that are not set are 0 and 1.

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
