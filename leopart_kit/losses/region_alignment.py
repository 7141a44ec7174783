"""Crop boxes out of channel-last maps onto a fixed grid (RoI-align)."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import roi_align


def align_regions(
    maps: Tensor, boxes: Tensor, output_size: int, longest: int | None = None
) -> Tensor:
    """RoI-align channel-last maps: average of bilinear samples per cell.

    Equals `torchvision.ops.roi_align(aligned=True, sampling_ratio=-1)`, written as one product
    with interpolation weights along each axis. For hundreds of channels this is many times faster
    than the general kernel, above all backwards, and its gradient is deterministic on a GPU too.

    A box may run backwards along an axis (`x0 > x1`): its cells are then in mirrored order, which
    is how the overlap with a horizontally flipped view is written.

    Args:
        maps: `[B, h, w, K]`.
        boxes: `[B, R, 4]`, xyxy in cells of the map, R boxes for each map.
        output_size: cells of the result along each side.
        longest: cells of the map that no box exceeds along either axis, but for rounding. With
            None the boxes are measured, for which a GPU makes the host wait.

    Returns:
        `[B, R, output_size, output_size, K]`; zeros for an empty box.

    Source: He et al. (Mask R-CNN), ICCV 2017, section 3.
    """
    batch, height, width, channels = maps.shape
    x0, y0, x1, y1 = boxes.to(maps.dtype).unbind(-1)
    rows = _axis_weights(y0, y1, output_size, height, longest)
    columns = _axis_weights(x0, x1, output_size, width, longest)
    in_rows = rows.flatten(1, 2) @ maps.flatten(2)
    in_rows = in_rows.view(batch, -1, output_size, width, channels)
    return columns.unsqueeze(2) @ in_rows


def cells_inside(mask: Tensor, boxes: Tensor, output_size: int) -> Tensor:
    """The cells of each box that lie wholly inside a mask.

    A cell counts if its RoI-aligned mask is at least 1 in float32. Rounding in that sum can drop a
    cell; the reference figures are defined so, hence the reference kernel here.

    Args:
        mask: `[B, h, w]` of 0 and 1.
        boxes: `[B, R, 4]`, xyxy in cells of the mask; `x0 > x1` mirrors as in `align_regions`.
        output_size: cells of the result along each side.

    Returns:
        bool `[B, R, output_size, output_size]`.
    """
    batch, num_boxes = boxes.shape[:2]
    boxes = boxes.float()
    x0, y0, x1, y1 = boxes.unbind(-1)
    ordered = torch.stack([torch.minimum(x0, x1), y0, torch.maximum(x0, x1), y1], dim=-1)
    image = torch.arange(batch, device=boxes.device).repeat_interleave(num_boxes)
    rois = torch.cat([image.unsqueeze(1).float(), ordered.flatten(0, 1)], dim=1)
    values = roi_align(mask.unsqueeze(1).float(), rois, output_size, aligned=True)
    values = values.view(batch, num_boxes, output_size, output_size)
    mirrored = (x0 > x1)[:, :, None, None]
    return torch.where(mirrored, values.flip(-1), values) >= 1.0


def _axis_weights(
    start: Tensor, end: Tensor, num_bins: int, length: int, longest: int | None
) -> Tensor:
    """Weight of each of `length` map cells in each of `num_bins` bins: `[..., num_bins, length]`.

    A bin holds `ceil(extent / num_bins)` evenly spaced samples. A sample up to one cell outside the
    map takes the border's value and one further outside is 0.
    """
    start, end = start - 0.5, end - 0.5  # cell centres at integer coordinates
    bin_size = ((end - start) / num_bins)[..., None, None]
    num_samples = bin_size.abs().ceil()
    if longest is not None:
        most = -(-longest // num_bins) + 1  # one more, since an extent is rounded
        num_samples = num_samples.clamp(max=most)
    else:
        most = int(num_samples.max()) if num_samples.numel() else 0
    sample = torch.arange(most, device=start.device)
    bins = torch.arange(num_bins, device=start.device).unsqueeze(1)
    offset = bins + (sample + 0.5) / num_samples.clamp(min=1)
    position = start[..., None, None] + offset * bin_size
    valid = (sample < num_samples) & (position >= -1) & (position <= length)
    position = position.clamp(0, length - 1).unsqueeze(-1)
    cells = torch.arange(length, device=start.device, dtype=start.dtype)
    weights = (1 - (position - cells).abs()).clamp(min=0) * valid.unsqueeze(-1)
    return weights.sum(dim=-2) / num_samples.clamp(min=1)
