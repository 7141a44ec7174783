"""Images and masks in the columns of a table that the library `datasets` opens: parquet, arrow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from leopart_kit.data.containers import WHOLE, find_containers
from leopart_kit.data.folder_labels import folder_labels
from leopart_kit.data.image_opening import MAX_MEGAPIXELS, check_megapixels
from leopart_kit.data.label_sets import choose_label_set
from leopart_kit.data.samples import MadeSamples, name_below
from leopart_kit.data.segmentation import SegmentationDataset, read_classes
from leopart_kit.data.table_cells import Cells, TableRow, state_of
from leopart_kit.input_files import as_path

_USUAL = "image"


def table_images(
    root: str | os.PathLike[str],
    split: str = WHOLE,
    label_set: str | None = None,
    *,
    image: str | None = None,
    mask: str | None = None,
    key: str | None = None,
    classes: str | None = None,
    binary: bool = False,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> SegmentationDataset:
    """The images in a column of a table, in the order of its rows.

    `root` is a folder that `save_to_disk` of `datasets` wrote; or parquet or arrow files, see
    `find_containers`. `datasets` maps arrow into memory; of parquet it first writes a copy as arrow
    into its own cache (`HF_DATASETS_CACHE`). Images and masks are encoded, as its feature `Image`
    has them. `image` and `mask` name columns; by default the only one of images, or "image", and
    none. `key` names a column of distinct names, by default the split and the number of the row.
    `classes` names a column of class labels whose feature lists the classes; without it they are
    found as in `image_folder`, in files beside the table.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: `datasets` is not installed, cannot open it, or it has no such column or split.
        UnknownClassError: as `image_folder`.
    """
    choose_label_set(label_set, ["folder"], "huggingface", "folder")
    limit = check_megapixels(max_megapixels)
    root = as_path(root, "root")
    table = _open(root, split)
    if not len(table):
        raise ValueError(f"{root} has no row in its split {split!r}; choose another")
    image = _image_column(table, image, mask, root)
    if image == mask:
        raise ValueError(f"image and mask are both {image!r}; give them different columns")
    masked = np.empty(0, np.int64)
    for column in (image, mask, key):
        _check_column(table, column, root, encoded=column != key)
    if mask is not None:
        masked = np.flatnonzero(table.data.column(mask).is_valid().to_numpy())
    if key is not None:
        _check_names(table, key, root)
    row = TableRow(Cells(table, str(root), state_of(table)), image, mask, key, split)
    samples = MadeSamples(row, range(len(table)))
    class_names = None if classes is None else _class_names(table, classes, root)
    folder = root if root.is_dir() else root.parent
    labels, ids, colors = folder_labels(folder, samples.at(masked), binary, limit, class_names)
    read_mask = partial(read_classes, table=ids, colors=colors, max_megapixels=limit)
    notes = []
    if mask is not None and len(masked) < len(table):
        without = len(table) - len(masked)
        notes = [f"{without:,} of {len(table):,} images have no mask; they are not scored"]
    return SegmentationDataset("huggingface", split, root, labels, samples, read_mask, notes, limit)


def _open(root: Path, split: str) -> Any:
    """The table as a `datasets.Dataset`."""
    try:
        import datasets
    except ImportError as error:
        raise ValueError(
            f"dataset=huggingface needs datasets: pip install 'leopart-kit[shards]' ({error})"
        ) from None
    with _one_line(root, "folder"):
        if (root / "dataset_dict.json").exists():
            tables: Any = datasets.load_from_disk(str(root))
            return _of_split(tables, root, split)
        if (root / "dataset_info.json").exists() and (root / "state.json").exists():
            if split != WHOLE:
                raise ValueError(f"{root} holds one table and has no split {split!r}; leave it out")
            return datasets.load_from_disk(str(root))
    files = find_containers(root, split, (".parquet",) if _any(root, "parquet") else (".arrow",))
    parquet: list[Any] = [str(file) for file in files if file.suffix.lower() == ".parquet"]
    if not parquet:
        parts = []
        for file in files:
            with _one_line(file, "arrow file"):
                parts.append(datasets.Dataset.from_file(str(file)))
        return datasets.concatenate_datasets(parts)
    import pyarrow.parquet

    for name in parquet:
        with _one_line(name, "parquet file"):
            pyarrow.parquet.read_metadata(name)
    with _one_line(root, "parquet"), _no_bars(datasets):
        return datasets.Dataset.from_parquet(parquet)


def _any(root: Path, suffix: str) -> bool:
    if not root.is_dir():
        return root.suffix.lower() != ".arrow"
    return next(root.rglob(f"*.{suffix}"), None) is not None


def _of_split(tables: dict[str, Any], root: Path, split: str) -> Any:
    import datasets

    if split == WHOLE:
        return datasets.concatenate_datasets(list(tables.values()))
    if split not in tables:
        there = ", ".join([WHOLE, *tables])
        raise ValueError(f"{root} has no split {split!r}; choose one of {there}")
    return tables[split]


@contextmanager
def _one_line(file: object, kind: str) -> Iterator[None]:
    """Whatever a library raises about a file, in one line that names it."""
    try:
        yield
    except (FileNotFoundError, ValueError) as error:
        if str(file) in str(error) and "\n" not in str(error):
            raise
        raise ValueError(_cannot(file, kind, error)) from error
    except Exception as error:  # of pyarrow and datasets, a dozen kinds
        raise ValueError(_cannot(file, kind, error)) from error


def _cannot(file: object, kind: str, error: Exception) -> str:
    cause = error.__cause__ or error
    reason = " ".join(str(cause).split())[:200] or type(cause).__name__
    return f"{file} cannot be opened as a {kind} ({reason}); write it anew"


@contextmanager
def _no_bars(datasets: Any) -> Iterator[None]:
    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()


def _image_column(table: Any, asked: str | None, mask: str | None, root: Path) -> str:
    if asked is not None:
        return asked
    import datasets

    kinds = table.features.items()
    found = [n for n, kind in kinds if isinstance(kind, datasets.Image) and n != mask]
    if _USUAL in table.column_names and mask != _USUAL:
        return _USUAL
    if len(found) != 1:
        raise ValueError(
            f"{root} has {len(found)} columns of images among {', '.join(table.column_names)}; set "
            "dataset.image to one"
        )
    return found[0]


def _check_column(table: Any, column: str | None, root: Path, encoded: bool) -> None:
    if column is None:
        return
    if column not in table.column_names:
        there = ", ".join(table.column_names)
        raise ValueError(f"{root} has no column {column!r}; it has {there}")
    if not encoded:
        return
    import pyarrow.types as types

    kind = table.data.column(column).type
    if types.is_struct(kind):
        kind = dict((field.name, field.type) for field in kind).get("bytes", kind)
    if not (types.is_binary(kind) or types.is_large_binary(kind)):
        raise ValueError(
            f"{root} column {column!r} holds {kind} and not encoded images; cast it to the "
            "feature Image of datasets"
        )


def _check_names(table: Any, column: str, root: Path) -> None:
    values = table.data.column(column)
    hashes = np.fromiter((hash(name_below(str(value))) for value in values), np.int64)
    if values.null_count or len(np.unique(hashes)) < len(hashes):
        raise ValueError(f"{root} column {column!r} names two rows alike, or one not; leave it out")


def _class_names(table: Any, column: str, root: Path) -> tuple[str, ...]:
    _check_column(table, column, root, encoded=False)
    kind = table.features[column]
    while not hasattr(kind, "names") and hasattr(kind, "feature"):  # lists of labels
        kind = kind.feature
    listed = getattr(kind, "names", None)
    if not listed:
        raise ValueError(f"{root} column {column!r} lists no classes; its feature is {kind}")
    return tuple(map(str, listed))
