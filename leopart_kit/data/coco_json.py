"""The needed parts of COCO's JSON files, which reach a gigabyte for the training images."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np

from leopart_kit.data.coco_labels import categories
from leopart_kit.input_files import check_regular, parse_json_start, read_json

_KEY = b'"categories"'
_LONGEST = 2**20  # bytes of a list of categories; COCO's own take 20,000

Segments = dict[str, tuple[np.ndarray, np.ndarray]]


def check_categories(json_file: Path, *tables: dict[str, str]) -> str:
    """A note on where the categories come from, after comparing them with COCO's own.

    Raises:
        ValueError: the JSON lists no categories, or has one that is not in `tables`, or in another
            supercategory.
    """
    if not json_file.exists():
        return f"COCO's own categories ({json_file.name} is not there)"
    known = categories(*tables)
    for category in read_categories(json_file):
        coco_id, supercategory = category["id"], category.get("supercategory")
        if coco_id not in known or known[coco_id][1] != supercategory:
            raise ValueError(
                f"{json_file} has category {coco_id} in {ascii(supercategory)[:50]}, which is not "
                "COCO's; use the JSON that belongs to the masks"
            )
    return f"categories of {json_file.name}"


def read_categories(json_file: Path) -> list[dict[str, Any]]:
    """The list under `categories` without parsing the rest of the file; each has a whole `id`.

    Raises:
        ValueError: the file has no such list.
    """
    check_regular(json_file)
    try:
        with (
            json_file.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as m,
        ):
            start = m.find(b"[", m.find(_KEY)) if m.find(_KEY) >= 0 else len(m)
            listing = m[start : start + _LONGEST].decode("utf-8", "ignore")
            found = parse_json_start(listing, json_file)
    except (ValueError, OSError) as error:
        raise ValueError(f"{json_file} has no list of categories; download it again") from error
    if not all(isinstance(one, dict) and type(one.get("id")) is int for one in found):
        raise ValueError(f"{json_file} has a category without a number; download it again")
    return found


def read_segments(json_file: Path) -> Segments:
    """Image name to its sorted segment ids and their category ids; segment 0 is unlabelled.

    Raises:
        ValueError: the file is no panoptic JSON, or a number in it is none of COCO's.
    """
    content = read_json(json_file)
    table = {}
    try:
        for annotation in content["annotations"]:
            pairs = [(0, 0), *((s["id"], s["category_id"]) for s in annotation["segments_info"])]
            if not all(type(number) is int and number >= 0 for pair in pairs for number in pair):
                raise ValueError("ids must be whole numbers")
            ids, category_ids = np.array(sorted(pairs), dtype=np.int64).T
            table[Path(annotation["file_name"]).stem] = (ids, category_ids)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        place = f"annotation {len(table) + 1}"
        raise ValueError(
            f"{json_file} is no panoptic JSON of COCO ({place}: {error!r}); download it again"
        ) from error
    return table
