"""In-context segmentation: nothing is trained, each patch takes the labels of its neighbours.

Hummingbird (Balažević et al., "Towards In-Context Scene Understanding", NeurIPS 2023): patches of
labelled images are remembered, and the nearest ones to a new patch say what it shows. Published
figures of open encoders come from vpariza/open-hummingbird-eval.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from leopart_kit.evaluation.in_context_settings import InContextSettings
from leopart_kit.evaluation.in_context_stages import InContextStages
from leopart_kit.evaluation.result import LabelsUsed
from leopart_kit.evaluation.scoring import Scored, score_classes
from leopart_kit.evaluation.soft_label_maps import SoftLabelMaps
from leopart_kit.evaluation.task import Clock, Measurement, Task


@dataclass(frozen=True)
class InContext(InContextSettings):
    """The protocol; see `InContextSettings` for its numbers."""

    name: str = field(default="in_context", init=False)

    def measure(self, task: Task) -> Measurement:
        """Fill a memory from `task.train` and label the images of the task by it.

        Raises:
            ValueError: no training images with masks or too few of them, a memory larger than
                their patches or smaller than `neighbours`, a resolution that is not whole patches,
                or `index` is `faiss` and there is none.
        """
        clock, run, dataset = Clock(), task.run, task.dataset
        stages = InContextStages(self, task)
        clock.lap("features")
        memories = {seed: stages.memory(seed) for seed in self.seeds}
        clock.lap("memory")
        labels = {seed: stages.search(memories[seed], seed) for seed in self.seeds}
        clock.lap("search")
        maps = SoftLabelMaps(labels, stages.store.grid, self.score_resolution, task)
        scored = Scored()
        if dataset.num_classes:
            scored = score_classes(
                dataset,
                stages.store.indices,
                maps,
                self.seeds,
                resolution=self.resolution,
                score_resolution=self.score_resolution,
                track=run.track,
                processes=run.processes,
            )
        else:
            maps.fill()
        clock.lap("scoring")
        return Measurement(
            indices=stages.store.indices,
            labels_used=LabelsUsed(fit=True, select=False, match=False),
            timing_seconds=clock.seconds,
            scored=scored,
            details=stages.details(memories, scored, clock.seconds["search"]),
            broken=stages.store.broken,
            # Without masks nobody named the classes here: they are shown as clusters are.
            class_maps=maps.class_maps if dataset.num_classes else None,
            cluster_maps=None if dataset.num_classes else maps.class_maps,
        )
