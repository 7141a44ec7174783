"""Documents: commands and programs of the guides run, sentences are short, links lead somewhere."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from leopart_kit.cli.declared import PACKAGES
from leopart_kit.data.scenes import SceneGenerator, write_coco_stuff, write_voc
from leopart_kit.parts import find_part, list_parts
from tests.cli import forked

REPOSITORY = Path(__file__).parents[1]
GUIDES = [
    "leopart_kit/README.md",
    "eval/reproduce_leopart.md",
    "tools/own_encoder.md",
    "tools/fine_tune.md",
    "leopart_kit/data/README.md",
    "leopart_kit/evaluation/README.md",
]
DOCUMENTS = [
    *GUIDES,
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "eval/README.md",
    "eval/deviations.md",
    "eval/scaling.md",
    "eval/protocol/README.md",
    "eval/results/README.md",
    "eval/results/log.md",
]
LONGEST_SENTENCE = 30  # words
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# What makes a command small, by what it says: added to its end, where it wins.
SMALL = {
    r"eval_segmentation(?!.*=predictions)": ["protocol.resolution=[128,128]"],
    r"eval_segmentation": ["page_images=1"],
    r"tools/train": ["trainer.max_steps=2", "trainer.warmup_steps=0", "batch_size=2"],
    r"tools/train.*recipe": ["views.global_size=112", "evaluation.protocol.resolution=[224,224]"],
    r"tools/train.*method.factory": ["evaluation.protocol.resolution=[112,112]"],
    # They ask for bfloat16: two steps take minutes where the processor emulates it.
    r"recipe=\w+_cpu_minutes": ["precision=fp32", "views.local_size=56"],
    r"recipe=\w+_cpu_minutes.*=custom": ["views.local_size=48"],  # patches of 16
    r"recipe=leopart_vits16_coco": [
        "views.num_local=1",
        "views.local_size=48",
        "method.queue_length=0",
    ],
    r"export_masks": ["protocol.resolution=[112,112]"],
    r"tools/benchmark": ['overrides="protocol.resolution=[128,128]"'],
    r"suite=papers": [
        "+encoders.leopart.only=[voc_k21, cityscapes27]",
        "+encoders.dino.only=voc_k21",
    ],
    r"=voc_unsupervised": [
        "protocol.seeds=[0]",
        "protocol.num_clusters=8",
        "protocol.foreground_clusters=10",
        "protocol.foreground_threshold=0.01",
        "protocol.refinement=[]",
    ],
    r"eval_segmentation.*=(linear|fcn|voc_linear|voc_fcn) ": [
        "protocol.epochs=1",
        "protocol.augmentation=false",
    ],
    r"eval_segmentation.*=(fcn|voc_fcn) ": [
        "protocol.channels=8",
        "protocol.head_resolution=[16,16]",
    ],
    r"=voc_in_context": ["protocol.memory_size=null", "protocol.num_augmentations=0"],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables that the guides speak of."""
    root = tmp_path_factory.mktemp("guides")
    scenes = SceneGenerator((96, 96))
    voc = root / "VOC2012"
    write_voc(voc, scenes, {"train": 6, "val": 10})
    shutil.copytree(voc / "SegmentationClass", voc / "SegmentationClassAug")
    lists = voc / "ImageSets" / "Segmentation"
    shutil.copy(lists / "train.txt", lists / "trainaug.txt")
    write_coco_stuff(root / "coco", scenes, {"train": 4, "val": 10})
    files = {}
    for name, model in (("DINO", "vit_small_patch16_224"), ("DINOV2", "vit_small_patch14_dinov2")):
        torch.manual_seed(0)
        network = timm.create_model(model, num_classes=0)
        torch.save(network.state_dict(), root / f"{name}.pth")
        files[name] = str(root / f"{name}.pth")
    images = root / "images"
    images.mkdir()
    for index in range(4):
        Image.fromarray(scenes.scene(index).image).resize((256, 256)).save(images / f"{index}.jpg")
    potholes = root / "potholes" / "val"
    potholes.mkdir(parents=True)
    for index in range(2):
        mask = np.full((64, 64), 127, np.uint8)
        mask[:40], mask[:20, :20] = 0, 255
        Image.fromarray(mask).save(potholes / f"{index}.png")
        Image.fromarray(np.stack([mask] * 3, axis=2)).save(potholes / f"{index}.jpg")
    return {
        **files,
        "LEOPART": files["DINO"],
        "VOC": str(voc),
        "COCO": str(root / "coco"),
        "IMAGES": str(images),
        "POTHOLES": str(root / "potholes"),
    }


