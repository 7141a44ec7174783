"""`leopart train`: train an encoder's patch tokens without labels, and show what it changed."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from leopart_kit.cli.config import run_command
from leopart_kit.cli.repeating import repeated_by, words_of_run
from leopart_kit.cli.rounds import run_rounds
from leopart_kit.cli.signals import requeue_if_asked
from leopart_kit.cli.train_settings import TrainCommand
from leopart_kit.training import NonFiniteLoss, TrainingInterrupted

PART = TrainCommand


def train_command(config: DictConfig, output_dir: Path) -> None:
    """Train, then write backbone.safetensors, the evaluations and report.html."""
    try:
        command = repeated_by("leopart train", "train", config)
        run_rounds(config, output_dir, words_of_run(), command)
    except TrainingInterrupted as stopped:
        requeue_if_asked(stopped.signal_name)
        raise


def main() -> None:
    """Entry point of `leopart train`."""
    run_command("train", train_command, expected=(NonFiniteLoss, TrainingInterrupted))
