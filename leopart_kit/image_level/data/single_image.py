"""A data set out of one photograph: strong random crops, as many as one wants.

Asano, Rupprecht & Vedaldi, "A critical analysis of self-supervision, or what we can learn from a
single image", ICLR 2020. Early layers learn as much from augmented crops of one image as from a
million photos.
"""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor
from torchvision.transforms.v2 import functional as TF

from leopart_kit.data.image_files import IMAGE_SUFFIXES, read_image, read_image_size
from leopart_kit.data.image_opening import MAX_MEGAPIXELS, check_megapixels
from leopart_kit.data.label_sets import choose_label_set
from leopart_kit.data.layout import choose_split
from leopart_kit.data.loading import DatasetSettings
from leopart_kit.data.photometric import PhotometricAugmentation, uniform
from leopart_kit.data.segmentation import Sample, SegmentationDataset
from leopart_kit.image_level.data.read_images import ReadImages
from leopart_kit.settings import (
    Count,
    Positive,
    PositiveRange,
    Probability,
    Seed,
    Share,
    ShareRange,
    Text,
    settings,
)

# The affine change is applied to a crop and the centre kept, which no turn brings to its border.
_CENTRE = 1 / math.sqrt(2)


@settings
class CropSettings:
    """Random crops; the defaults are those of the paper's released generator."""

    size: Count = 32
    """Side of a crop in pixels; larger than the views, which are cut from the crops."""
    window: Share = 0.5
    """Side of the square that a crop is taken from, as a share of the image's shorter side."""
    scale: ShareRange = (0.002, 1.0)
    """`[low, high]` of the crop's share of that square's area, drawn uniformly."""
    aspect_ratio: PositiveRange = (3 / 4, 4 / 3)
    """`[low, high]` of width / height, drawn log-uniformly."""
    rotation: Annotated[float, Field(ge=0, le=180)] = 30.0
    """Largest angle to either side, in degrees."""
    shear: Annotated[float, Field(ge=0, le=80)] = 30.0
    """Largest angle to either side, in degrees."""
    flip_probability: Probability = 0.5
    """Of mirroring left to right."""
    jitter: Annotated[float, Field(ge=0, le=2.5)] = 0.5
    """Strength of brightness, contrast, saturation and hue; 0.5 is ±40 % and ±0.1."""
    jitter_probability: Probability = 0.5
    """Of changing colours at all."""

    def photometric(self) -> PhotometricAugmentation:
        """The colour change of a crop."""
        return PhotometricAugmentation(
            strength=self.jitter,
            jitter_probability=self.jitter_probability,
            grey_probability=0.0,
            blur_probability=0.0,
        )


def single_image(
    root: str | os.PathLike[str],
    split: str = "all",
    label_set: str | None = None,
    *,
    length: int = 50_000,
    seed: int = 0,
    crops: CropSettings | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> ReadImages:
    """`length` crops of the one image at `root`, a file or a folder that holds nothing else.

    Crop `i` depends on the seed and on `i` alone; another seed gives other crops.
    `max_megapixels` is the largest size of the image, in millions of pixels.

    Raises:
        FileNotFoundError: there is no image at `root`.
        ValueError: a folder with several images, an unknown or wrong setting.
        BrokenSampleError: the image cannot be read.
    """
    choose_label_set(label_set, ["none"], "single_image", "none")
    choose_split(split, ("all",), "single_image")
    cut = crops or CropSettings()
    file = _find_image(Path(root))
    limit = check_megapixels(max_megapixels)
    height, width = read_image_size(file, limit)
    digits = len(str(length - 1))
    samples = [Sample(f"{file.stem}/{i:0{digits}d}", str(file)) for i in range(length)]
    identity = f"seed {seed} {asdict(cut)}"
    read = RandomCropReader(file, cut, seed, limit)
    notes = [f"{length:,} random crops of {file.name} ({width} x {height} pixels)"]
    side = cut.window * min(height, width) * _CENTRE
    if side < cut.size:
        notes.append(f"the largest crop is about {side:.0f} pixels wide and is enlarged")
    return ReadImages("single_image", split, root, samples, read, identity, notes)


def _find_image(root: Path) -> Path:
    if not root.exists():
        raise FileNotFoundError(f"{root} does not exist; point root at one large image")
    if not root.is_dir():
        return root
    found = sorted(
        path
        for path in root.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    )
    if len(found) != 1:
        raise ValueError(f"{root} holds {len(found)} images; point root at one image file")
    return found[0]


@dataclass
class RandomCropReader:
    """Reads crop number `i` of an image, always the same one; the image is decoded once."""

    file: Path
    settings: CropSettings
    seed: int = 0
    max_megapixels: float = MAX_MEGAPIXELS
    _image: Tensor | None = field(default=None, repr=False)

    def __call__(self, number: int) -> Tensor:
        """Crop `number`, uint8 `[3, size, size]`; raises `BrokenSampleError`."""
        if self._image is None:
            self._image = read_image(self.file, self.max_megapixels)
        # SeedSequence mixes the two, so that (seed 0, crop 1) and (seed 1, crop 0) are unrelated.
        state = np.random.SeedSequence((self.seed, number)).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))
        height, width = self._image.shape[1:]
        frame = random_frame(height, width, self.settings, generator)
        crop = cut_frame(self._image, frame, self.settings.size)
        changed = self.settings.photometric()(crop, generator)
        return (changed.clamp(0, 1) * 255).round().to(torch.uint8)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_image": None}  # workers decode it rather than receive it