def commands_of(text: str) -> list[str]:
    """The commands of a bash block, a line each, made small."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            extra = [w for said, words in SMALL.items() if re.search(said, line) for w in words]
            found.append(" ".join([line, *map(shlex.quote, extra)]))
    return found


@pytest.mark.parametrize("guide", GUIDES)
def test_a_guide_runs_from_top_to_bottom(guide: str, data: dict[str, str], tmp_path: Path):
    blocks = BLOCK.findall((REPOSITORY / guide).read_text())
    assert blocks, f"{guide} has nothing to run"
    (tmp_path / "tools").symlink_to(REPOSITORY / "tools")
    for language, text in blocks:
        name = re.match(r"# (\w+\.py)\n", text)
        if name is not None:
            (tmp_path / name[1]).write_text(text)
        elif language == "python":
            (tmp_path / "block.py").write_text(text)
            run("python block.py", tmp_path, data)
        else:
            for command in commands_of(text):
                run(command, tmp_path, data)


def run(command: str, folder: Path, variables: dict[str, str]) -> None:
    """A line `NAME=VALUE … python FILE WORD …`, of which the shell knows these variables too."""
    words = shlex.split(re.sub(r"\$(\w+)", lambda found: variables[found[1]], command))
    python = words.index("python")
    given = dict(word.split("=", 1) for word in words[:python])
    file, *words = words[python + 1 :]
    main, printed = forked.program(folder / file), folder / "printed"
    process = forked.start(main, file, words, printed, folder, {**variables, **given})
    process.join()
    assert process.exitcode == 0, f"{command}\n{printed.read_text()[-3000:]}"


def prose_of(text: str) -> list[str]:
    """Paragraphs and list items of a Markdown text: no code, tables, headings or comments."""
    text = re.sub(r"^```.*?^```$", "\n", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"<!--.*?-->", "\n", text, flags=re.DOTALL)
    text = re.sub(r"^(#|\|).*$", "\n", text, flags=re.MULTILINE)
    text = re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", re.sub(r"`[^`]*`", "code", text))
    parts = re.split(r"\n\s*\n|\n(?=\s*(?:-|\d+\.)\s)", text)
    return [" ".join(re.sub(r"^\s*(?:-|\d+\.)\s", "", part).split()) for part in parts]


def sentences_of(text: str) -> list[str]:
    """Sentences of the prose, cut after a full stop that does not belong to an abbreviation."""
    end = r"(?<!\bal\.)(?<!\be\.g\.)(?<!\bi\.e\.)(?<=[.!?…])[*)\"]*\s+"
    return [found for part in prose_of(text) for found in re.split(end, part) if found]


def num_words(sentence: str) -> int:
    return sum(any(c.isalnum() for c in word) for word in sentence.split())


def test_sentences_are_found_and_counted():
    text = "# No\nOne two, `a b`. By Cho et al. in 2021 (x).\n\n- x – y\n- [a b](c.md)\n| no |"
    found = sentences_of(text)
    assert found == ["One two, code.", "By Cho et al. in 2021 (x).", "x – y", "a b"]
    assert [num_words(sentence) for sentence in found] == [3, 7, 2, 2]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_sentences_are_short(document: str):
    sentences = sentences_of((REPOSITORY / document).read_text())
    assert {s: num_words(s) for s in sentences if num_words(s) > LONGEST_SENTENCE} == {}


def anchors_of(text: str) -> set[str]:
    """The fragments by which the headings of a Markdown text are linked to."""
    headings = re.findall(r"^#+ +(.+?) *$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


MARKDOWN = sorted(
    path.relative_to(REPOSITORY)
    for folder in (".", "configs", "eval", "leopart_kit", "tests", "tools")
    for path in (REPOSITORY / folder).glob("*.md" if folder == "." else "**/*.md")
)


@pytest.mark.parametrize("document", MARKDOWN, ids=str)
def test_relative_links_lead_to_files_and_headings(document: Path):
    text = (REPOSITORY / document).read_text()
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (REPOSITORY / document).parent / name if name else REPOSITORY / document
        assert target.exists(), f"{document} links to {link}"
        if anchor:
            assert anchor in anchors_of(target.read_text()), f"{document} links to {link}"


def test_every_protocol_has_a_paragraph_with_its_code():
    text = (REPOSITORY / "eval/protocol/README.md").read_text()
    blocks = re.findall(r"^(## .*`protocol=.*)\n((?:(?!^## ).*\n)+)", text, re.MULTILINE)
    paragraphs = {
        name: block for head, block in blocks for name in re.findall(r"`protocol=(\w+)", head)
    }
    packages = PACKAGES["protocol"]
    assert set(paragraphs) == set(list_parts(packages))
    for name, paragraph in paragraphs.items():
        file = find_part(packages, name, "protocol").__module__.replace(".", "/")
        assert f"(../../{file}.py)" in paragraph, name


def test_the_map_names_every_package_and_nothing_else():
    package = REPOSITORY / "leopart_kit"
    rows = re.findall(r"^\| (`.*?) \|", (package / "README.md").read_text(), re.MULTILINE)
    named = {name.rstrip("/") for row in rows for name in re.findall(r"`([^`]+)`", row)}
    packages = {path.parent.name for path in package.glob("*/__init__.py")}
    modules = {path.name for path in package.glob("[!_]*.py")}
    inside = {name for name in named if "/" in name}
    assert named - inside == packages | modules
    assert all((package / name).is_dir() for name in inside)


@pytest.mark.parametrize("document", MARKDOWN, ids=str)
def test_files_of_the_package_that_a_document_names_are_there(document: Path):
    prose = re.sub(r"^```.*?^```$", "", (REPOSITORY / document).read_text(), flags=re.M | re.S)
    places = [REPOSITORY, REPOSITORY / "leopart_kit", (REPOSITORY / document).parent]
    for name in re.findall(r"`([\w./]+/[\w.]+\.(?:py|md|yaml))`", prose):
        if "NAME" not in name:
            assert any((place / name).exists() for place in places), f"{document} names {name}"
