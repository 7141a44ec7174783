from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from leopart_kit.clustering.sinkhorn import sinkhorn_knopp
from leopart_kit.losses import assignment_cross_entropy, leopart_loss, teacher_assignments
from tests.two_processes import run_in_processes

NUM_GLOBAL, NUM_VIEWS, NUM_PROTOTYPES, PATCH_SIZE = 2, 3, 5, 16
GRIDS = [(6, 6), (6, 6), (3, 3)]


def random_batch(batch: int, seed: int = 0) -> dict[str, Any]:
    """Arguments of `leopart_loss` for 2 views of 96 px and one of 48 px."""
    generator = torch.Generator().manual_seed(seed)

    def scores(*shape: int) -> Tensor:
        return torch.rand(*shape, NUM_PROTOTYPES, generator=generator) * 2 - 1

    def boxes(*shape: int) -> Tensor:
        corners = torch.rand(batch, *shape, 2, 2, generator=generator).sort(dim=-2).values
        return corners.flatten(-2)

    sizes = torch.tensor([PATCH_SIZE * h for h, _ in GRIDS])
    return {
        "teacher_scores": scores(NUM_GLOBAL, batch, *GRIDS[0]),
        "student_scores": [scores(batch, *grid) for grid in GRIDS],
        "overlap_in_global": boxes(NUM_GLOBAL, NUM_VIEWS) * sizes[0],
        "overlap_in_view": boxes(NUM_VIEWS, NUM_GLOBAL) * sizes[:, None, None],
        "patch_size": PATCH_SIZE,
        "roi_size": 3,
    }


def part_of(arguments: dict[str, Any], images: slice) -> dict[str, Any]:
    """The same arguments for some images of the batch only."""
    part = dict(arguments)
    part["teacher_scores"] = arguments["teacher_scores"][:, images]
    part["student_scores"] = [scores[images] for scores in arguments["student_scores"]]
    for name in ("overlap_in_global", "overlap_in_view"):
        part[name] = arguments[name][images]
    if "foreground" in arguments:
        part["foreground"] = arguments["foreground"][:, images]
    return part


def loss_and_gradients(arguments: dict[str, Any]) -> tuple[Tensor, list[Tensor]]:
    leaves = [scores.clone().requires_grad_() for scores in arguments["student_scores"]]
    arguments = arguments | {"student_scores": leaves}
    loss = leopart_loss(**arguments)
    loss.backward()
    return loss.detach(), [leaf.grad for leaf in leaves if leaf.grad is not None]


@pytest.mark.parametrize("mode", ["all", "fg"])
def test_loss_and_gradient_equal_the_released_code(golden, mode):
    arrays = {name: torch.from_numpy(a) for name, a in golden("spatial_loss").items()}
    in_global = arrays["student_global_scores"].requires_grad_()
    in_local = arrays["student_local_scores"].requires_grad_()
    loss = leopart_loss(
        arrays["teacher_scores"],
        [*in_global, *in_local],
        arrays["overlap_in_global"],
        arrays["overlap_in_view"],
        patch_size=int(arrays["patch_size"]),
        roi_size=int(arrays["roi_size"]),
        epsilon=float(arrays["epsilon"]),
        num_iterations=int(arrays["iterations"]),
        temperature=float(arrays["temperature"]),
        foreground=arrays["foreground"] if mode == "fg" else None,
    )
    loss.backward()
    assert loss.item() == pytest.approx(float(arrays[f"loss_{mode}"]), rel=1e-5)
    for name, leaf in [("global", in_global), ("local", in_local)]:
        expected = arrays[f"grad_{name}_{mode}"]
        scale = expected.abs().max().item()
        torch.testing.assert_close(leaf.grad, expected, rtol=1e-5, atol=1e-5 * scale)


def test_a_student_that_cannot_tell_prototypes_apart_loses_ln_k():
    arguments = random_batch(2)
    arguments["student_scores"] = [torch.zeros_like(s) for s in arguments["student_scores"]]
    assert leopart_loss(**arguments).item() == pytest.approx(math.log(NUM_PROTOTYPES), rel=1e-5)


def test_two_patches_by_hand():
    # One global and one local view, both the whole image of 1 x 2 patches, aligned to single cells.
    assignments = torch.tensor([[1.0, 0.0], [0.5, 0.5]]).view(1, 1, 1, 2, 2)
    student = torch.tensor([[0.2, 0.0], [0.4, 0.2]]).view(1, 1, 2, 2)
    box = torch.tensor([0.0, 0.0, 2.0, 1.0]).expand(1, 1, 2, 4)
    loss = assignment_cross_entropy(
        assignments, [torch.zeros_like(student), student], box, box.transpose(1, 2), 1, 1, 0.1
    )
    # Means over the box: assignment (0.75, 0.25), scores (0.3, 0.1), logits (3, 1).
    log_total = math.log(math.exp(3) + math.exp(1))
    assert loss.item() == pytest.approx(0.75 * (log_total - 3) + 0.25 * (log_total - 1), rel=1e-6)


