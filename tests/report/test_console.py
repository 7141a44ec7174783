from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from leopart_kit.evaluation.result import ClassScore, Result
from leopart_kit.report.console import print_change, print_result
from tests.report.test_training_section import shifted


def printed(result: Result, width: int = 140) -> str:
    stream = io.StringIO()
    print_result(result, Console(width=width, file=stream))
    return stream.getvalue()


def row(text: str, start: str) -> list[str]:
    """The cells of the line that starts so; cells are at least two spaces apart."""
    line = next(line for line in text.splitlines() if line.startswith(start))
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_scores_at_both_resolutions(result: Result):
    text = printed(result)
    assert row(text, "100 × 100 pixels")[1:] == [
        "41.7 ± 0.7",
        "62.6 ± 0.8",
        "51.2 ± 0.4",
        "80.1 ± 0.9",
    ]
    below = text.split("100 × 100 pixels")[1].splitlines()[1]
    assert below.rstrip().endswith("76.8 – 84.3")
    assert row(text, "full mask size")[1].startswith("39.7 ± 0.7")
    assert "over 2 seeds" in text


def test_classes_best_first_with_both_resolutions(result: Result):
    text = printed(result)
    first, second = row(text, "sky & sea"), row(text, "<cat>")
    assert first[1] == "71.4 ± 1.5"
    assert first[2] == "━" * 10
    assert first[3:] == ["66.6 – 75.5", "69.4"]
    assert second[1] == "53.8 ± 2.5"
    assert text.index("sky & sea") < text.index("<cat>")


def test_other_settings_than_those_of_a_benchmark_stand_above_its_rows(result: Result):
    assert "within 0.75 points" in " ".join(printed(result).split())
    assert result.benchmark is not None
    changed = replace(result.benchmark, changed={"dataset.limit": (None, 12)})
    text = " ".join(printed(replace(result, benchmark=changed)).split())
    assert text.index("dataset.limit = 12, published with none") < text.index("Method A")
    assert "0.75" not in text


def test_published_figures_beside_ours(result: Result):
    text = printed(result)
    assert row(text, "Method A") == ["Method A", "ViT-S/16", "its <README>", "53.2", "–"]
    assert row(text, "Method B")[-2:] == ["61.0", "88.8"]
    assert "agree within 0.75 points" in " ".join(text.split())
    assert "Method A" not in printed(replace(result, benchmark=None))


def test_a_training_is_shown_before_and_after(result: Result):
    better = tuple(shifted(table, 5.25) for table in result.scores)
    stream = io.StringIO()
    console = Console(width=80, file=stream)
    print_change(result, replace(result, scores=better), console, "images of zoo val")
    text = stream.getvalue()
    assert "2 images of zoo val" in text
    headline, full = text.split("at 100 × 100 pixels")[1].split("at full mask size")
    assert row(headline, "mIoU")[:4] == ["mIoU", "41.7 ± 0.7", "47.0 ± 0.7", "+5.2"]
    assert row(full, "mIoU")[1:4] == ["39.7 ± 0.7", "45.0 ± 0.7", "+5.2"]
    assert "sky & sea" not in text
    print_change(replace(result, scores=()), replace(result, scores=()), console, "images")
    assert "no scores" in stream.getvalue()


def test_agreement_of_parts_is_printed(result: Result):
    one = {"mean": 31.26, "std": 0.5, "per_seed": [31.0, 31.5]}
    details = {"agreement": {"nmi_all": one, "ari_all": one, "nmi_foreground": one}}
    text = printed(replace(result, details=details))
    assert row(text, "NMI")[1] == "31.3 ± 0.5 over all pixels, 31.3 ± 0.5 over foreground pixels"
    assert row(text, "ARI")[1] == "31.3 ± 0.5 over all pixels"
    assert "NMI" not in printed(result)


def test_what_the_figures_stand_on(result: Result):
    text = printed(result)
    assert row(text, "classes")[1] == "1 of 3 never occur in the ground truth"
    assert row(text, "left out")[1] == "1 broken: third"
    assert row(text, "note")[1] == "masks are palette PNGs"
    assert row(text, "matching")[1].startswith("many_to_one_precision: ")
    assert row(text, "labels")[1].startswith("Ground truth was used to name the clusters, but not")
    assert "features 1 min 05 s, kmeans 2.2 s · peak memory 1,234 MiB" in text


def test_names_in_brackets_are_not_markup(result: Result):
    table = result.scores[0]
    odd = replace(table.per_class[0], name="[bold]grass[/]")
    text = printed(replace(result, scores=(replace(table, per_class=(odd,)),)))
    assert row(text, "[bold]grass[/]")[1] == "71.4 ± 1.5"


def test_of_many_classes_the_number_left_out_is_said(result: Result):
    many = tuple(ClassScore(c, f"class-{c:02d}", c, 0.0, (0.0, 99.0), 1) for c in range(60))
    text = printed(replace(result, scores=(replace(result.scores[0], per_class=many),)))
    assert sum(line.startswith("class-") for line in text.splitlines()) == 20
    assert "… 40 more in results.json" in text
    assert "class-59" in text
    assert "class-00" in text
    assert "class-30" not in text


def test_without_ground_truth(unlabelled: Result):
    text = printed(unlabelled)
    assert "IoU" not in text


def test_narrow_terminal_keeps_the_headline(result: Result):
    text = printed(result, width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert row(text, "100 × 100 pixels")[1:] == [
        "41.7 ± 0.7",
        "62.6 ± 0.8",
        "51.2 ± 0.4",
        "80.1 ± 0.9",
    ]
    assert row(text, "sky & sea")[-1] == "69.4"
