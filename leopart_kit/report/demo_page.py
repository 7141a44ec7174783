"""index.html of the demo: large pictures first, then figures, then a way to everything else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from PIL import Image

from leopart_kit.data import folder_images
from leopart_kit.drawing import outline, overlay
from leopart_kit.input_files import read_json
from leopart_kit.report.page import page_environment
from leopart_kit.report.pictures import photo_uri
from leopart_kit.whole_file import whole_file, write_whole_text

PAGE_NAME = "index.html"
MAX_PICTURES = 24
_SIDE, _OPACITY = 640, 0.5  # pixels of a picture
_CELL, _COLUMNS = 220, 6  # pixels and pictures of `write_picture`


@dataclass(frozen=True)
class DemoFolders:
    """Folders in which the demo's commands leave their results."""

    root: Path

    @property
    def parts(self) -> Path:
        """Export of parts."""
        return self.root / "parts"

    @property
    def objects(self) -> Path:
        """Export of objects, communities of parts."""
        return self.root / "objects"

    @property
    def page(self) -> Path:
        """The photographs as a data set, with a page of pictures."""
        return self.root / "photographs_page"

    @property
    def scenes(self) -> Path:
        """Figures on scenes with ground truth."""
        return self.root / "scenes"

    @property
    def training(self) -> Path:
        """Leopart on the photographs."""
        return self.root / "training"


