from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from leopart_kit.masks.part_names import PartNames
from leopart_kit.report.naming import render_naming_page, write_naming_page
from leopart_kit.report.part_crops import Crop, PartPhoto, fitting_photos, part_crop
from leopart_kit.report.part_likeness import alike_order, alike_pairs
from tests.report.naming_parts import some_parts, some_photos


class Page(HTMLParser):
    """All tags of a page and the text outside of style and script."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.script = ""
        self.data = ""
        self.inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        kind = dict(attrs).get("type", "module") if tag == "script" else "module"
        self.inside = tag if kind == "module" else "data"

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.script += data
        elif self.inside == "data":
            self.data += data
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


def test_every_field_has_a_label_and_every_picture_a_text():
    page = Page(render_naming_page(some_parts(), model_id="m", title="Zoo"))
    labelled = {label.get("for") for label in page.all("label")}
    fields = [field for field in page.all("input") if field["type"] != "file"]
    inside_label = {"unnamed-only", "search"}
    unlabelled = {field.get("id") for field in fields if "aria-label" not in field} - labelled
    assert unlabelled == inside_label
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
    assert [script["type"] for script in page.all("script")] == ["module", "application/json"]
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
    crops = [Crop.of(picture, "photo", index, 0, 0) for index, picture in enumerate(blurred)]
    view = replace(some_parts(1)[0], best=crops[:8], uncertain=crops[8:])
    views = [replace(view, id=index) for index in range(20)]
    path = write_naming_page(views, tmp_path / "new" / "parts.html", model_id="m", title="Zoo")
    assert path.stat().st_size < 10e6 / 300 * 20 + 50_000


def test_photographs_are_fewer_rather_than_too_many():
    """Random pixels are the worst there is."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (300, 400, 3), dtype=np.uint8)
    one = PartPhoto.of(image, np.zeros((32, 32), int), "photo", 1)
    assert one.size == (400, 300)
    small = PartPhoto.of(image, np.zeros((32, 32), int), "photo", 5000)
    assert small.size == (320, 240)
    kept = fitting_photos((index, one) for index in range(5000))
    assert list(kept) == list(range(len(kept)))
    facts = json.dumps([photo.facts() for photo in kept.values()])
    assert 5e6 < len(facts) < 6.2e6


def test_every_photograph_tells_its_parts():
    page = Page(render_naming_page(some_parts(), model_id="m", title="Zoo", photos=some_photos()))
    facts = json.loads(page.data)
    assert list(facts["photos"]) == ["0", "1"]
    photo = facts["photos"]["1"]
    labels = np.frombuffer(base64.b64decode(photo["labels"]), "<u2").reshape(photo["grid"])
    np.testing.assert_array_equal(labels[:, 0], np.repeat(np.arange(6), 2))
    assert {b["data-photo"] for b in page.all("button") if b.get("class") == "crop"} == {
        "",
        "0",
        "1",
    }


@given(st.integers(1, 40), st.integers(0, 1000))
def test_alike_parts_lie_side_by_side(number: int, seed: int):
    """Whatever the parts: every one once; the most alike pair are neighbours."""
    features = np.random.default_rng(seed).normal(size=(number, 5))
    order, pairs = alike_order(features), alike_pairs(features)
    assert sorted(order) == list(range(number))
    assert all(0 <= a < b < number and 0 < likeness <= 1 + 1e-9 for a, b, likeness in pairs)
    likenesses = [likeness for _, _, likeness in pairs]
    assert likenesses == sorted(likenesses, reverse=True)
    if pairs and number > 2:
        a, b, _ = pairs[0]
        assert abs(order.index(a) - order.index(b)) == 1
    equal = np.ones((number, 3))
    assert alike_pairs(equal) == []
    assert sorted(alike_order(equal)) == list(range(number))


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
