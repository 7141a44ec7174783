"""In-context segmentation: nothing is trained, each patch takes the labels of its neighbours.

Patches of labelled images are remembered; a new patch takes the labels of the nearest ones
(Hummingbird: Balažević et al., "Towards In-Context Scene Understanding", NeurIPS 2023). Published
figures of open encoders come from vpariza/open-hummingbird-eval.
"""

from __future__ import annotations

from typing import ClassVar

from leopart_kit.evaluation.protocols.in_context.labels import classes_of_soft_labels
from leopart_kit.evaluation.protocols.in_context.settings import InContextSettings
from leopart_kit.evaluation.protocols.in_context.stages import InContextStages
from leopart_kit.evaluation.result import LabelsUsed
from leopart_kit.evaluation.scores.predicted_maps import PredictedMaps
from leopart_kit.evaluation.task import Clock, Measurement, Task
from leopart_kit.settings import settings


@settings
class InContext(InContextSettings):
    """Patches take the labels of their nearest neighbours in a memory."""

    name: ClassVar[str] = "in_context"

    def measure(self, task: Task) -> Measurement:
        """Fill a memory from `task.train` and label the images of the task by it.

        Raises:
            ValueError: no training images with masks or too few of them, a memory larger than
                their patches or smaller than `neighbours`, or `index` is `faiss` and there is none.
        """
        clock = Clock()
        stages = InContextStages(self, task)
        clock.lap("features")
        memories = {draw: stages.memory(draw) for draw in self.draws()}
        clock.lap("memory")
        labels = {draw: stages.search(memory, draw) for draw, memory in memories.items()}
        clock.lap("search")
        maps = PredictedMaps(
            task,
            len(stages.store),
            self.score_resolution,
            lambda row: stages.soft_labels(labels, row),
            classes_of_soft_labels,
        )
        scored = maps.score(
            stages.store.indices,
            self.seeds,
            self.resolution,
            self.score_resolution,
            draw=self.draw,
        )
        clock.lap("scoring")
        return Measurement(
            indices=stages.store.indices,
            labels_used=LabelsUsed(fit=True, select=False, match=False),
            timing_seconds=clock.seconds,
            scored=scored,
            details=stages.details(memories, scored, clock.seconds["search"]),
            broken=stages.store.broken,
            **maps.kept(stages.train.class_names),
        )
