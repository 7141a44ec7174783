"""Contract of a method with the training loop: loss, parameter groups, hooks around a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor, nn

from leopart_kit.backbones import Encoder


class StepOutput(NamedTuple):
    """Result of a forward pass: the scalar to minimise, and detached scalars worth logging.

    With several processes the mean of `loss` over the processes must be the loss of the global
    batch, since gradients are averaged. The keys of `logs` are the same in every process.
    """

    loss: Tensor
    logs: Mapping[str, Tensor | float]


@dataclass(frozen=True)
class ParameterGroup:
    """Trainable parameters that share a peak learning rate; `decayed` turns weight decay on."""

    name: str
    parameters: list[nn.Parameter]
    learning_rate: float
    decayed: bool


class Method(nn.Module):
    """A self-supervised objective the loop can train.

    `encoder` is the backbone that the training is for: what is evaluated, and saved at the end.
    With an EMA teacher it is whichever of the two networks the method's authors evaluate. It may
    be an attribute or a property.

    All state that a resumed run needs lives in `state_dict()`: parameters, buffers (a feature
    queue), and, through `get_extra_state`, anything else (the state of a `torch.Generator`).
    Buffers and extra state may differ between processes; each process gets its own back. Where the
    number of processes has changed, a module with a method `divided_anew` takes its share of what
    all had (see `FeatureQueue`), and other state is that of one of the processes before.

    A method that labels a whole set is built with an `ImagesInOrder` and takes its passes over it
    in `before_step`; see there why a resumed run stays the same.
    """

    encoder: Encoder

    def forward(self, batch: Any, step: int) -> StepOutput:
        """Loss of one batch at optimiser step `step` (from 0), under the run's precision.

        With gradient accumulation it is called several times with the same `step`. Over several
        processes every trainable parameter must take part in each call.
        """
        raise NotImplementedError

    def parameter_groups(self) -> list[ParameterGroup]:
        """Every parameter that requires a gradient, each in exactly one group."""
        raise NotImplementedError

    def before_step(self, step: int) -> None:
        """Runs without gradients before the first forward of a step: normalise prototypes, say."""

    def started_anew(self, step: int) -> Sequence[nn.Parameter]:
        """Parameters whose training starts at this step: the optimiser resets their moments."""
        return ()

    def after_step(self, step: int, momentum: float) -> None:
        """Runs without gradients after the optimiser: an EMA teacher moves by `1 - momentum`."""

    def assignments(self) -> Tensor | None:
        """int64 `[N]`: the cluster of every training image, of a method that clusters them all."""
        return None


def split_by_decay(name: str, module: nn.Module, learning_rate: float) -> list[ParameterGroup]:
    """Two groups of a module's trainable parameters: decayed, and not (biases, norms, scales).

    A parameter of at most one dimension is not decayed, as is usual for vision transformers
    (DINO, Caron et al. 2021; Leopart, Ziegler & Asano 2022). Empty groups are left out.
    """
    trainable = [p for p in module.parameters() if p.requires_grad]
    groups = (
        ParameterGroup(name, [p for p in trainable if p.ndim > 1], learning_rate, decayed=True),
        ParameterGroup(
            f"{name}_no_decay", [p for p in trainable if p.ndim <= 1], learning_rate, decayed=False
        ),
    )
    return [group for group in groups if group.parameters]
