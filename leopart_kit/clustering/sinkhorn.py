"""Balanced soft assignments by Sinkhorn-Knopp, in the log domain."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


@torch.no_grad()
def sinkhorn_knopp(
    scores: Tensor,
    epsilon: float = 0.05,
    num_iterations: int = 3,
    process_group: dist.ProcessGroup | None = None,
) -> Tensor:
    """Assign samples to prototypes so that every prototype receives the same mass.

    >>> scores = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    >>> sinkhorn_knopp(scores).argmax(dim=1).tolist()
    [0, 0, 1, 1]

    Starts from `exp(scores / epsilon)` and alternately gives all columns the same sum and all rows
    the sum 1, ending with the rows. Everything happens on logarithms, so that any scores for which
    `scores / epsilon` is finite give finite assignments. The result carries no gradient.

    Args:
        scores: `[N, K]` similarities of N samples and K prototypes. Computed in float32, or in
            float64 if the scores are.
        epsilon: weight of the entropy; smaller means harder assignments.
        num_iterations: rounds of column and row normalisation. 0 switches the equal masses off
            and leaves a softmax over the prototypes.
        process_group: if given, the samples of all its processes are assigned together and every
            process gets its own rows of the result. N may differ between processes and may be 0.

    Returns:
        `[N, K]`, rows sum to 1.

    Raises:
        ValueError: if the scores are no matrix, `epsilon` is not positive or `num_iterations` is
            negative.

    Source: Cuturi, NeurIPS 2013; Caron et al. (SwAV), NeurIPS 2020, section 3.1; Ziegler and Asano
    (Leopart), CVPR 2022, section 3.1.
    """
    log_plan, _ = _balance(scores, epsilon, num_iterations, process_group)
    # The last row normalisation is a softmax, so that rows sum to 1 whatever was rounded before.
    return torch.softmax(log_plan, dim=1)


@torch.no_grad()
def sinkhorn_potentials(
    scores: Tensor,
    epsilon: float = 0.05,
    num_iterations: int = 3,
    process_group: dist.ProcessGroup | None = None,
) -> Tensor:
    """Offset of each prototype from balancing, so that further samples can be assigned alike.

    `softmax(scores / epsilon + potentials)` equals `sinkhorn_knopp(scores)` on the same samples,
    and assigns a new one as if it had been among them: the dual variables of the columns.

    Arguments and errors are those of `sinkhorn_knopp`.

    Returns:
        `[K]`.
    """
    return _balance(scores, epsilon, num_iterations, process_group)[1]


def _balance(
    scores: Tensor, epsilon: float, num_iterations: int, process_group: dist.ProcessGroup | None
) -> tuple[Tensor, Tensor]:
    """Logarithm of the plan before its last row normalisation, and the columns' share in it."""
    if scores.ndim != 2:
        raise ValueError(f"scores must be [samples, prototypes], got shape {list(scores.shape)}")
    if epsilon <= 0 or num_iterations < 0:
        raise ValueError(
            f"epsilon must be > 0 and num_iterations >= 0, got {epsilon} and {num_iterations}"
        )
    dtype = torch.float64 if scores.dtype == torch.float64 else torch.float32
    log_plan = scores.to(dtype) / epsilon
    buffer = torch.empty_like(log_plan)
    potentials = log_plan.new_zeros(scores.shape[1])
    for iteration in range(num_iterations):
        if iteration > 0:
            log_plan -= _logsumexp(log_plan, 1, buffer)
        column_mass = _over_processes(_logsumexp(log_plan, 0, buffer), process_group)
        log_plan -= column_mass
        potentials -= column_mass[0]
    return log_plan, potentials


def _logsumexp(values: Tensor, dim: int, buffer: Tensor) -> Tensor:
    """`torch.logsumexp(values, dim, keepdim=True)` without allocating another `[N, K]`."""
    if values.shape[dim] == 0:
        return torch.logsumexp(values, dim, keepdim=True)
    largest = values.amax(dim, keepdim=True)
    torch.sub(values, largest, out=buffer)
    return largest + buffer.exp_().sum(dim, keepdim=True).log_()


def _over_processes(log_mass: Tensor, group: dist.ProcessGroup | None) -> Tensor:
    """Log-sum-exp of `log_mass` over the processes of `group`, the same on each of them."""
    if group is None:
        return log_mass
    gathered = [torch.empty_like(log_mass) for _ in range(dist.get_world_size(group))]
    dist.all_gather(gathered, log_mass.contiguous(), group=group)
    return torch.logsumexp(torch.stack(gathered), dim=0)
