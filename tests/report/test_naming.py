from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leopart_kit.masks.part_names import PartNames
from leopart_kit.report.naming import part_crop, render_naming_page, write_naming_page
from tests.report.naming_parts import some_parts


class Page(HTMLParser):
    """All tags of a page and the text outside of style and script."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.script = ""
        self.inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.script += data
        elif self.inside != "style":
            self.texts.append(data.strip())

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


def test_the_page_runs_its_own_script_and_needs_nothing_else():
    html = render_naming_page(some_parts(), model_id="m", title="Zoo")
    page = Page(html)
    for _, attributes in page.tags:
        for name in ("src", "href", "srcset", "action"):
            value = attributes.get(name)
            assert value is None or value.startswith("data:image/webp;base64,")
    (policy,) = (meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    digest = base64.b64encode(hashlib.sha256(page.script.encode()).digest()).decode()
    assert policy is not None
    assert policy.split("; ") == [
        "default-src 'none'",
        "img-src data:",
        "style-src 'unsafe-inline'",
        f"script-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert not re.search(r"https?://|@import|url\(", html)
    assert page.script.count("\n") < 200


def test_every_field_has_a_label_and_every_picture_a_text():
    page = Page(render_naming_page(some_parts(), model_id="m", title="Zoo"))
    labelled = {label.get("for") for label in page.all("label")}
    fields = [field for field in page.all("input") if field["type"] != "file"]
    assert {field["id"] for field in fields} - labelled == {"unnamed-only"}  # inside its label
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert [image["alt"] for image in page.all("img")][:6] == [
        *(f"Part 0, most typical {i}" for i in (1, 2, 3, 4)),
        *(f"Part 0, least certain {i}" for i in (1, 2)),
    ]


def test_parts_are_described():
    page = Page(render_naming_page(some_parts(), model_id="m", title="Zoo"))
    assert "Part 0 40 % of the patches, in 12 images" in page.text
    assert "Part 5 6.7 % of the patches, in 7 images; part of object 1" in page.text
    swatch = next(a["style"] for a in page.all("span") if a.get("class") == "swatch")
    assert swatch == "background:#" + bytes(some_parts()[0].colour.tolist()).hex()


def test_objects_can_be_named_beside_parts_and_names_can_be_offered():
    part = replace(some_parts(1)[0], suggested_name="cat's <ear>")
    community = replace(part, id=2, kind="object", suggested_name=None)
    page = Page(render_naming_page([part, community], model_id="m", title="Zoo"))
    assert [a["data-key"] for a in page.all("article")] == ["0", "object_002"]
    assert [b.get("data-offer") for b in page.all("button") if "data-offer" in b] == [
        "cat's <ear>",
        "background",
        "background",
    ]
    assert "Object 2" in page.text


def test_text_from_outside_cannot_become_markup():
    attack = "\"'></script><script>alert(1)</script>"
    part = replace(some_parts(1)[0], suggested_name=attack)
    names = PartNames({0: attack})
    page = Page(render_naming_page([part], model_id=attack, title=attack, names=names))
    assert len(page.all("script")) == 1
    (body,) = page.all("body")
    assert body["data-model"] == attack
    assert "alert" not in page.script


def test_three_hundred_parts_stay_below_ten_megabytes(tmp_path: Path):
    """Random crops are the worst there is; photographs take about half."""
    rng = np.random.default_rng(0)
    blurred = [
        np.asarray(
            Image.fromarray(rng.integers(0, 256, (14, 14, 3), dtype=np.uint8)).resize((112, 112))
        )
        for _ in range(12)
    ]
    view = replace(some_parts(1)[0], best=blurred[:8], uncertain=blurred[8:])
    views = [replace(view, id=index) for index in range(20)]
    path = write_naming_page(views, tmp_path / "new" / "parts.html", model_id="m", title="Zoo")
    assert path.stat().st_size < 10e6 / 300 * 20 + 30_000


def test_crops_are_small_squares():
    page = Page(render_naming_page(some_parts(1, side=301), model_id="m", title="Zoo"))
    source = page.all("img")[0]["src"]
    assert source is not None
    with Image.open(BytesIO(base64.b64decode(source.split(",")[1]))) as picture:
        assert picture.size == (96, 96)


def test_a_part_twice_or_none_is_an_error():
    (part,) = some_parts(1)
    with pytest.raises(ValueError, match="'0'"):
        render_naming_page([part, part], model_id="m", title="Zoo")
    with pytest.raises(ValueError, match="no part"):
        render_naming_page([], model_id="m", title="Zoo")


def test_crop_shows_the_patch_amid_its_neighbours_and_fades_other_clusters():
    image = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    labels = np.zeros((3, 4), int)
    labels[1, 2] = labels[0, 1] = 5
    crop = part_crop(image, labels, 1, 2, context=1)
    assert crop.shape == (6, 6, 3)
    np.testing.assert_array_equal(crop[2:4, 2:4], image[2:4, 4:6])
    np.testing.assert_array_equal(crop[:2, :2], image[:2, 2:4])
    # Another cluster: 0.3 · mean(105 … 107) + 0.7 · 150 at pixel (4, 3).
    np.testing.assert_array_equal(crop[4, 1], [int(0.3 * image[4, 3].mean() + 105)] * 3)


def test_crop_moves_inwards_at_the_border_and_fits_small_images():
    image = np.arange(10 * 10 * 3, dtype=np.uint8).reshape(10, 10, 3)
    labels = np.zeros((5, 5), int)
    np.testing.assert_array_equal(part_crop(image, labels, 0, 4, context=1), image[:6, 4:])
    np.testing.assert_array_equal(part_crop(image, labels, 2, 2, context=9), image)
    # An image smaller than its map of patches, as of 1 × 1 pixels.
    np.testing.assert_array_equal(part_crop(image[:1, :1], labels, 4, 4, context=0), image[:1, :1])
