from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from leopart_kit.evaluation.result import Result, Sample
from leopart_kit.report.page import Section, render_page, write_page

VOID = {"meta", "img", "br", "hr", "link", "input", "wbr"}


class Page(HTMLParser):
    """Collects text and tags of a page, and fails on tags that do not balance."""

    def __init__(self, html: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & {*self.open} and data.strip():
            self.texts.append(data.strip())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


@pytest.fixture
def page(result: Result, sample: Sample) -> Page:
    return Page(render_page(result, [sample], command="run 'a b' <now>"))


def test_page_needs_nothing_but_itself(result: Result, sample: Sample):
    html = render_page(result, [sample])
    page = Page(html)
    for _, attributes in page.tags:
        for name in ("src", "href", "srcset", "poster", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:image/", "#")), value
    assert not {"link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert all("src" not in attributes for attributes in page.all("script"))
    assert not re.search(r"https?://|@import|url\(", html)


def test_every_image_has_text_and_size(page: Page):
    images = page.all("img")
    assert [image["alt"] for image in images] == [
        "Photo a&b <1>",
        "Ground truth of a&b <1>: sky & sea, <cat>",
        "Prediction of a&b <1>: sky & sea, <cat>",
        "Clusters of a&b <1>: 2 different",
    ]
    assert all(image["width"] == "40" and image["height"] == "30" for image in images)


def test_one_h1_and_no_heading_level_skipped(page: Page):
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(below - above <= 1 for above, below in pairwise(levels))


def test_links_and_labels_point_at_ids_that_exist_once(page: Page):
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [str(link["href"])[1:] for link in page.all("a")]
    targets += [str(section["aria-labelledby"]) for section in page.all("section")]
    assert set(targets) <= set(ids)


def test_page_shows_the_figures_of_the_result(page: Page):
    assert "mIoU 41.7 ± 0.7 95 % interval" in page.text
    assert "full mask size 39.7 ± 0.7" in page.text
    assert "mIoU of each seed: 41.2 , 42.2" in page.text
    assert "sky & sea 71.4 ± 1.5 66.6 – 75.5 90.0 %" in page.text
    assert "<cat> 53.8 ± 2.5 44.4 – 58.8 10.0 %" in page.text


def test_other_settings_than_those_of_a_benchmark_stand_above_its_rows(result: Result):
    assert "within 0.75 points" in Page(render_page(result, [])).text
    assert result.benchmark is not None
    changed = replace(result.benchmark, changed={"dataset.limit": (None, 12)})
    text = Page(render_page(replace(result, benchmark=changed), [])).text
    assert text.index("dataset.limit 12, published with none") < text.index("Method A")
    assert "0.75" not in text


def test_published_figures_are_shown_escaped(result: Result):
    html = render_page(result, [])
    section = html.split('id="published"')[1].split("</section>")[0]
    assert "Method A" in section
    assert "53.2" in section
    assert "its &lt;README&gt;" in section
    assert 'id="published"' not in render_page(replace(result, benchmark=None), [])


def test_bars_are_as_long_as_the_iou(page: Page):
    fills = [a["style"] for a in page.all("span") if a.get("class") == "fill"]
    whiskers = [a["style"] for a in page.all("span") if a.get("class") == "whisker"]
    assert fills == ["width:71.40%", "width:53.80%"]
    assert whiskers == ["left:66.60%;width:8.90%", "left:44.40%;width:14.40%"]


def test_confusion_is_in_percent_of_the_row(page: Page):
    assert "sky & sea 90 10" in page.text
    assert "<cat> 30 60 10" in page.text
    assert "30.0 % of <cat> became sky & sea" in page.text


def test_clusters_are_listed_by_class_for_the_first_seed(page: Page):
    listed = page.text.split("Clusters and classes")[-1].split("What these figures mean")[0]
    assert "sky & sea 0 <cat> 1 2 absent no cluster no class 3" in listed


def test_iou_of_a_sample_leaves_out_ignored_pixels(page: Page):
    # 38 of 40 columns are labelled; columns 21 to 24 are predicted wrongly.
    assert f"{50 * (19 / 23 + 15 / 19):.1f} mIoU of its classes" in page.text
    assert f"sky & sea {100 * 19 / 23:.1f} <cat> {100 * 15 / 19:.1f}" in page.text


def test_run_can_be_repeated_from_the_page(page: Page):
    assert "run 'a b' <now>" in page.texts
    assert "kmeans.metric euclidean" in page.text
    assert "kmeans.inertia 7.5, 8.5" in page.text
    assert "third.jpg" in page.text
    assert "masks are palette PNGs" in page.text
    assert "ab" * 32 in page.text
    assert "torch 2.6.0" in page.text


def test_names_are_escaped(result: Result, sample: Sample):
    attack = "<script>alert('x')</script>\"><img src=x>"
    data = replace(result.dataset, name=attack, class_names=(attack, "b", "c"), notes=(attack,))
    scores = tuple(
        replace(table, per_class=(replace(table.per_class[0], name=attack),))
        for table in result.scores
    )
    encoder = replace(result.encoder, name=attack, weights=attack)
    odd = replace(result, dataset=data, scores=scores, encoder=encoder, settings={attack: attack})
    html = render_page(odd, [replace(sample, name=attack)], command=attack)
    page = Page(html)
    assert len(page.all("script")) == html.count("<script") == 2  # one of them data
    assert all(str(image["src"]).startswith("data:image/") for image in page.all("img"))
    assert page.texts.count(attack) >= 5


def test_without_ground_truth_only_clusters_are_shown(unlabelled: Result, sample: Sample):
    bare = replace(sample, target=None, prediction=None)
    page = Page(render_page(unlabelled, [bare]))
    assert len(page.all("img")) == 2
    assert "mIoU" not in page.text
    assert [section["id"] for section in page.all("section")] == ["pictures", "meaning", "run"]


def test_one_seed_has_no_spread(result: Result, sample: Sample):
    table = result.scores[0]
    alone = replace(table.miou, per_seed=(41.7,), std=0.0)
    lone = replace(result, scores=(replace(table, miou=alone),))
    page = Page(render_page(lone, [sample]))
    assert "mIoU 41.7 95 % interval" in page.text


def test_many_classes_stay_readable(result: Result):
    names = tuple(f"class-{i}" for i in range(171))
    score = result.scores[0].per_class[0]
    per_class = tuple(replace(score, id=i, name=name) for i, name in enumerate(names))
    data = replace(
        result.dataset, num_classes=171, class_names=names, classes_present=tuple(range(171))
    )
    confusion = np.concatenate([np.eye(171, dtype=int), np.zeros((171, 1), int)], axis=1)
    many = replace(
        result,
        dataset=data,
        scores=(replace(result.scores[0], per_class=per_class),),
        confusion=confusion,
    )
    html = render_page(many, [])
    page = Page(html)
    assert "131 more classes" in page.text
    assert len(page.all("img")) == 1
    assert len(html) < 400_000
    assert all(name in page.texts for name in names)


def test_further_section_takes_its_place_after_the_pictures(result: Result, sample: Sample):
    extra = Section("gallery", "Gallery", "meaning.html", {})
    page = Page(render_page(result, [sample], sections=[extra]))
    order = [section["id"] for section in page.all("section")]
    assert order.index("gallery") == order.index("pictures") + 1


def test_written_page_replaces_the_old_one(result: Result, sample: Sample, tmp_path: Path):
    path = write_page(result, [sample], tmp_path / "out")
    assert path == tmp_path / "out" / "report.html"
    first = path.read_text(encoding="utf-8")
    write_page(result, [], tmp_path / "out")
    assert len(path.read_text(encoding="utf-8")) < len(first)
    assert list(path.parent.iterdir()) == [path]
