"""In-context segmentation: nothing is trained, each patch takes the labels of its neighbours."""

from leopart_kit.evaluation.protocols.in_context.protocol import InContext

PART = InContext
