"""The section on parts and objects says and draws what a hand-made result holds."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from leopart_kit.data import SegmentationDataset
from leopart_kit.data.palettes import cluster_palette
from leopart_kit.evaluation.result import ObjectView, Result
from leopart_kit.report.comparison import comparison
from leopart_kit.report.objects_section import (
    cost_of_no_labels,
    faded,
    foreground_facts,
    heated,
    objects_section,
)
from leopart_kit.report.page import render_page
from leopart_kit.report.parts_graph import GraphView, spread_out
from leopart_kit.report.pictures import css_colour
from tests.evaluation.tiny_data import COLOURS, write_folder
from tests.report.test_page import Page

PALETTE = np.array([[0, 0, 0], [200, 30, 30], [30, 30, 200]], dtype=np.uint8)

# Images of 4 x 4 patches; of image i the upper half has colour i, the lower colour i + 1.
PART_MAPS = np.zeros((4, 4, 4), dtype=np.int32)
PART_MAPS[0, :2] = 1  # 8 patches of colour 0
PART_MAPS[1, 0, 0] = 1
PART_MAPS[1, 2:] = 2  # 8 of colour 2
PART_MAPS[2, 2:] = 3  # 8 of colour 3
PART_MAPS[3, :, 2:] = 5
PART_MAPS[3, 0, 0] = 4
OBJECTS = ObjectView(
    part_maps=PART_MAPS,
    object_of_part=np.array([2, 1, 1, 2, 0, 3]),
    edges=((0, 3, 0.125), (1, 2, 0.5), (1, 5, 0.0625), (2, 3, 0.25), (2, 2, 9.0)),
    attention={
        2: np.stack([np.ones((4, 4)), np.eye(4) * 4]).astype(np.float16),
        0: np.ones((2, 4, 4), dtype=np.float16),
    },
    foreground=PART_MAPS > 0,
)


def row(
    name: str, miou: float, present: float, kind: str, chosen_by: str | None = None
) -> dict[str, object]:
    return {
        "segmentation": name,
        "kind": kind,
        "chosen_by": chosen_by,
        "refinement": "none",
        "num_seeds": 2,
        "miou": miou,
        "std": 0.25,
        "miou_present": present,
        "std_present": 0.5,
        "miou_union": miou,
        "std_union": 0.25,
        "pixel_accuracy": 60.0,
    }


COMPARISON = [
    row("k-means, K = classes", 11.0, 12.0, "kmeans"),
    row("foreground, k-means", 21.0, 22.0, "foreground_kmeans"),
    row("foreground, communities by stability", 31.5, 32.0, "communities", "stability"),
    row("foreground, communities by labels", 33.0, 31.0, "communities", "labels"),
    row("upper bound: parts many to one", 51.0, 52.0, "upper_bound"),
]
DETAILS = {
    "num_clusters": 4,
    "comparison": COMPARISON,
    "chosen": {
        "num_clusters": 5,
        "edge_threshold": 0.07,
        "markov_time": 1.5,
        "foreground_threshold": 0.42,
        "stability": 0.875,
    },
    "tried": [
        {"num_clusters": 5, "edge_threshold": 0.07, "markov_time": 1.5, "score": 0.61},
        {"num_clusters": 9, "edge_threshold": 0.03, "markov_time": 0.4, "score": 0.37},
    ],
    "tried_foreground_iou": {"0.3": 40.0, "0.42": 45.5},
    "communities": [
        {"seed": 3, "num_communities": 3, "object_of_part": [2, 1, 1, 2, 0, 3]},
        {"seed": 5, "num_communities": 2, "object_of_part": [0, 1, 1, 2, 0, 0]},
    ],
    "foreground": {
        "share_of_patches": 0.3125,
        "clusters": 77,
        "images_without_foreground": [f"empty<{i}>" for i in range(7)],
        "images_in_doubt": 3,
        "mean_confidence": 0.5,
        "jaccard": 45.6,
        "jaccard_of_attention": 34.5,
    },
    "boundary": {"f_measure": 56.7, "precision": 67.8, "recall": 48.7},
    "points": 4321,
}


@pytest.fixture
def dataset(tmp_path: Path) -> SegmentationDataset:
    return write_folder(tmp_path / "data", 4, masks=False)


@pytest.fixture
def found(result: Result) -> Result:
    return replace(
        result,
        protocol="unsupervised",
        details=DETAILS,
        objects=OBJECTS,
        image_names=tuple(f"im<{i}>" for i in range(4)),
        image_indices=np.arange(4),
    )


Show = Callable[[Result], Page]


@pytest.fixture
def show(dataset: SegmentationDataset) -> Show:
    def render(result: Result) -> Page:
        section = objects_section(result, dataset)
        return Page(render_page(result, [], sections=[section]))

    return render


def graph_of(result: Result, dataset: SegmentationDataset) -> GraphView:
    return objects_section(result, dataset).data["graph"]


def decoded(uri: str | None) -> np.ndarray:
    assert uri is not None
    return np.asarray(Image.open(BytesIO(base64.b64decode(uri.split(",")[1])))).astype(int)


def test_every_edge_is_drawn_between_its_parts(found: Result, dataset: SegmentationDataset):
    graph = graph_of(found, dataset)
    assert [(edge.title, edge.width) for edge in graph.edges] == [
        ("part 1 and part 5: 0.062", 1.28),
        ("background and part 3: 0.125", 1.81),
        ("part 2 and part 3: 0.250", 2.88),
        ("part 1 and part 2: 0.500", 5.0),
    ], "the lightest first; what joins a part with itself is no line"
    places = {node.part: (node.x, node.y) for node in graph.nodes}
    ends = [((edge.x1, edge.y1), (edge.x2, edge.y2)) for edge in graph.edges]
    pairs = [(1, 5), (0, 3), (2, 3), (1, 2)]
    assert ends == [(places[i], places[j]) for i, j in pairs]
    assert all(18 < x < graph.width - 18 and 18 < y < graph.height - 18 for x, y in places.values())


def test_nodes_are_the_parts_with_an_edge(found: Result, dataset: SegmentationDataset):
    graph = graph_of(found, dataset)
    colours = cluster_palette(4)
    assert [(node.part, node.object) for node in graph.nodes] == [
        (0, 2),
        (1, 1),
        (2, 1),
        (3, 2),
        (5, 3),
    ]
    assert [node.colour for node in graph.nodes] == [
        css_colour(colours[i]) for i in (2, 1, 1, 2, 3)
    ]
    assert (graph.num_parts, graph.num_unconnected) == (5, 1)
    assert graph.nodes[1].title == (
        "part 1, object 1 (<cat>): 14.1 % of all patches, in 2 images"  # 9 of 64
    )
    assert graph.nodes[4].title == "part 5, object 3: 12.5 % of all patches, in 1 image"


def test_thumbnails_show_the_part_where_it_is_largest(found: Result, dataset: SegmentationDataset):
    background, one, two, three, five = graph_of(found, dataset).nodes
    assert background.thumbnail is None
    for node, colour, part in ((one, 0, "upper"), (two, 2, "lower"), (three, 3, "lower")):
        picture = decoded(node.thumbnail)
        own, other = (picture[:20], picture[-20:])[:: 1 if part == "upper" else -1]
        assert np.abs(own.mean(axis=(0, 1)) - COLOURS[colour]).max() < 12
        assert np.ptp(other.mean(axis=(0, 1))) < 90, "faded: grey for the most part"
    right = decoded(five.thumbnail)[:20, -20:].mean(axis=(0, 1))
    assert np.abs(right - COLOURS[3]).max() < 12


def test_section_says_what_the_result_holds(found: Result, show: Show):
    page = show(found)
    assert "1 of 5 parts" in page.text
    assert "1 <cat> 2 parts 2 <cat> 1 part 3 1 part" in page.text, "legend: 3 matched no class"
    own = "foreground, communities by stability this page 31.5 ± 0.2 32.0 ± 0.5 31.5 ± 0.2 60.0"
    assert own in page.text
    assert "upper bound: parts many to one 51.0 ± 0.2 52.0 ± 0.5" in page.text
    assert "−1.5 points of mIoU over all classes, +1.0 over those present" in page.text
    assert "Objects of each seed 3, 2" in page.text
    assert "2 best" in page.text
    assert "Parts Edge threshold Markov time Score 5 0.07 1.5 0.61 9 0.03 0.4 0.37" in page.text
    assert len(page.all("line")) == 4
    assert [tag["class"] for tag in page.all("circle")] == ["background"]
    assert len(page.all("image")) == 4


def test_page_stays_self_contained_and_in_order(found: Result, show: Show):
    page = show(found)
    assert not {"script", "link"} & {tag for tag, _ in page.tags}
    for image in page.all("image"):
        assert str(image["href"]).startswith("data:image/jpeg;base64,")
    order = [section["id"] for section in page.all("section")]
    assert order.index("objects") < order.index("classes")
    assert len(order) == len(set(order))


def test_details_of_the_section_are_not_listed_again(found: Result, show: Show):
    run = show(found).text.split("The run")[-1]
    for key in ("comparison", "chosen", "tried", "communities", "foreground", "boundary"):
        assert not re.search(rf"\b{key}\.", run), key
    assert "points 4321" in run
    without = Page(render_page(replace(found, objects=None), [])).text
    assert "chosen.edge_threshold 0.07" in without.split("The run")[-1]


def test_without_edges_there_is_no_drawing(found: Result, show: Show):
    alone = replace(OBJECTS, edges=(), object_of_part=np.zeros(6, dtype=np.int64))
    page = show(replace(found, objects=alone))
    assert not page.all("line")
    assert not page.all("image")


def test_one_community(found: Result, dataset: SegmentationDataset):
    one = replace(
        OBJECTS, edges=((1, 2, 0.5), (2, 3, 0.5)), object_of_part=np.array([0, 1, 1, 1, 0, 0])
    )
    graph = graph_of(replace(found, objects=one), dataset)
    assert [(item.id, item.class_name, item.num_parts) for item in graph.objects] == [
        (1, "<cat>", 3)
    ]
    assert len({node.colour for node in graph.nodes}) == 1
    assert graph.num_unconnected == 2


def test_without_ground_truth(unlabelled: Result, found: Result, show: Show):
    details = {**DETAILS, "comparison": []}
    del details["boundary"]
    details["foreground"] = {
        key: value for key, value in DETAILS["foreground"].items() if "jaccard" not in key
    }
    bare = replace(
        unlabelled,
        details=details,
        objects=OBJECTS,
        image_names=found.image_names,
        image_indices=found.image_indices,
    )
    text = show(bare).text.split("Parts and objects")[-1].split("What these figures mean")[0]
    assert "1 2 parts 2 1 part 3 1 part" in text, "objects without names"
    for absent in ("Segmentation of the same images", "Jaccard", "Boundary", "mIoU", "<cat>"):
        assert absent not in text, absent


def test_object_outside_of_the_scored_images_has_no_class(
    found: Result, dataset: SegmentationDataset
):
    more = replace(OBJECTS, object_of_part=np.array([2, 1, 1, 2, 0, 4]))
    graph = graph_of(replace(found, objects=more), dataset)
    assert graph.objects[-1].id == 4
    assert graph.objects[-1].class_name is None


def test_result_of_another_protocol_is_refused(result: Result, dataset: SegmentationDataset):
    with pytest.raises(ValueError, match="protocol=unsupervised"):
        objects_section(result, dataset)


def test_one_seed_has_no_spread(found: Result):
    rows = [{**row, "num_seeds": 1} for row in COMPARISON]
    lone = replace(found, details={**found.details, "comparison": rows})
    assert comparison(lone)[2].miou == "31.5"
    assert [entry.own for entry in comparison(lone)] == [False, False, True, False, False]


def test_cost_needs_both_rows():
    assert cost_of_no_labels(COMPARISON[:3]) is None
    assert cost_of_no_labels(COMPARISON[3:]) is None
    refined = [{**row, "refinement": "bilateral_grid", "miou": 0.0} for row in COMPARISON]
    assert cost_of_no_labels(refined) is None
    assert cost_of_no_labels(COMPARISON + refined) == cost_of_no_labels(COMPARISON)


@settings(max_examples=20)
@given(st.lists(st.text(), min_size=5, max_size=5), st.permutations(range(5)))
def test_a_row_is_found_by_its_kind_whatever_its_name(names: list[str], order: list[int]):
    rows = [{**row, "segmentation": name} for row, name in zip(COMPARISON, names, strict=True)]
    assert cost_of_no_labels([rows[i] for i in order]) == cost_of_no_labels(COMPARISON)


def test_foreground_facts(found: Result):
    facts = dict(foreground_facts(found))
    assert facts["Jaccard index of the foreground"] == "45.6 %"
    assert facts["Jaccard index of the attention alone"] == "34.5 %"
    assert facts["Images without foreground"] == (
        "7: empty<0>, empty<1>, empty<2>, empty<3>, empty<4>, …"
    )
    assert facts["Images in doubt"] == "3 of 4"
    assert facts["Share of all patches"] == "31.2 %"
    assert facts["Boundary F-measure"] == "56.7 % (precision 67.8, recall 48.7)"
    assert facts["Foreground clusters"].startswith("77, ")
    assert "0.42" in facts["Foreground clusters"]
    assert "IoU 45.5 % on training images" in facts["Foreground clusters"]


def test_heads_and_foreground_are_shown_in_the_order_of_the_images(
    found: Result, dataset: SegmentationDataset
):
    views = objects_section(found, dataset).data["attention"]
    assert [view.name for view in views] == ["im<0>", "im<2>"]
    assert [panel.caption for panel in views[1].panels] == [
        "Image",
        "Head 1",
        "Head 2",
        "Foreground",
    ]
    assert views[1].panels[-1].alt == "Foreground of im<2>: 50 % of the patches"
    assert views[0].size == (32, 32)


def test_heat_by_hand():
    photo = np.full((2, 4, 3), 100, dtype=np.uint8)
    hot = heated(photo, np.array([[0.0, 8.0]]))
    assert hot[:, :2].tolist() == [[[80, 80, 80]] * 2] * 2
    assert hot[:, 2:].tolist() == [[[255, 150, 30]] * 2] * 2
    even = heated(photo, np.ones((1, 2)))  # a quarter of full heat
    assert even[0, 0].tolist() == [123, 97, 67]


def test_faded_by_hand():
    photo = np.full((2, 2, 3), (90, 30, 60), dtype=np.uint8)
    shown = faded(photo, np.array([[True], [False]]))
    assert shown[0].tolist() == [[90, 30, 60]] * 2
    assert shown[1].tolist() == [[123, 123, 123]] * 2  # 0.3 * 60 + 0.7 * 150


def nearest(places: np.ndarray) -> float:
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    return float(distances.min())


@settings(max_examples=15)
@given(st.integers(2, 150), st.integers(0, 99), st.sampled_from([0.5, 2.0, 8.0]))
def test_nodes_never_cover_each_other(num: int, seed: int, degree: float):
    rng = np.random.default_rng(seed)
    chosen = np.argwhere(np.triu(rng.random((num, num)) < degree / num, 1))
    edges = [(int(i), int(j), float(rng.random() + 0.01)) for i, j in chosen] or [(0, 1, 1.0)]
    parts = sorted({part for i, j, _ in edges for part in (i, j)})
    groups = rng.integers(0, 5, len(parts))
    places = spread_out(edges, parts, groups)
    assert nearest(places) > 40, "thumbnails have 36 pixels and a ring of 4"
    assert np.ptp(places, axis=0).max() < 150 * len(parts) ** 0.5 + 100, "no node is far off"
    np.testing.assert_array_equal(places, spread_out(edges, parts, groups))


def test_parts_of_one_clique_lie_together():
    edges = [(i, j, 1.0) for c in (0, 8, 16) for i in range(c, c + 8) for j in range(i + 1, c + 8)]
    edges += [(7, 8, 0.05), (15, 16, 0.05)]
    places = spread_out(edges, range(24), np.zeros(24))
    centres = places.reshape(3, 8, 2).mean(axis=1)
    closest = np.linalg.norm(places[:, None] - centres, axis=-1).argmin(axis=1)
    assert closest.tolist() == [0] * 8 + [1] * 8 + [2] * 8
