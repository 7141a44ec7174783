"""Procedural scenes of articulated objects, drawn on demand and written in real layouts."""

from leopart_kit.data.scenes.coco_layout import write_coco_stuff
from leopart_kit.data.scenes.dataset import ScenesSettings, procedural_scenes
from leopart_kit.data.scenes.generator import SceneGenerator
from leopart_kit.data.scenes.layouts import write_cityscapes, write_voc
from leopart_kit.data.scenes.render import Scene

PART = ScenesSettings

__all__ = [
    "Scene",
    "SceneGenerator",
    "ScenesSettings",
    "procedural_scenes",
    "write_cityscapes",
    "write_coco_stuff",
    "write_voc",
]
