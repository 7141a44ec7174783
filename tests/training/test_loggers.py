"""Every logger holds the figures of `metrics.jsonl`, also of a run that was broken off."""

from __future__ import annotations

import csv
import math
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leopart_kit.training import find_loggers
from leopart_kit.training.metrics_log import MetricsLog, read_metrics

ABOUT = {"method.name": "leopart", "batch_size": 2}
NAMES = ["loss", "evaluation/miou", "learning rate, head"]
Rows = list[tuple[int, dict[str, float]]]


def read_csv(folder: Path) -> Rows:
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
    return [(int(row.pop("step")), row) for row in rows]


def read_events(folder: Path) -> Rows:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    found: dict[int, dict[str, float]] = {}
    for name in events.Tags()["scalars"]:
        for event in events.Scalars(name):
            found.setdefault(event.step, {})[name] = event.value
    return sorted(found.items())


def records_of(file: Path) -> list[bytes]:
    """The records of a log of LevelDB, which W&B writes after 7 bytes of its own."""
    data, place, records, part = file.read_bytes(), 7, [], b""
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        if left < 7:  # no header fits the end of a block
            place += left
            continue
        length, kind = struct.unpack("<HB", data[place + 4 : place + 7])
        part += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            records.append(part)
            part = b""
    return records


def read_wandb(folder: Path) -> Rows:
    from wandb.proto import wandb_internal_pb2  # pyright: ignore[reportMissingImports]

    rows = []
    for file in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        for data in records_of(file):
            record: Any = getattr(wandb_internal_pb2, "Record")()  # noqa: B009
            record.ParseFromString(data)
            row = {
                item.key or item.nested_key[0]: float(item.value_json.strip('"'))
                for item in record.history.item
            }
            if "step" in row:
                rows.append((int(row["step"]), {n: row[n] for n in NAMES if n in row}))
    return rows


WRITTEN: Rows = [
    (1, {"loss": 0.5}),
    (2, {"loss": 0.25, "evaluation/miou": 12.5}),
    (3, {"loss": math.inf}),
    (4, {"learning rate, head": 1e-5, "loss": 0.125}),
]


@pytest.fixture(params=["csv", "tensorboard", "wandb"])
def logger(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "wandb":
        pytest.importorskip("wandb", reason="the extra wandb is not installed")
        monkeypatch.setenv("WANDB_MODE", "offline")
        monkeypatch.setenv("WANDB_SILENT", "true")
    return request.param


READ: dict[str, Callable[[Path], Rows]] = {
    "csv": read_csv,
    "tensorboard": read_events,
    "wandb": read_wandb,
}


def test_a_logger_holds_what_was_written(tmp_path: Path, logger: str):
    with MetricsLog(tmp_path, 0, find_loggers(logger), ABOUT) as log:
        for step, values in WRITTEN:
            log.write(step, values)
    found = READ[logger](tmp_path)
    assert [step for step, _ in found] == [step for step, _ in WRITTEN]
    for (_, values), (_, expected) in zip(found, WRITTEN, strict=True):
        assert values == pytest.approx(expected)
    assert len(read_metrics(tmp_path / "metrics.jsonl")) == len(WRITTEN)


STEPS = st.lists(st.dictionaries(st.sampled_from(NAMES), st.floats(-9, 9), min_size=1), max_size=6)


@given(STEPS, st.integers(0, 6), st.integers(0, 40), STEPS)
@settings(max_examples=40, deadline=None)
def test_a_table_goes_on_where_the_run_does(
    tmp_path_factory: pytest.TempPathFactory,
    before: list[dict[str, float]],
    resumed_step: int,
    cut: int,
    after: list[dict[str, float]],
):
    folder = tmp_path_factory.mktemp("run")
    with MetricsLog(folder, 0, find_loggers("csv")) as log:
        for step, values in enumerate(before, 1):
            log.write(step, values)
    file = folder / "metrics.csv"
    whole = read_csv(folder)
    kept = [row for row in whole if row[0] <= resumed_step]
    with file.open("a") as table:  # of a step beyond, killed in the middle of the row
        table.write("99,1.25,3.5,0.125"[: cut % 18])
    with MetricsLog(folder, resumed_step, find_loggers("csv")) as log:
        for step, values in enumerate(after, resumed_step + 1):
            log.write(step, values)
    expected = [*kept, *enumerate(after, resumed_step + 1)]
    assert [row[0] for row in read_csv(folder)] == [row[0] for row in expected]
    for (_, values), (_, wanted) in zip(read_csv(folder), expected, strict=True):
        assert values == wanted


def test_a_class_of_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "my_logger.py").write_text(
        "class Lines:\n"
        "    def __init__(self, output_dir, resumed_step, about):\n"
        "        self.place, self.lines = output_dir / 'lines', [str(about)]\n"
        "    def write(self, step, values):\n"
        "        self.lines.append(f'{step} {values}')\n"
        "    def close(self, failed):\n"
        "        self.place.write_text('\\n'.join([*self.lines, str(failed)]))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    def broken_off() -> None:
        with MetricsLog(tmp_path, 0, find_loggers(["my_logger:Lines", "csv"]), ABOUT) as log:
            log.write(1, {"loss": 1.0})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken_off()
    lines = (tmp_path / "lines").read_text().splitlines()
    assert lines == [str(ABOUT), "1 {'loss': 1.0}", "True"]
    assert len(read_csv(tmp_path)) == 1


@pytest.mark.parametrize("name", ["tensorboards", "nowhere:Logger", "math:nothing"])
def test_what_is_no_logger_is_told(name: str):
    with pytest.raises(ValueError, match=name.partition(":")[0]):
        find_loggers(name)


def test_a_package_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.delitem(sys.modules, "leopart_kit.training.loggers.wandb", raising=False)
    with pytest.raises(ValueError, match=r"leopart-kit\[wandb\]"):
        find_loggers("wandb")
