"""Settings of methods that are trained on independent random views of an image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from pydantic import Field

from leopart_kit.image_level.data import CentralView, RandomViews, ViewSettings
from leopart_kit.methods.building import ImagesInOrder, MethodSettings, Parts, check_patches
from leopart_kit.settings import NotNegative, settings

LOCAL = "local"
"""Name of the small views, which are no targets."""


def kinds(**views: ViewSettings) -> Any:
    """The default of a field `views`, by the names of the kinds."""
    return Field(default_factory=lambda: dict(views))


@settings
class ImageMethodSettings(MethodSettings):
    """Rate and views, which every image-level method has; by default one crop.

    `num_views` is how many views of an image the method takes, `None` where any number will do.
    """

    num_views: ClassVar[int | None] = None

    learning_rate: NotNegative = 1e-3
    """Peak of its schedule."""
    views: dict[str, ViewSettings] = kinds(image=ViewSettings(scale=(0.2, 1.0)))
    """Kinds of random views of an image, each with a count, a size, a scale and so on."""

    def random_views(self, parts: Parts, region: tuple[float, float] = (1.0, 1.0)) -> RandomViews:
        """The views in the order of their kinds, normalised as the encoder wants them.

        Raises:
            ValueError: a view that is no whole number of patches wide, or more or fewer views than
                the method takes.
        """
        sized = self.sized_views(parts)
        number = sum(kind.count for kind in sized.values())
        if self.num_views is not None and number != self.num_views:
            raise ValueError(
                f"method.views makes {number} views of an image and the method takes "
                f"{self.num_views}: change the count of {' or '.join(sized)}"
            )
        colours = parts.encoder.mean, parts.encoder.std
        return RandomViews(list(sized.values()), *colours, region, parts.end_view)

    def sized_views(self, parts: Parts) -> dict[str, ViewSettings]:
        """The kinds with a size each, local ones last.

        Raises:
            ValueError: a view that is no whole number of patches wide.
        """
        sized = {}
        for name in sorted(self.views, key=lambda name: name == LOCAL):
            kind = self.views[name]
            usual = parts.views.local_size if name == LOCAL else parts.views.global_size
            size = kind.size or usual
            if kind.count:
                check_patches({f"method.views.{name}.size": size}, parts.encoder)
            sized[name] = replace(kind, size=size)
        return sized

    def num_targets(self) -> int:
        """Views of all kinds but `local`, for methods that make targets of them.

        Raises:
            ValueError: there is none, or no other view that could be compared with it.
        """
        others = {name: kind.count for name, kind in self.views.items() if name != LOCAL}
        if not sum(others.values()):
            raise ValueError(
                f"method.views.{next(iter(others), 'first')}.count must be at least 1: views that "
                "are not local are the targets"
            )
        if sum(kind.count for kind in self.views.values()) < 2:
            raise ValueError(
                "method.views make one view of an image, which is compared with no other; raise "
                f"the count of {' or '.join(self.views)}"
            )
        return sum(others.values())


def in_order(parts: Parts, views: RandomViews) -> ImagesInOrder:
    """The images of the set at the size of the views, without chance."""
    encoder = parts.encoder
    return parts.in_order(CentralView(views.views[0].side, encoder.mean, encoder.std))
