"""Several random views of an image and where each pair of them shows the same thing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as TF

from leopart_kit.data.image_files import LeastImage
from leopart_kit.data.least_image import least_image
from leopart_kit.data.multi_crop_settings import MultiCropSettings
from leopart_kit.data.photometric import PhotometricAugmentation, uniform
from leopart_kit.data.unfinished_views import EndView, Look, finish_view

Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels

Defaults = MultiCropSettings  # a class has its defaults as attributes
PAPER_PHOTOMETRIC = PhotometricAugmentation()
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ATTEMPTS_PER_VIEW = 50
ATTEMPTS_PER_IMAGE = 20
ATTEMPTS_PER_CROP = 10


class MultiCropViews(NamedTuple):
    """V views of one image, the G global ones first.

    torch's default collate function turns a list of B of these into one with a batch dimension in
    front of every tensor: `views[v]` `[B, 3, s_v, s_v]` and boxes as `losses.leopart_loss` takes
    them.
    """

    views: list[Tensor]  # V float32 [3, s_v, s_v], normalised; or as `end` leaves them
    crop_boxes: Tensor  # [V, 4] xyxy in pixels of the image
    overlap_in_global: Tensor  # [G, V, 4] xyxy in pixels of the global view
    overlap_in_view: Tensor  # [V, G, 4] xyxy in pixels of the view


class MultiCropTransform:
    """Draw global and local views whose boxes overlap, with independent photometric changes.

    A view is drawn anew until its box shares more than `min_overlap` of the image area with every
    global view drawn before it (`min_global_overlap` if it is global itself). If a view finds no
    such box, all views of the image are drawn anew, a bounded number of times.

    The same generator state gives the same views. Without a generator, draws come from torch's
    global generator, which data loader workers seed one by one.

    Args:
        global_size: side of a global view in pixels.
        local_size: side of a local view in pixels.
        num_global: number of global views, at least 1.
        num_local: number of local views.
        global_scale: range of a global box's share of the image area.
        local_scale: the same of a local box.
        aspect_ratio: range of width / height of a box, drawn log-uniformly.
        min_global_overlap: share of the image area that two global views must exceed together.
        min_overlap: share of the image area that a local view must exceed with each global view.
        flip_probability: of mirroring a view left to right. 0 in the paper.
        photometric: applied to every view, drawn anew each time; None for none.
        mean: of the normalisation, in RGB for values in [0, 1].
        std: of the normalisation.
        end: ends each view; `leave_unfinished` where a device finishes the batch.

    Raises:
        ValueError: if a setting lies outside its range.

    Source: Caron et al. (SwAV), NeurIPS 2020, section 3.2; Ziegler and Asano (Leopart), CVPR 2022,
    section 4.1.
    """

    def __init__(
        self,
        global_size: int = Defaults.global_size,
        local_size: int = Defaults.local_size,
        num_global: int = Defaults.num_global,
        num_local: int = Defaults.num_local,
        *,
        global_scale: tuple[float, float] = Defaults.global_scale,
        local_scale: tuple[float, float] = Defaults.local_scale,
        aspect_ratio: tuple[float, float] = Defaults.aspect_ratio,
        min_global_overlap: float = Defaults.min_global_overlap,
        min_overlap: float = Defaults.min_overlap,
        flip_probability: float = Defaults.flip_probability,
        photometric: PhotometricAugmentation | None = PAPER_PHOTOMETRIC,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        end: EndView = finish_view,
    ) -> None:
        MultiCropSettings(  # for its checks
            global_size=global_size,
            local_size=local_size,
            num_global=num_global,
            num_local=num_local,
            global_scale=global_scale,
            local_scale=local_scale,
            aspect_ratio=aspect_ratio,
            min_global_overlap=min_global_overlap,
            min_overlap=min_overlap,
            flip_probability=flip_probability,
        )
        self.num_global = num_global
        self.sizes = [global_size] * num_global + [local_size] * num_local
        self.scales = [global_scale] * num_global + [local_scale] * num_local
        self.min_overlaps = [min_global_overlap] * num_global + [min_overlap] * num_local
        self.aspect_ratio = aspect_ratio
        self.flip_probability = flip_probability
        self.look = Look(photometric, list(mean), list(std))
        self.end = end

    def __call__(
        self, image: Tensor | Image.Image, generator: torch.Generator | None = None
    ) -> MultiCropViews:
        """Draw the views of an image.

        Args:
            image: uint8 `[3, H, W]` in RGB, or a PIL image. A box smaller than its view is
                enlarged.
            generator: source of all random draws.

        Raises:
            ValueError: if the image is of another type or shape, or if no boxes with enough
                overlap were found.
        """
        if isinstance(image, Image.Image):
            image = TF.pil_to_tensor(image.convert("RGB"))
        if image.dtype != torch.uint8 or image.ndim != 3 or len(image) != 3 or not image.numel():
            raise ValueError(
                "a view needs an image uint8 [3, H, W] with at least one pixel, got "
                f"{image.dtype} of shape {list(image.shape)}"
            )
        boxes = self._draw_boxes(image.shape[1], image.shape[2], generator)
        flips = [
            self.flip_probability > 0 and uniform(0, 1, generator) < self.flip_probability
            for _ in boxes
        ]
        views = [
            self._render(image, box, size, flip, generator)
            for box, size, flip in zip(boxes, self.sizes, flips, strict=True)
        ]
        crop_boxes = torch.tensor(boxes, dtype=torch.float32)
        in_global, in_view = view_overlaps(crop_boxes, self.sizes, self.num_global, flips)
        return MultiCropViews(views, crop_boxes, in_global, in_view)

    @property
    def least_image(self) -> LeastImage:
        """The least image in which no box is narrower than its view."""
        shares = [low for low, _ in self.scales]
        return least_image(list(zip(self.sizes, shares, strict=True)), self.aspect_ratio)

    def _render(
        self, image: Tensor, box: Box, size: int, flip: bool, generator: torch.Generator | None
    ) -> Any:
        x0, y0, x1, y1 = box
        view = TF.resized_crop(image, y0, x0, y1 - y0, x1 - x0, [size, size], antialias=True)
        if flip:
            view = TF.horizontal_flip(view)
        return self.end(view, self.look.draw(generator), self.look)

    def _draw_boxes(self, height: int, width: int, generator: torch.Generator | None) -> list[Box]:
        for _ in range(ATTEMPTS_PER_IMAGE):
            boxes: list[Box] = []
            for scale, min_overlap in zip(self.scales, self.min_overlaps, strict=True):
                box = self._draw_box(
                    height, width, scale, boxes[: self.num_global], min_overlap, generator
                )
                if box is None:
                    break
                boxes.append(box)
            else:
                return boxes
        raise ValueError(
            f"no {len(self.sizes)} views with enough overlap found in an image of {height} x "
            f"{width} pixels (H x W); enlarge the scales, lower min_global_overlap and "
            "min_overlap, or leave the image out"
        )

    def _draw_box(
        self,
        height: int,
        width: int,
        scale: tuple[float, float],
        global_boxes: list[Box],
        min_overlap: float,
        generator: torch.Generator | None,
    ) -> Box | None:
        """A box that overlaps all global ones, or None if a bounded number of draws has none."""
        min_area = min_overlap * height * width
        for _ in range(ATTEMPTS_PER_VIEW):
            box = random_box(height, width, scale, self.aspect_ratio, generator)
            if all(_shared_area(box, other) > min_area for other in global_boxes):
                return box
        return None


def random_box(
    height: int,
    width: int,
    scale: tuple[float, float],
    aspect_ratio: tuple[float, float] = Defaults.aspect_ratio,
    generator: torch.Generator | None = None,
) -> Box:
    """Draw a crop box as torchvision's `RandomResizedCrop` does, from a given generator.

    Args:
        height: of the image in pixels.
        width: of the image in pixels.
        scale: range of the box's share of the image area.
        aspect_ratio: range of width / height, drawn log-uniformly.
        generator: source of the draws; None for torch's global one.

    Returns:
        x0, y0, x1, y1; the largest central box within the aspect ratios if no draw fits.
    """
    low, high = math.log(aspect_ratio[0]), math.log(aspect_ratio[1])
    for draws in torch.rand(ATTEMPTS_PER_CROP, 4, generator=generator).tolist():
        area = height * width * (scale[0] + (scale[1] - scale[0]) * draws[0])
        ratio = math.exp(low + (high - low) * draws[1])
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            x, y = int(draws[2] * (width - w + 1)), int(draws[3] * (height - h + 1))
            return x, y, x + w, y + h
    w = max(1, min(width, round(height * aspect_ratio[1])))
    h = max(1, min(height, round(width / aspect_ratio[0])))
    x, y = (width - w) // 2, (height - h) // 2
    return x, y, x + w, y + h


def _shared_area(a: Box, b: Box) -> int:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0) * max(height, 0)


def view_overlaps(
    crop_boxes: Tensor,
    crop_sizes: Tensor | Sequence[int],
    num_global: int,
    flipped: Tensor | Sequence[bool] | None = None,
) -> tuple[Tensor, Tensor]:
    """The region that each view shares with each global view, in pixels of both.

    Inside a mirrored view a box runs from right to left, `x0 > x1`: its x0 is where the region's
    left edge in the image has come to lie. RoI-aligning such a box (`losses.align_regions`) gives
    cells in the image's order, so that they meet the same cells of the other view.

    Args:
        crop_boxes: `[V, 4]` xyxy in pixels of the image, the global views first.
        crop_sizes: `[V]` side of each view in pixels.
        num_global: G, the number of global views.
        flipped: `[V]`, which views are mirrored left to right; None for none.

    Returns:
        `(in_global [G, V, 4], in_view [V, G, 4])`, xyxy; four zeros where two boxes do not meet.

    Raises:
        ValueError: if the shapes do not fit each other or a box is empty.

    Source: Ziegler and Asano (Leopart), CVPR 2022, section 3.1.
    """
    num_views = len(crop_boxes)
    sizes = torch.as_tensor(crop_sizes, device=crop_boxes.device)
    if crop_boxes.shape != (num_views, 4) or sizes.shape != (num_views,):
        raise ValueError(
            "crop_boxes must be [V, 4] and crop_sizes [V], got shapes "
            f"{list(crop_boxes.shape)} and {list(sizes.shape)}"
        )
    if not 1 <= num_global <= num_views:
        raise ValueError(f"num_global must lie in [1, {num_views}], got {num_global}")
    boxes = crop_boxes if crop_boxes.is_floating_point() else crop_boxes.float()
    if (boxes[:, 2:] <= boxes[:, :2]).any():
        raise ValueError(f"crop_boxes must be xyxy with x0 < x1 and y0 < y1, got {boxes.tolist()}")
    upper_left = torch.maximum(boxes[:num_global, None, :2], boxes[None, :, :2])
    lower_right = torch.minimum(boxes[:num_global, None, 2:], boxes[None, :, 2:])
    meet = (upper_left < lower_right).all(dim=-1)[..., None]
    shared = torch.cat([upper_left, lower_right], dim=-1)  # [G, V, 4] in pixels of the image

    in_global = _to_view_pixels(shared, boxes[:num_global, None], sizes[:num_global, None])
    in_view = _to_view_pixels(shared, boxes, sizes)
    if flipped is not None:
        flip = torch.as_tensor(flipped, dtype=torch.bool, device=boxes.device)
        in_global = _mirrored(in_global, sizes[:num_global, None], flip[:num_global, None])
        in_view = _mirrored(in_view, sizes, flip)
    return in_global * meet, (in_view * meet).transpose(0, 1).contiguous()


def _to_view_pixels(boxes: Tensor, crops: Tensor, sizes: Tensor) -> Tensor:
    """Boxes `[G, V, 4]` of the image in pixels of crops (broadcast) shown at a size."""
    scale = sizes[..., None] / (crops[..., 2:] - crops[..., :2])
    return (boxes - crops[..., [0, 1, 0, 1]]) * scale[..., [0, 1, 0, 1]]


def _mirrored(boxes: Tensor, sizes: Tensor, flip: Tensor) -> Tensor:
    """Boxes with x measured from the right border of the view where `flip` holds."""
    x0, y0, x1, y1 = boxes.unbind(-1)
    return torch.stack(
        [torch.where(flip, sizes - x0, x0), y0, torch.where(flip, sizes - x1, x1), y1], dim=-1
    )
