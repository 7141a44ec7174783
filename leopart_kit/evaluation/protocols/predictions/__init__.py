"""Scores of predictions that any method made, by the code that scores everything else."""

from leopart_kit.evaluation.protocols.predictions.protocol import Predictions

PART = Predictions
