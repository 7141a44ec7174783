"""A run that goes on with another number of processes: 2, then 1, then 3."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.identity import Identity
from leopart_kit.training.checkpoint import checkpoint_path, read_checkpoint_file
from leopart_kit.training.other_processes import check_goes_on
from leopart_kit.training.sampler import ResumableSampler
from tests.cli.launched import srun
from tests.training.numbers_of_processes import IMAGES_PER_STEP, QUEUE, STEPS, train_part
from tests.training.tiny_training import losses

PROGRAM = Path(__file__).with_name("numbers_of_processes.py")
PARTS = ((2, 4), (1, 8), (3, STEPS))
"""Processes, and the steps that are done when they stop."""
SEEDS = {"tiny": (20, 11), "leopart": (10, 4)}
"""Number of images, and the seed of their order."""


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one run of each kind, in three parts."""
    folder = tmp_path_factory.mktemp("runs")
    for count, until in PARTS:
        srun(PROGRAM, [str(folder), str(IMAGES_PER_STEP // count), str(until)], count, folder)
    return folder


def state(folder: Path, step: int) -> dict[str, Any]:
    return read_checkpoint_file(checkpoint_path(folder / "checkpoints", step))


@pytest.mark.parametrize("kind", SEEDS)
def test_the_images_of_every_step_are_those_of_an_unbroken_run(resumed: Path, kind: str):
    num_images, seed = SEEDS[kind]
    stream = islice(ResumableSampler(num_images, IMAGES_PER_STEP, seed), STEPS)
    wanted = [sorted(key.index for key in batch) for batch in stream]
    seen: list[list[int]] = []
    for count, until in PARTS:
        size = IMAGES_PER_STEP // count
        files = [resumed / kind / f"images-until{until}-{rank}" for rank in range(count)]
        read = [[int(line) for line in file.read_text().split()] for file in files]
        assert {len(one) for one in read} == {size * (until - len(seen))}
        seen += [
            sorted(index for one in read for index in one[size * step : size * (step + 1)])
            for step in range(until - len(seen))
        ]
    assert seen == wanted


def test_without_chance_the_curve_is_that_of_an_unbroken_run(resumed: Path, tmp_path: Path):
    """To rounding: 2, 1 and 3 processes add the same numbers in another order."""
    train_part("tiny", tmp_path, IMAGES_PER_STEP, STEPS)
    one, other = losses(tmp_path), losses(resumed / "tiny")
    assert list(one) == list(other) == list(range(1, STEPS + 1))
    assert list(other.values()) == pytest.approx(list(one.values()), rel=1e-4)
    for key, value in state(tmp_path, STEPS)["state_dict"].items():
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            own = state(resumed / "tiny", STEPS)["state_dict"][key]
            torch.testing.assert_close(own, value, rtol=1e-4, atol=1e-5)


def test_with_a_queue_the_curve_is_as_near_as_that_of_another_seed(resumed: Path, tmp_path: Path):
    """Only which patches are stored is drawn: so do two seeds of one unbroken run differ."""
    for seed in range(5):
        train_part("leopart", tmp_path / str(seed), IMAGES_PER_STEP, STEPS, seed)
    curves = torch.tensor([list(losses(tmp_path / str(seed)).values()) for seed in range(5)])
    spread = (curves[1:] - curves[0]).abs().max()
    assert 0 < spread < 0.1 * curves[0].min()
    found = torch.tensor(list(losses(resumed / "leopart").values()))
    assert (found - curves[0]).abs().max() <= 2 * spread


@pytest.mark.parametrize("part", [0, 1])
def test_the_queues_of_the_next_part_hold_what_all_held(resumed: Path, part: int):
    """But for the oldest, which its first step has replaced."""
    (count, until), (next_count, _) = PARTS[part : part + 2]
    shares = [queues(state(resumed / "leopart", step)) for step in range(until - 3, until + 2)]
    assert [len(one) for one in shares[-2]] == [QUEUE // count] * count
    assert [len(one) for one in shares[-1]] == [QUEUE // next_count] * next_count
    steps = [{tuple(row.tolist()) for share in one for row in share} for one in shares]
    assert {len(rows) for rows in steps[-2:]} == {QUEUE}, "none twice"
    a_step = 10 * IMAGES_PER_STEP
    gone = steps[-2] - steps[-1]
    assert len(gone) == a_step
    assert gone <= steps[0], "those of three steps before"


def queues(content: dict[str, Any]) -> list[torch.Tensor]:
    """Stored embeddings of the first view in each process."""
    parts = [content["state_dict"], *(one["state_dict"] for one in content["processes"][1:])]
    return [one["queue.features"][0, : int(one["queue.stored"][0])] for one in parts]


@given(
    before=st.integers(1, 5),
    count=st.integers(1, 5),
    batches=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    accumulated=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_another_number_of_images_a_step_is_refused_with_the_batch_size_to_set(
    before: int, count: int, batches: tuple[int, int], accumulated: tuple[int, int]
):
    saved, own = (
        Identity.of(batch_size=number * batch, trainer={"accumulate_steps": parts})
        for number, batch, parts in zip((before, count), batches, accumulated, strict=True)
    )
    content = {"identity": saved.values, "processes": [{}] * before}
    images = before * batches[0] * accumulated[0]
    same = images == count * batches[1] * accumulated[1]
    if same and (before != count or accumulated[0] == accumulated[1]):
        return check_goes_on(Path("step.pt"), content, own, count)
    with pytest.raises(ValueError, match=r"step\.pt") as refused:
        check_goes_on(Path("step.pt"), content, own, count)
    if before != count and images % (count * accumulated[1]) == 0:
        asked = f"batch_size={images // (count * accumulated[1])},"
        assert asked in str(refused.value)
        fitting = Identity({**own.values, "batch_size": images // accumulated[1]})
        check_goes_on(Path("step.pt"), content, fitting, count)
