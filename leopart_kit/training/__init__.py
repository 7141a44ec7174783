"""The training loop of every method: schedules, checkpoints, resuming, and the data stream."""

from leopart_kit.training.checkpoint import CheckpointWriteError, list_checkpoints
from leopart_kit.training.engine import build_fabric, processes_of
from leopart_kit.training.loader import TrainingLoader, default_num_workers
from leopart_kit.training.loggers import find_loggers
from leopart_kit.training.loop import TrainingSummary, train
from leopart_kit.training.metrics_log import read_metrics
from leopart_kit.training.parameter_groups import adamw
from leopart_kit.training.progress_bar import training_bar
from leopart_kit.training.randomness import seed_everything
from leopart_kit.training.run_record import check_folder, record_run, recorded_identity
from leopart_kit.training.sampler import steps_for_epochs
from leopart_kit.training.samples import SeededSamples
from leopart_kit.training.schedules import cosine_schedule
from leopart_kit.training.settings import TrainingSettings
from leopart_kit.training.stopping import NonFiniteLoss, TrainingInterrupted
from leopart_kit.training.whole_set import OrderedImages

__all__ = [
    "CheckpointWriteError",
    "NonFiniteLoss",
    "OrderedImages",
    "SeededSamples",
    "TrainingInterrupted",
    "TrainingLoader",
    "TrainingSettings",
    "TrainingSummary",
    "adamw",
    "build_fabric",
    "check_folder",
    "cosine_schedule",
    "default_num_workers",
    "find_loggers",
    "list_checkpoints",
    "processes_of",
    "read_metrics",
    "record_run",
    "recorded_identity",
    "seed_everything",
    "steps_for_epochs",
    "train",
    "training_bar",
]
