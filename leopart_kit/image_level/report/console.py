"""Image-level figures in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from leopart_kit.image_level.evaluation import ImageLevelResult
from leopart_kit.image_level.report import wording as image_level_wording
from leopart_kit.report import wording


def print_image_level(result: ImageLevelResult, console: Console) -> None:
    """Print every score, what was left out, which labels were used, and the time."""
    data = result.dataset
    console.print()
    console.print(
        Text.assemble(
            (result.encoder.name, "bold"),
            f" on {data.name} {data.test_split} · {data.num_test:,} images of "
            f"{data.num_classes} classes, learned from {data.num_train:,} of {data.train_split}, "
            f"at {data.resolution} px",
        )
    )
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("percent")
    table.add_column("", justify="right")
    for score in result.scores:
        title = image_level_wording.title(score)
        style = "bold" if score.metric == "accuracy" else "dim"
        table.add_row(Text(title), Text(image_level_wording.figure(score)), style=style)
    seeds = image_level_wording.num_seeds(result)
    spread = f"± is the standard deviation over {seeds} seeds; " if seeds > 1 else ""
    console.print(Padding(table, (1, 0, 0, 0)))
    chance = f"{spread}naming the most frequent class: {wording.rate(data.chance)}"
    console.print(Padding(Text(chance, style="dim"), (0, 0, 1, 0)))
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    if data.broken:
        names = ", ".join(item["name"] for item in data.broken[:3])
        more = f" and {len(data.broken) - 3} more" if len(data.broken) > 3 else ""
        facts.add_row("left out", Text(f"{len(data.broken)} broken: {names}{more}"))
    for name, sentence in image_level_wording.labels_used(result):
        facts.add_row("labels", Text(f"{name}: {sentence}"))
    parts = ", ".join(f"{k} {wording.duration(v)}" for k, v in result.timing_seconds.items())
    facts.add_row("time", Text(f"{parts} · peak memory {result.peak_memory_mb:,.0f} MiB"))
    console.print(facts)
