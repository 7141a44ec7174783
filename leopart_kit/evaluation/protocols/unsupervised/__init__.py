"""Fully unsupervised segmentation: foreground, parts of it, and communities of parts as objects."""

from leopart_kit.evaluation.protocols.unsupervised.protocol import Unsupervised

PART = Unsupervised
