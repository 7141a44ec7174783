"""Images that a split to learn from shares with the split that is measured."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Literal

from leopart_kit.data import SegmentationDataset
from leopart_kit.evaluation.same_images import same_images
from leopart_kit.progress import Track, quiet

logger = logging.getLogger(__name__)

SharedImages = Literal["stop", "by_content", "allow"]

_NAMED = 8  # images in a message


@dataclass(frozen=True)
class SplitAudit:
    """Images that two splits have in common.

    Attributes:
        train, measured: data set and split of each.
        by_content: `(name in train, name in measured)` of images of the same bytes or pixels.
        by_name: names that both have for images of other content.
        by_pixels: whether pixels were compared, or of so many images the bytes alone.
    """

    train: str
    measured: str
    by_content: tuple[tuple[str, str], ...] = ()
    by_name: tuple[str, ...] = ()
    by_pixels: bool = True

    def details(self) -> dict[str, Any]:
        """The audit as a result records it."""
        return {
            "train": self.train,
            "shared_by_content": [
                {"train": train, "measured": measured} for train, measured in self.by_content
            ],
            "shared_by_name": list(self.by_name),
            "compared_by": "pixels" if self.by_pixels else "bytes",
        }

    def note(self) -> str:
        """The audit in one sentence."""
        shared = self._shared()
        return f"{self._said()}{': ' if shared else ''}{', '.join(shared[:_NAMED])}"

    def check(self, shared_images: SharedImages) -> None:
        """Raise `ValueError` with the shared images, unless they are allowed; then they are logged.

        `stop` allows none, `by_content` those that share nothing but their name.
        """
        shared = self._shared()
        if not shared:
            return
        more = f" and {len(shared) - _NAMED:,} more" if len(shared) > _NAMED else ""
        said = (
            f"{self._said()} ({len(self.by_name):,} of them by name alone): "
            f"{', '.join(shared[:_NAMED])}{more}"
        )
        counted = self.by_content if shared_images == "by_content" else shared
        if shared_images == "allow" or not counted:
            logger.warning("%s", said)
            return
        way_out = "shared_images=allow goes on"
        if not self.by_content:
            way_out = f"where they are other pictures, shared_images=by_content goes on; {way_out}"
        raise ValueError(f"{said}; take them out of one of the two ({way_out})")

    def _said(self) -> str:
        images = len({measured for _, measured in self.by_content}) + len(self.by_name)
        return f"{self.train} and {self.measured} share {images:,} images"

    def _shared(self) -> list[str]:
        """Each shared image in words: its name, or both where they differ."""
        return [
            train if train == measured else f"{train} of the former is {measured} of the latter"
            for train, measured in self.by_content
        ] + list(self.by_name)


def audit_splits(
    train: SegmentationDataset,
    measured: SegmentationDataset,
    *,
    names: bool = True,
    track: Track = quiet,
) -> SplitAudit:
    """Compare two splits by what their images show, and by names within one data set.

    `same_images` says how, and what it costs. Arrays have numbers for names, which say nothing.

    Args:
        names: whether the names of one data set tell its images apart.
    """
    same = same_images(train, measured, track)
    by_content = tuple((train.names[one], measured.names[other]) for one, other in same.pairs)
    by_name: list[str] = []
    one_set = (train.name, train.root) == (measured.name, measured.root)
    if names and one_set and measured.root.exists():
        found = {name for _, name in by_content}
        known = set(train.names)
        by_name = [name for name in measured.names if name in known and name not in found]
    train_name, measured_name = (f"{one.name} {one.split}" for one in (train, measured))
    return SplitAudit(train_name, measured_name, by_content, tuple(by_name), same.by_pixels)
