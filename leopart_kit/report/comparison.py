"""Ways to segment the same images, side by side."""

from __future__ import annotations

from dataclasses import dataclass

from leopart_kit.evaluation.result import Result
from leopart_kit.report import wording


@dataclass(frozen=True)
class Comparison:
    """One way to segment the images: rates in words; `own` is what the page is about."""

    name: str
    miou: str
    miou_present: str
    miou_union: str
    pixel_accuracy: str
    own: bool


def comparison(result: Result) -> list[Comparison]:
    """The protocol beside other ways to segment the same images, as they were measured.

    Its own row is that of the communities, or the first where there are none.
    """
    rows = result.details.get("comparison", ())
    own = next((row for row in rows if row.get("kind") == "communities"), None)
    own = rows[0] if own is None and rows else own
    return [
        Comparison(
            name=row["segmentation"],
            miou=wording.mean_and_spread(row["miou"], row["std"], row["num_seeds"]),
            miou_present=wording.mean_and_spread(
                row["miou_present"], row["std_present"], row["num_seeds"]
            ),
            miou_union=wording.mean_and_spread(
                row["miou_union"], row["std_union"], row["num_seeds"]
            ),
            pixel_accuracy=wording.rate(row["pixel_accuracy"]),
            own=row is own,
        )
        for row in rows
    ]
