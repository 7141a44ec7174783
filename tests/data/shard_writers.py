"""One folder of images and masks, written again as tars, tables and lists."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tests.data.image_writers import write_mask


def write_folder(root: Path, number: int = 6, size: tuple[int, int] = (40, 48)) -> Path:
    """Pictures of noise with masks of three classes, all but the second with one."""
    random = np.random.default_rng(0)
    for row in range(number):
        pixels = random.integers(0, 256, (*size, 3)).astype(np.uint8)
        file = root / f"images/{row:02d}.{'jpg' if row % 2 else 'png'}"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
        if row != 1:
            write_mask(root / f"masks/{row:02d}.png", random.integers(0, 3, size))
    (root / "classes.txt").write_text("background\nleaf\nstem\n")
    return root


def pairs(root: Path) -> list[tuple[Path, Path | None]]:
    """Image and mask files of a folder, in its order."""
    images = sorted((root / "images").iterdir())
    masks = [root / f"masks/{image.stem}.png" for image in images]
    return [(i, m if m.exists() else None) for i, m in zip(images, masks, strict=True)]


def write_tar(file: Path, members: Mapping[str, bytes] | Sequence[tuple[str, bytes]]) -> Path:
    """A tar of these members."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as tar:
        for name, content in list(members.items()) if isinstance(members, Mapping) else members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file


def write_tars(root: Path, to: Path, number: int = 2) -> Path:
    """The folder as tars of equal parts, with its classes beside them."""
    found = pairs(root)
    for part, rows in enumerate(np.array_split(np.arange(len(found)), number)):
        members: list[tuple[str, bytes]] = []
        for row in rows.tolist():
            image, mask = found[row]
            members.append((f"{image.stem}{image.suffix}", image.read_bytes()))
            members.append((f"{image.stem}.json", b"{}"))
            if mask is not None:
                members.append((f"{image.stem}.seg.png", mask.read_bytes()))
        write_tar(to / f"train-{part:03d}.tar", members)
    (to / "classes.txt").write_bytes((root / "classes.txt").read_bytes())
    return to


def write_list(root: Path, file: Path) -> Path:
    """The folder as a list of absolute paths, with its classes beside it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{i}\t{m}" if m is not None else f"{i}" for i, m in pairs(root)]
    file.write_text("\n".join(lines))
    (file.parent / "classes.txt").write_bytes((root / "classes.txt").read_bytes())
    return file


def table_of(root: Path):
    """The folder as a `datasets.Dataset` with encoded images and masks."""
    import datasets

    rows = {
        "picture": [{"bytes": i.read_bytes(), "path": i.name} for i, _ in pairs(root)],
        "target": [m and {"bytes": m.read_bytes(), "path": None} for _, m in pairs(root)],
        "key": [i.stem for i, _ in pairs(root)],
        "parts": [[0, 1] for _ in pairs(root)],
    }
    names = (root / "classes.txt").read_text().split()
    features = datasets.Features(
        picture=datasets.Image(),
        target=datasets.Image(),
        key=datasets.Value("string"),
        parts=datasets.Sequence(datasets.ClassLabel(names=names)),
    )
    return datasets.Dataset.from_dict(rows, features=features)


def write_parquet(root: Path, to: Path, number: int = 2) -> Path:
    """The folder as parquet files of equal parts, with its classes beside them."""
    to.mkdir(parents=True, exist_ok=True)
    table = table_of(root)
    for part in range(number):
        shard = table.shard(number, part, contiguous=True)
        shard.to_parquet(to / f"train-{part:05d}-of-{number:05d}.parquet")
    (to / "classes.txt").write_bytes((root / "classes.txt").read_bytes())
    return to
