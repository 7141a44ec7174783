"""`leopart export`: find parts in a folder of images, and write their masks for other tools."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from pydantic import Field

from leopart_kit.backbones.encoder_settings import EncoderSettings
from leopart_kit.cli.build import build_encoder, build_run_settings
from leopart_kit.cli.commands import Precision, read_command
from leopart_kit.cli.config import keep_settings, run_command
from leopart_kit.cli.repeating import repeated_by
from leopart_kit.data import MAX_MEGAPIXELS, SegmentationDataset, folder_images
from leopart_kit.evaluation import FeatureStore, Task, picture_of
from leopart_kit.evaluation.found_parts import (
    CommunitySettings,
    ForegroundSettings,
    PartSettings,
    find_foreground,
    find_objects,
    fit_parts,
)
from leopart_kit.evaluation.task import Running
from leopart_kit.masks import (
    ClassTable,
    ExportSettings,
    ExportSummary,
    LabelledImage,
    OverviewSheets,
    PartModel,
    PartNames,
    check_dense_crf,
    check_export,
    export_masks,
    label_map,
    part_classes,
    read_names,
    refine,
)
from leopart_kit.masks.label_maps import Upsampling
from leopart_kit.masks.part_classes import Level
from leopart_kit.report import (
    ClusterFacts,
    Section,
    Stage,
    explore_section,
    part_views,
    writable_output_dir,
    write_explore_page,
    write_naming_page,
)
from leopart_kit.report.explore import PAGE_NAME as EXPLORE_NAME
from leopart_kit.report.naming import PAGE_NAME
from leopart_kit.settings import Count, Group, PathText, Positive, Text, settings

logger = logging.getLogger(__name__)

EXPLORED = 12  # images on explore.html


@settings
class Export(ExportSettings):
    """Classes, borders, formats and regions of an export."""

    level: Level = "parts"
    """parts, or objects: communities of parts that occur together."""
    upsampling: Upsampling = "linear"
    """linear: smooth borders between patches; nearest: squares."""
    refine: Literal["none", "bilateral_grid", "dense_crf"] = "none"
    """Borders moved to the edges of the image; dense_crf: as the papers, slow, extra crf."""


@settings
class ExportCommand(Running):
    """Find parts in a folder of images, and write their masks for other tools."""

    _: KW_ONLY
    encoder: Annotated[EncoderSettings, Group()]
    images: PathText
    """Folder of images, in any sub-folders."""
    limit: Count | None = None
    """For a quick try: at most so many images, spread evenly over the folder; null: all."""
    model: PathText | None = None
    """model.npz of an earlier export: the same parts in these images."""
    names: PathText | None = None
    """JSON file of names: {"0": "wheel", "5": "wheel", "7": "background"}."""
    protocol: PartSettings = Field(default_factory=PartSettings)
    """Parts; fixed by model where one is given."""
    foreground: ForegroundSettings = Field(default_factory=ForegroundSettings)
    """Parts that count."""
    communities: CommunitySettings = Field(default_factory=CommunitySettings)
    """Objects that parts make up."""
    export: Export = Field(default_factory=Export)
    """Files that are written."""
    output_dir: Text = "outputs/export/${now:%Y-%m-%d_%H-%M-%S}"
    """Folder of everything that the run writes; outside of images."""
    cache_dir: Text = "${output_dir}/features"
    """Folder of extracted features; share one between runs to extract an encoder's once."""
    max_megapixels: Positive = MAX_MEGAPIXELS
    """Largest image in millions of pixels; reading 1,000 takes about 10 GB."""
    precision: Precision = "fp32"
    """Of the encoder; bf16 by autocast."""


PART = ExportCommand


def export_command(config: DictConfig, output_dir: Path) -> None:
    """Find parts or load them, then write model.npz, classes.json and the masks."""
    command = read_command(ExportCommand, config)
    writable_output_dir(output_dir)
    # What is quick to read comes first: a mistake shows before the images are listed.
    folder = Path(command.images).expanduser()
    if not folder.is_dir():
        raise ValueError(f"images={folder} is no folder; set images to a folder of images")
    run = build_run_settings(config)
    names = None if command.names is None else read_names(Path(command.names).expanduser())
    model = None if command.model is None else load_model(Path(command.model), names)
    if model is None:
        check_parts(command.protocol, names)
    level = command.export.level
    dataset = folder_images(folder, command.max_megapixels)
    if command.limit is not None:
        dataset = dataset.spread(command.limit)
    check_apart(output_dir, dataset)
    if command.export.refine == "dense_crf":
        check_dense_crf()
    files = zip(dataset.names, map(dataset.image_path, range(len(dataset))), strict=True)
    check_export(output_dir, files, command.export)
    keep_settings(config, output_dir)
    encoder = build_encoder(config.encoder, command.precision)
    if model is not None:
        model.check_encoder(encoder)
    task = Task(encoder, dataset, range(len(dataset)), run, run.cache_dir or output_dir)
    store = task.features(command.protocol.resolution if model is None else model.resolution)
    if model is None:
        model = fit_parts(encoder, store, command.protocol, run)
        if command.foreground.method == "attention":
            model = find_foreground(model, task, store, command.foreground)
        if level == "objects":
            model = find_objects(model, store, command.communities)
        model = model if names is None else model.with_names(names)
    table = part_classes(model, level)
    model.save(output_dir / "model.npz")
    drawing = Drawing(dataset, store, model, encoder.patch_size, command.export)
    summary = export_masks(
        labelled_images(drawing, table),
        len(store),
        table,
        output_dir,
        command.export,
        further={"overview": OverviewSheets(output_dir, table, command.max_megapixels)},
        track=run.track,
    )
    report(summary, table, store, output_dir)
    found = part_views(model, dataset, store, level, track=run.track)
    page = write_naming_page(
        found.parts,
        output_dir / PAGE_NAME,
        model_id=model.fingerprint(),
        title=folder.name,
        names=model.names,
        photos=found.photos,
    )
    logger.info("name the %s on %s", level, page)
    explored = explored_parts(drawing)
    shown = repeated_by("leopart export", "export_masks", config)
    page = write_explore_page(explored, output_dir / EXPLORE_NAME, folder.name, shown)
    logger.info("compare patches on %s", page)


