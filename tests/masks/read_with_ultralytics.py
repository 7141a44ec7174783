"""Opens YOLO data sets as ultralytics does to train, in a process of its own.

ultralytics changes torch.save, OpenCV's threads and NumPy's printing for the whole process.
`python read_with_ultralytics.py OUT.json DATA.yaml …` writes what it found of each.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def read(path: str) -> dict[str, Any]:
    """Class names, and file, shape, classes and polygons (shares of the sides) of each image."""
    from ultralytics.data.dataset import YOLODataset  # type: ignore[import-not-found]
    from ultralytics.data.utils import check_det_dataset  # type: ignore[import-not-found]
    from ultralytics.utils import DEFAULT_CFG  # type: ignore[import-not-found]

    data = check_det_dataset(path)
    dataset = YOLODataset(
        img_path=sorted({data["train"], data["val"]}),
        data=data,
        task="segment",
        imgsz=64,
        augment=True,
        hyp=DEFAULT_CFG,  # with augment, ultralytics refuses a set without labels
    )
    assert sorted(dataset.im_files) == sorted(label["im_file"] for label in dataset.labels)
    for index in range(len(dataset)):
        assert dataset[index]["img"].shape == (3, 64, 64)
    return {
        "names": list(data["names"].values()),
        "images": [
            {
                "file": label["im_file"],
                "shape": label["shape"],
                "classes": label["cls"].ravel().astype(int).tolist(),
                "segments": [segment.tolist() for segment in label["segments"]],
            }
            for label in dataset.labels
        ],
    }


if __name__ == "__main__":
    found = [read(path) for path in sys.argv[2:]]
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(found, file)