class Picture:
    """A photograph, and the labels of its exports, at the size of a page."""

    def __init__(self, name: str, image: np.ndarray, folders: Sequence[Path]) -> None:
        self.name = name
        height, width = image.shape[:2]
        scale = min(1.0, _SIDE / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        self.image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
        self.kinds = [folder.name for folder in folders]
        self.drawn = [_drawn(self.image, folder / "masks" / f"{name}.png") for folder in folders]

    @property
    def tells(self) -> bool:
        """True if every export has drawn something on it, and left something of it."""
        same = [(drawn == self.image).all(axis=2).mean() for drawn in self.drawn]
        return all(share < 0.95 for share in same) and any(share > 0.05 for share in same)

    @property
    def data(self) -> dict[str, Any]:
        """Content of the template: pictures as data URIs, and their size."""
        drawn = zip(self.kinds, self.drawn, strict=True)
        shots = [{"kind": kind, "uri": photo_uri(picture)} for kind, picture in drawn]
        height, width = self.image.shape[:2]
        return {
            "name": self.name,
            "photo": photo_uri(self.image),
            "shots": shots or [{"kind": "photograph", "uri": None}],
            "height": height,
            "width": width,
        }


def write_demo_page(folders: DemoFolders, photographs: Path) -> Path:
    """Write the page of whatever results there are, and return its path.

    Raises:
        ValueError: no image in the folder of photographs.
        OSError: the page cannot be written.
    """
    root = folders.root
    root.mkdir(parents=True, exist_ok=True)
    template = page_environment().get_template("demo.html")
    html = template.render(
        pictures=[picture.data for picture in _telling_first(folders, photographs)],
        encoder=_encoder(folders),
        figures=_figures(folders),
        links=[
            {"address": quote(path.relative_to(root).as_posix()), "title": title, "text": text}
            for path, title, text in _places(folders)
            if path.exists()
        ],
        training=_address(folders.training / "report.html", root),
        leaderboard=_address(folders.scenes / "leaderboard.html", root),
    )
    write_whole_text(root / PAGE_NAME, html)
    return root / PAGE_NAME


def write_picture(folders: DemoFolders, photographs: Path, path: Path) -> None:
    """A small sheet of six photographs, their objects and their parts, as a README shows it."""
    shown = [p for p in _telling_first(folders, photographs) if len(p.drawn) == 2][:_COLUMNS]
    columns = [
        np.concatenate([_square(cell) for cell in (picture.image, *picture.drawn[::-1])])
        for picture in shown
    ]
    if columns:
        with whole_file(path) as temporary:
            Image.fromarray(np.concatenate(columns, axis=1)).save(temporary, "JPEG", quality=85)


def _telling_first(folders: DemoFolders, photographs: Path) -> list[Picture]:
    """The pictures, those with several parts and an object in them before textures."""
    return sorted(_pictures(folders, photographs), key=lambda picture: not picture.tells)


def _pictures(folders: DemoFolders, photographs: Path) -> Iterator[Picture]:
    dataset = folder_images(photographs).spread(MAX_PICTURES)
    exports = [folder for folder in (folders.parts, folders.objects) if folder.is_dir()]
    for index in range(len(dataset)):
        image = dataset.load_image(index).permute(1, 2, 0).numpy()
        yield Picture(dataset.names[index], image, exports)


def _drawn(image: np.ndarray, mask: Path) -> np.ndarray:
    """A photograph under an exported mask; as it is, where that is missing."""
    if not mask.is_file():
        return image
    with Image.open(mask) as file:
        palette = np.array(file.getpalette() or [0, 0, 0], np.uint8).reshape(-1, 3)
        fitted = file.resize(image.shape[1::-1], Image.Resampling.NEAREST)
    labels = np.asarray(fitted).astype(np.int64) - 1  # −1: no class
    colours = palette[1:] if len(palette) > 1 else palette
    return outline(overlay(image, labels, colours, _OPACITY), labels, colours, 2)


def _square(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    crop = Image.fromarray(picture[top : top + side, left : left + side])
    return np.asarray(crop.resize((_CELL, _CELL), Image.Resampling.LANCZOS))


def _encoder(folders: DemoFolders) -> dict[str, str]:
    """Name and source of the encoder, as the results have it."""
    evaluated = folders.page, folders.training / "evaluation" / "before"
    paths = (folder / "results.json" for folder in evaluated)
    path = next((path for path in paths if path.is_file()), None)
    found = {} if path is None else read_json(path)["encoder"]
    return {"name": str(found.get("name", "")), "weights": str(found.get("weights", ""))}


def _figures(folders: DemoFolders) -> list[dict[str, Any]]:
    """For each benchmark its rows, the best first, each with its pictures."""
    path = folders.scenes / "leaderboard.json"
    board: Mapping[str, Any] = read_json(path) if path.is_file() else {"benchmarks": []}
    found = []
    for benchmark in board["benchmarks"]:
        rows = [row for row in benchmark["rows"] if "miou" in row]
        rows.sort(key=lambda row: -row["miou"]["mean"])
        found.append(
            {
                "name": benchmark["name"],
                "num_images": benchmark.get("num_images"),
                "rows": [_row(row, benchmark["name"], folders) for row in rows],
            }
        )
    return found


def _row(row: Mapping[str, Any], benchmark: str, folders: DemoFolders) -> dict[str, Any]:
    place = folders.scenes / row["encoder"] / benchmark
    sheet = place / "overview.png"
    picture = None
    if sheet.is_file():
        with Image.open(sheet) as image:
            picture = photo_uri(np.asarray(image.convert("RGB")))
    return {
        **row,
        "page": _address(place / "report.html", folders.root),
        "picture": picture,
    }


def _address(path: Path, root: Path) -> str | None:
    return quote(path.relative_to(root).as_posix()) if path.is_file() else None


def _places(folders: DemoFolders) -> list[tuple[Path, str, str]]:
    """A file that the demo may have left: its path, name and use."""
    parts, objects = folders.parts, folders.objects
    return [
        (parts / "parts.html", "Name the parts", "type what they are, merge, download names.json"),
        (objects / "parts.html", "Name the objects", "communities of parts that occur together"),
        (parts / "explore.html", "Compare patches", "point at one: what else is like it?"),
        (folders.page / "report.html", "Report", "clusters of each photograph, how to repeat it"),
        *_sheets(parts),
        (folders.scenes / "leaderboard.html", "Leaderboard", "every figure, with its interval"),
        (folders.training / "report.html", "Training", "what Leopart changed, before and after"),
        (parts / "masks", "Indexed PNG", "a pixel is the id of its part"),
        (parts / "coco" / "instances.json", "COCO instances", "run lengths"),
        (parts / "coco" / "panoptic.json", "COCO panoptic", "with PNG files"),
        (parts / "labelme", "labelme", "open the folder in labelme"),
        (parts / "yolo" / "data.yaml", "YOLO", "train on it as it is"),
        (parts / "classes.json", "Classes", "ids, names and colours"),
    ]


def _sheets(folder: Path) -> list[tuple[Path, str, str]]:
    """The sheets of an export, `overview.png` and those after it, in their order."""
    found = sorted(folder.glob("overview*.png"), key=lambda path: (len(path.name), path.name))
    return [
        (path, f"Sheet {number}", "twelve images with their parts and a legend")
        for number, path in enumerate(found, start=1)
    ]