def test_queue_takes_part_in_the_assignment_and_is_cut_off():
    teacher = random_batch(2)["teacher_scores"]
    queue = torch.rand(NUM_GLOBAL, 9, NUM_PROTOTYPES)
    assignments = teacher_assignments(teacher, queue_scores=queue)
    for g in range(NUM_GLOBAL):
        together = sinkhorn_knopp(torch.cat([queue[g], teacher[g].flatten(0, 2)]))
        torch.testing.assert_close(assignments[g].flatten(0, 2), together[9:])
    assert not torch.allclose(assignments, teacher_assignments(teacher))


def test_a_pair_without_foreground_adds_nothing_but_counts():
    arguments = random_batch(2)
    everywhere = torch.ones(arguments["teacher_scores"].shape[:-1])
    only_first = everywhere.clone()
    only_first[1] = 0
    losses = {
        name: leopart_loss(**arguments, foreground=mask).item()
        for name, mask in [("both", everywhere), ("first", only_first), ("none", everywhere * 0)]
    }
    reverse = 1 - only_first
    second = leopart_loss(**arguments, foreground=reverse).item()
    assert losses["none"] == 0
    assert losses["first"] > 0
    assert losses["first"] + second == pytest.approx(losses["both"], rel=1e-5)


def test_gradient_reaches_the_student_only():
    arguments = random_batch(1)
    arguments["teacher_scores"].requires_grad_()
    _, gradients = loss_and_gradients(arguments)
    assert len(gradients) == NUM_VIEWS
    assert all(gradient.abs().sum() > 0 for gradient in gradients)
    assert arguments["teacher_scores"].grad is None


def test_mirrored_view_with_its_mirrored_box_gives_the_same_loss():
    arguments = random_batch(2)
    mirrored = dict(arguments)
    mirrored["student_scores"] = [
        *arguments["student_scores"][:2],
        arguments["student_scores"][2].flip(2),
    ]
    boxes = arguments["overlap_in_view"].clone()
    boxes[:, 2, :, [0, 2]] = GRIDS[2][1] * PATCH_SIZE - boxes[:, 2, :, [0, 2]]
    mirrored["overlap_in_view"] = boxes
    torch.testing.assert_close(leopart_loss(**mirrored), leopart_loss(**arguments))
    assert boxes[:, 2, :, 0].min() > 0


def test_autocast_does_not_lower_the_precision():
    arguments = random_batch(2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = leopart_loss(**arguments)
    assert loss.item() == leopart_loss(**arguments).item()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"teacher_scores": torch.rand(2, 3, 5)}, "teacher_scores"),
        ({"student_scores": [torch.rand(2, 6, 6, 5)]}, "2 views"),
        (
            {"student_scores": [torch.rand(2, 6, 6, 5)] * 2 + [torch.rand(2, 3, 3, 4)]},
            r"student_scores\[2\].*\[2, h, w, 5\]",
        ),
        (
            {"overlap_in_view": torch.rand(2, 2, 3, 4)},
            r"overlap_in_view.*\[2, 2, 3, 4\]",
        ),
        ({"foreground": torch.ones(2, 2, 3, 3)}, r"foreground must be \[2, 2, 6, 6\]"),
        ({"queue_scores": torch.rand(2, 9, 4)}, r"queue_scores.*\[2, Q, 5\]"),
    ],
)
def test_bad_shapes(change, message):
    with pytest.raises(ValueError, match=message):
        leopart_loss(**(random_batch(2) | change))


def _cases() -> dict[str, tuple[dict[str, Any], int]]:
    """Name → (arguments of the whole batch, images on the first process)."""
    foreground = torch.ones(NUM_GLOBAL, 4, *GRIDS[0])
    foreground[:, 0, :2] = 0
    only_first = foreground.clone()
    only_first[:, 2:] = 0
    return {
        "all": (random_batch(4, seed=1), 2),
        "different batches": (random_batch(4, seed=2), 3),
        "foreground": (random_batch(4, seed=3) | {"foreground": foreground}, 2),
        "foreground on one": (random_batch(4, seed=4) | {"foreground": only_first}, 2),
    }


def _train_on_share(rank: int) -> dict[str, tuple[Tensor, list[Tensor]]]:
    results = {}
    for name, (arguments, split) in _cases().items():
        part = part_of(arguments, slice(None, split) if rank == 0 else slice(split, None))
        results[name] = loss_and_gradients(part | {"process_group": dist.group.WORLD})
    return results


def test_two_processes_equal_one_with_the_whole_batch():
    ranks = run_in_processes(_train_on_share, 2)
    for name, (arguments, _) in _cases().items():
        loss, gradients = loss_and_gradients(arguments)
        assert gradients[0].abs().max() > 0
        for rank in ranks:
            torch.testing.assert_close(rank[name][0], loss, rtol=1e-5, atol=0, msg=name)
        for view, expected in enumerate(gradients):
            # Each image lies on one process; DDP's average halves its gradient there.
            averaged = torch.cat([rank[name][1][view] for rank in ranks]) / 2
            scale = expected.abs().max().item()
            torch.testing.assert_close(averaged, expected, rtol=1e-5, atol=1e-5 * scale)