@dataclass(frozen=True)
class Drawing:
    """Everything that turns the tokens of an image into labels at its own size."""

    dataset: SegmentationDataset
    store: FeatureStore
    model: PartModel
    patch_size: int
    export: Export

    def labels(self, index: int, table: ClassTable) -> np.ndarray:
        """Classes of one image at its own size, int64 `[H, W]`, see `label_map` and `refine`."""
        if self.export.refine == "none":
            return self._sized(index, table, self.dataset.image_size(index))
        # A label a patch: between their centres refinement weighs both, which one of pixels cannot.
        patches = self._sized(index, table, self.store.grid)
        image = self.dataset.load_image(index).permute(1, 2, 0).numpy()
        return refine(image, patches, self.export.refine)

    def _sized(self, index: int, table: ClassTable, size: tuple[int, int]) -> np.ndarray:
        tokens = self.store.token_map(index)
        return label_map(self.model, table, tokens, size, self.patch_size, self.export.upsampling)


def explored_parts(drawing: Drawing) -> Section:
    """Patches of a few images with their parts, for a page that compares them."""
    store, model = drawing.store, drawing.model
    rows = np.unique(np.linspace(0, len(store) - 1, EXPLORED).round().astype(int))
    indices: list[int] = store.indices[rows].tolist()
    tokens = [store.token_map(index) for index in indices]
    parts = [model.assign(found).numpy() for found in tokens]
    clusters = [np.where(model.foreground[labels], labels, -1) for labels in parts]
    names = [model.names.parts.get(part, f"part {part}") for part in range(model.num_clusters)]
    return explore_section(
        [drawing.dataset.names[index] for index in indices],
        [picture_of(drawing.dataset, index)[0].permute(1, 2, 0).numpy() for index in indices],
        [Stage("", [found.numpy() for found in tokens], clusters)],
        ClusterFacts(names),
    )


def load_model(path: Path, names: PartNames | None) -> PartModel:
    """The model of an earlier export, with the names given now if there are any."""
    fixed = ("protocol.", "foreground.", "communities.")
    for text in HydraConfig.get().overrides.task:
        if text.lstrip("+~").startswith(fixed):
            word = text.lstrip("+~")
            raise ValueError(f"the parts of model={path} are fixed; leave out {word}")
    model = PartModel.load(path.expanduser())
    return model if names is None else model.with_names(names)


def check_parts(settings: PartSettings, names: PartNames | None) -> None:
    """Raise `ValueError` for a name of a part that there will not be."""
    if names is not None:
        replace(names, objects={}).check(settings.num_clusters, 0)


def check_apart(output_dir: Path, dataset: SegmentationDataset) -> None:
    """Raise `ValueError` if the masks would lie among the images."""
    images = image_root(dataset).resolve()
    if output_dir.resolve().is_relative_to(images):
        raise ValueError(
            f"output_dir {output_dir} lies inside the folder of images: the next run would take "
            f"masks for images; choose a folder outside {images}"
        )


def image_root(dataset: SegmentationDataset) -> Path:
    """The folder that the names of the images start from."""
    return dataset.image_path(0).parents[dataset.names[0].count("/")]


def labelled_images(drawing: Drawing, table: ClassTable) -> Iterator[LabelledImage]:
    """Every image of the drawing's store with its classes."""
    dataset = drawing.dataset
    root = image_root(dataset)
    for index in drawing.store.indices.tolist():
        file = dataset.image_path(index)
        name = file.relative_to(root).as_posix()
        labels = drawing.labels(index, table)
        yield LabelledImage(dataset.names[index], file, name, labels)


def report(
    summary: ExportSummary, table: ClassTable, store: FeatureStore, output_dir: Path
) -> None:
    """Say what was written, and what is missing."""
    logger.info(
        "%d images, %d regions of %d classes: %s",
        summary.num_images,
        summary.num_regions,
        len(table.classes),
        output_dir,
    )
    if summary.num_empty:
        logger.info("%d images show no class; their masks are empty", summary.num_empty)
    if store.broken:
        logger.warning("%d images could not be read and have no masks", len(store.broken))


def main() -> None:
    """Entry point of `leopart export`."""
    run_command("export_masks", export_command)