def random_frame(
    height: int, width: int, settings: CropSettings, generator: torch.Generator | None = None
) -> Tensor:
    """A parallelogram inside an image, as the map of a crop's square onto it.

    Args:
        height, width: of the image in pixels.
        settings: ranges of size, shape, rotation and shear.
        generator: source of the draws; None for torch's global one.

    Returns:
        float64 `[2, 3]`: `[x, y] = frame @ [u, v, 1]` in pixels of the image, for u and v from -1
        to 1. All four corners lie within `[0, width] x [0, height]`; a frame that would not fit is
        made smaller.
    """
    share = uniform(*settings.scale, generator)
    side = settings.window * min(height, width) * math.sqrt(share) * _CENTRE
    low, high = (math.log(value) for value in settings.aspect_ratio)
    stretch = math.exp(uniform(low, high, generator) / 2)
    angle = math.radians(uniform(-settings.rotation, settings.rotation, generator))
    slant = math.tan(math.radians(uniform(-settings.shear, settings.shear, generator)))
    mirror = -1.0 if uniform(0, 1, generator) < settings.flip_probability else 1.0
    turn = torch.tensor(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]],
        dtype=torch.float64,
    )
    sheared = torch.tensor([[1.0, slant], [0.0, 1.0]], dtype=torch.float64)
    sides = torch.tensor([mirror * side * stretch, side / stretch], dtype=torch.float64) / 2
    axes = turn @ sheared @ torch.diag(sides)
    reach = axes.abs().sum(dim=1)  # half the bounding box
    limits = torch.tensor([width, height], dtype=torch.float64)
    shrink = min(1.0, float((limits / 2 / reach).min()))
    axes, reach = axes * shrink, reach * shrink
    where = torch.tensor([uniform(0, 1, generator), uniform(0, 1, generator)], dtype=torch.float64)
    centre = reach + (limits - 2 * reach).clamp(min=0) * where
    return torch.cat([axes, centre[:, None]], dim=1)


def cut_frame(image: Tensor, frame: Tensor, size: int) -> Tensor:
    """Content of a frame of an image, float32 `[3, size, size]` in [0, 1].

    Args:
        image: uint8 `[3, H, W]`.
        frame: `[2, 3]`, see `random_frame`.
        size: side of the crop in pixels; a large frame is reduced with antialiasing first.
    """
    height, width = image.shape[1:]
    reach = frame[:, :2].abs().sum(dim=1)
    low = (frame[:, 2] - reach).floor().clamp(min=0).int().tolist()
    high = (frame[:, 2] + reach).ceil().int().tolist()
    left, right = min(low[0], width - 1), max(min(high[0], width), low[0] + 1)
    top, bottom = min(low[1], height - 1), max(min(high[1], height), low[1] + 1)
    region = image[:, top:bottom, left:right]
    # Source pixels to one of the crop, along the axis where there are fewer.
    step = float(frame[:, :2].norm(dim=0).min()) * 2 / size
    if step > 1:
        reduced = [max(1, round(length / step)) for length in region.shape[1:]]
        region = TF.resize(region, reduced, antialias=True)
    centres = (torch.arange(size, dtype=torch.float64) + 0.5) * 2 / size - 1
    v, u = torch.meshgrid(centres, centres, indexing="ij")
    points = torch.stack([u, v, torch.ones_like(u)], dim=-1) @ frame.T  # [size, size, 2] x, y
    start = torch.tensor([left, top], dtype=torch.float64)
    extent = torch.tensor([right - left, bottom - top], dtype=torch.float64)
    grid = ((points - start) / extent * 2 - 1).float()[None]
    pixels = (region.float() / 255)[None]
    return F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)[0]


@settings
class SingleImageSettings(DatasetSettings):
    """Strong random crops of one large image (Asano et al. 2020); root: the image file."""

    needs_root: ClassVar[bool] = False

    split: Text = "all"
    """all."""
    length: Count = 50_000
    """Crops; each is the same in every epoch."""
    seed: Seed = 0
    """Of the crops."""
    crops: CropSettings = Field(default_factory=CropSettings)
    """Random crops."""
    max_megapixels: Positive = MAX_MEGAPIXELS
    """Millions of pixels of the image, at most."""

    def load(self) -> SegmentationDataset:
        """See `single_image`."""
        return single_image(**self.arguments())


PART = SingleImageSettings
