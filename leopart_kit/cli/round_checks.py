"""Checks of all rounds of a training, before the first one trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from omegaconf import DictConfig

from leopart_kit.cli.cells import choose_benchmarks, merge_settings
from leopart_kit.cli.commands import read_command
from leopart_kit.cli.config import USER_ERRORS, describe_error
from leopart_kit.cli.run_parts import RunParts, check_learns, fabric_of, read_method
from leopart_kit.cli.train_settings import TrainCommand
from leopart_kit.cli.trained_encoder import build_student
from leopart_kit.cli.training_report import TrainingReport
from leopart_kit.data import SegmentationDataset
from leopart_kit.training import find_loggers, processes_of
from leopart_kit.training.run_record import has_begun


def check_rounds(rounds: Sequence[tuple[DictConfig, Path]]) -> None:
    """Build all that a round is made of, but for what needs the network of the one before.

    That network has the shape of the first one, which stands for it here.

    Args:
        rounds: configuration and folder of each; only the last is measured.

    Raises:
        ValueError: a setting of any round that does not fit, or a file that is missing.
    """
    start = rounds[0][0].encoder
    for number, (config, folder) in enumerate(rounds, 1):
        own = merge_settings(config.copy(), {"encoder": start})
        try:
            _check_round(own, folder, measured=number == len(rounds))
        except USER_ERRORS as error:
            where = f"round {number} of {len(rounds)}"
            raise ValueError(f"{where}: {describe_error(error)}") from error


def _check_round(config: DictConfig, folder: Path, measured: bool) -> None:
    find_loggers(read_command(TrainCommand, config).logger)
    fabric, asked = fabric_of(config), read_method(config)
    run = RunParts.of(config, build_student(config), fabric, folder)
    if measured:
        choose_benchmarks(config.reproduce.benchmarks)
        TrainingReport(config, run.dataset, folder, fabric.device, processes_of(fabric))
    # What is fitted to features waits for them; a method that resumes asks for the least.
    parts = replace(run.parts(), resumes=True, features=_not_yet)
    try:
        check_learns(asked.build(parts).method, run.encoder, run.settings)
    except _NotYet:
        return


class _NotYet(Exception):
    """The network before a round, whose features a method asks for, is not trained yet."""


def _not_yet(dataset: SegmentationDataset, resolution: tuple[int, int]) -> NoReturn:
    raise _NotYet


def check_number(folder: Path, number: int) -> None:
    """Make sure that a folder holds no training in another number of rounds.

    Raises:
        ValueError: it does.
    """
    there = 1 + sum(path.name.isdecimal() for path in (folder / "rounds").glob("*"))
    if there > number or (there < number and has_begun(folder)):
        raise ValueError(
            f"rounds: {folder} holds a training in {there}, and {number} would be another one; "
            "give the same number, or choose another output_dir"
        )
