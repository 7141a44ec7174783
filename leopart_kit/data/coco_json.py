"""What is needed of COCO's JSON files, which reach a gigabyte for the training images."""

from __future__ import annotations

import json
import mmap
from pathlib import Path

import numpy as np

from leopart_kit.data.coco_labels import categories

Segments = dict[str, tuple[np.ndarray, np.ndarray]]


def check_categories(json_file: Path, *tables: dict[str, str]) -> str:
    """A note on where the categories come from, after comparing them with COCO's own.

    Raises:
        ValueError: the JSON has a category that is not in `tables`, or in another supercategory.
    """
    if not json_file.exists():
        return f"COCO's own categories ({json_file.name} is not there)"
    known = categories(*tables)
    for category in read_categories(json_file):
        coco_id, supercategory = int(category["id"]), category["supercategory"]
        if coco_id not in known or known[coco_id][1] != supercategory:
            raise ValueError(
                f"{json_file} has category {coco_id} in {supercategory!r}, which is not COCO's; "
                "use the JSON that belongs to the masks"
            )
    return f"categories of {json_file.name}"


def read_categories(json_file: Path) -> list[dict[str, str]]:
    """The list under `categories`, without parsing the rest of the file.

    Raises:
        ValueError: the file has no such list.
    """
    key = b'"categories"'
    try:
        with (
            json_file.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as m,
        ):
            start = m.find(b"[", m.find(key) + len(key)) if m.find(key) >= 0 else -1
            end = m.find(b"]", start)
            return json.loads(m[start : end + 1])
    except (ValueError, OSError) as error:
        raise ValueError(f"{json_file} has no list of categories; download it again") from error


def read_segments(json_file: Path) -> Segments:
    """Image name to its sorted segment ids and their category ids; segment 0 is unlabelled."""
    content = json.loads(json_file.read_text(encoding="utf-8"))
    table = {}
    for annotation in content["annotations"]:
        pairs = [(0, 0), *((s["id"], s["category_id"]) for s in annotation["segments_info"])]
        ids, category_ids = np.array(sorted(pairs), dtype=np.int64).T
        table[Path(annotation["file_name"]).stem] = (ids, category_ids)
    return table
