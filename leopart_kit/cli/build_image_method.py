"""The image-level methods from the group `method`: network, views and samples of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from leopart_kit.backbones import load_encoder
from leopart_kit.cli.build import build_part, plain
from leopart_kit.cli.build_training import check_patches, choose_workers
from leopart_kit.cli.run_parts import RunParts
from leopart_kit.cli.saved_networks import load_classifier
from leopart_kit.data import (
    CentralView,
    HiddenRegionTransform,
    OfImage,
    PatchPairTransform,
    RandomViews,
    ViewSettings,
    read_captions,
)
from leopart_kit.methods import (
    CLIP,
    DINO,
    MAE,
    Autoencoder,
    CaptionTokenizer,
    CLIPSettings,
    ContextEncoder,
    ContextPrediction,
    DeepCluster,
    DINOSettings,
    Distillation,
    DistillationSettings,
    Exemplar,
    ImageClassifier,
    ImageClusterer,
    Method,
    MoCoV2,
    MoCoV3,
    ProjectionHead,
    Prototypes,
    RotNet,
    SeLa,
    SimCLR,
    SwAV,
    SwAVSettings,
    Teacher,
    labelling_steps,
)
from leopart_kit.training import ImagesOf, ImagesWith, OrderedImages, SeededSamples

Built = tuple[Method, SeededSamples]
Options = dict[str, Any]

# What stands in the group beside the settings of the method itself.
_AROUND = ("name", "drop_path", "views", "region", "training")
# Views of an image that a method can do with, where not any number will do.
_NUM_VIEWS = {
    "autoencoder": 1,
    "clip": 1,
    "context_encoder": 1,
    "mae": 1,
    "moco_v2": 2,
    "moco_v3": 2,
    "rotnet": 1,
    "simclr": 2,
}


def build_image_method(parts: RunParts) -> Built:
    """The method and its samples; `IMAGE_METHODS` has the names."""
    options = plain(parts.config.method)
    for key in _AROUND:
        options.pop(key, None)
    return IMAGE_METHODS[parts.config.method.name](parts, options)


def build_random_views(parts: RunParts) -> RandomViews:
    """The views of `method.views`, in the order of the file, within `method.region` if it has one.

    Raises:
        ValueError: a setting that does not exist or is out of range, a view that is no whole number
            of patches wide, or more or fewer views than the method takes.
    """
    kinds = []
    for name, node in plain(parts.config.method.views).items():
        group = f"method.views.{name}"
        options = {k: tuple(v) if isinstance(v, list) else v for k, v in node.items()}
        kind = build_part(ViewSettings, group, options)
        if kind.count:
            check_patches(f"{group}.size", kind.size, parts.encoder)
        kinds.append(kind)
    method, given = parts.config.method.name, sum(kind.count for kind in kinds)
    if given != _NUM_VIEWS.get(method, given):
        raise ValueError(
            f"{method} needs {_NUM_VIEWS[method]} of the views of each image, method.views makes "
            f"{given}: change the count of {' or '.join(plain(parts.config.method.views))}"
        )
    region = tuple(plain(parts.config.method).get("region", (1.0, 1.0)))
    return RandomViews(kinds, parts.encoder.mean, parts.encoder.std, region)


def _views_only(make: Callable[..., Method]) -> Callable[[RunParts, Options], Built]:
    """A method that is made of an encoder and numbers, and trained on views alone."""

    def build(parts: RunParts, options: Options) -> Built:
        views = build_random_views(parts)
        method = build_part(make, "method", {"encoder": parts.encoder, **options})
        return method, _samples(parts, views)

    return build


def _samples(parts: RunParts, transform: Callable[[Any], Any]) -> SeededSamples:
    return SeededSamples(ImagesOf(parts.dataset), transform, parts.config.seed)


def _numbered_samples(parts: RunParts, views: RandomViews) -> SeededSamples:
    numbered = ImagesWith(parts.dataset, range(len(parts.dataset)))
    return SeededSamples(numbered, OfImage(views), parts.config.seed)


def _in_order(parts: RunParts, views: RandomViews) -> OrderedImages:
    """The set as the views are, without chance."""
    central = CentralView(views.views[0].size, parts.encoder.mean, parts.encoder.std)
    workers = choose_workers(parts.config.num_workers, parts.fabric)
    return OrderedImages(ImagesOf(parts.dataset), central, num_workers=workers)


def _autoencoder(parts: RunParts, options: Options) -> Built:
    views = build_random_views(parts)
    given = {"encoder": parts.encoder, "image_size": views.views[0].size}
    return build_part(Autoencoder, "method", {**options, **given}), _samples(parts, views)


def _context_encoder(parts: RunParts, options: Options) -> Built:
    views = build_random_views(parts)
    transform = HiddenRegionTransform(views, options.pop("hidden_share"))
    given = {"encoder": parts.encoder, "image_size": views.views[0].size}
    return build_part(ContextEncoder, "method", {**options, **given}), _samples(parts, transform)


def _context_prediction(parts: RunParts, options: Options) -> Built:
    encoder = parts.encoder
    size = options.pop("patch_size")
    check_patches("method.patch_size", size, encoder)
    geometry = {key: options.pop(key) for key in ("gap", "jitter", "keep_colour", "image_side")}
    transform = PatchPairTransform(size, mean=encoder.mean, std=encoder.std, **geometry)
    method = build_part(ContextPrediction, "method", {"encoder": encoder, **options})
    return method, _samples(parts, transform)


def _exemplar(parts: RunParts, options: Options) -> Built:
    views = build_random_views(parts)
    number = options.pop("num_exemplars")
    if number is not None and not 2 <= number <= len(parts.dataset):
        raise ValueError(
            f"method.num_exemplars={number}: give 2 to {len(parts.dataset)}, the images of the set"
        )
    if number is not None:
        parts = replace(parts, dataset=parts.dataset.spread(number))
    given = {"encoder": parts.encoder, "num_images": len(parts.dataset)}
    method = build_part(Exemplar, "method", {**options, **given})
    return method, _numbered_samples(parts, views)


def _deep_cluster(parts: RunParts, options: Options) -> Built:
    views = build_random_views(parts)
    given = {
        "encoder": parts.encoder,
        "images": _in_order(parts, views),
        "relabel_every": max(1, parts.steps(options.pop("relabel_epochs"))),
        "seed": parts.config.seed,
    }
    method = build_part(DeepCluster, "method", {**options, **given})
    return method, _numbered_samples(parts, views)


def _sela(parts: RunParts, options: Options) -> Built:
    views = build_random_views(parts)
    steps = labelling_steps(options.pop("num_labellings"), parts.settings.max_steps)
    given = {
        "encoder": parts.encoder,
        "images": _in_order(parts, views),
        "relabel_at": steps,
    }
    method = build_part(SeLa, "method", {**options, **given})
    return method, _numbered_samples(parts, views)


def _swav(parts: RunParts, options: Options) -> Built:
    views = build_random_views(parts)
    head = {key: options.pop(key) for key in ("hidden_dim", "out_dim")}
    prototypes = Prototypes(head["out_dim"], options.pop("num_prototypes"))
    embed_dim = parts.encoder.embed_dim
    projection = ProjectionHead(embed_dim, **head, num_layers=2, batch_norm=True, activation="relu")
    given = {
        "num_global": _num_global(parts),
        "frozen_prototype_steps": parts.steps(options.pop("frozen_prototype_epochs")),
    }
    settings = build_part(SwAVSettings, "method", {**options, **given})
    network = ImageClusterer(parts.encoder, projection, prototypes)
    return SwAV(network, settings), _samples(parts, views)


def _dino(parts: RunParts, options: Options) -> Built:
    views = build_random_views(parts)
    head = {key: options.pop(key) for key in ("hidden_dim", "out_dim")}
    prototypes = Prototypes(head["out_dim"], options.pop("num_outputs"))
    projection = ProjectionHead(
        parts.encoder.embed_dim, **head, batch_norm=options.pop("head_batch_norm")
    )
    given = {
        "num_global": _num_global(parts),
        "temperature_warmup_steps": parts.steps(options.pop("temperature_warmup_epochs")),
        "frozen_last_layer_steps": parts.steps(options.pop("frozen_last_layer_epochs")),
    }
    settings = build_part(DINOSettings, "method", {**options, **given})
    network = ImageClusterer(parts.encoder, projection, prototypes)
    return DINO(network, settings), _samples(parts, views)


def _num_global(parts: RunParts) -> int:
    """Views that are targets: all kinds but the one named local."""
    kinds = plain(parts.config.method.views)
    return sum(kind["count"] for name, kind in kinds.items() if name != "local")


def _distillation(parts: RunParts, options: Options) -> Built:
    views = build_random_views(parts)
    classifier = _teacher(options.pop("teacher"))
    for view in views.views:
        check_patches("method.views.image.size", view.size, classifier.backbone)
    settings = build_part(DistillationSettings, "method", options)
    student = ImageClassifier(parts.encoder, classifier.linear.out_features)
    method = Distillation(student, Teacher(classifier, parts.encoder), settings)
    return method, _samples(parts, views)


def _teacher(options: Options) -> ImageClassifier:
    head = Path(options.pop("head")).expanduser()
    if str(options["weights"]) not in ("auto", "random"):
        options["weights"] = Path(options["weights"]).expanduser()
    return load_classifier(build_part(load_encoder, "method.teacher", options), head)


def _clip(parts: RunParts, options: Options) -> Built:
    views = build_random_views(parts)
    path = options.pop("captions")
    settings = build_part(CLIPSettings, "method", options)
    captions = read_captions(path, parts.dataset)
    tokenizer = CaptionTokenizer.train(captions.texts, settings.vocabulary_size)
    pairs = ImagesWith(parts.dataset, captions.texts, captions.indices)
    samples = SeededSamples(pairs, OfImage(views), parts.config.seed)
    return CLIP(parts.encoder, tokenizer, settings), samples


IMAGE_METHODS: dict[str, Callable[[RunParts, Options], Built]] = {
    "autoencoder": _autoencoder,
    "clip": _clip,
    "context_encoder": _context_encoder,
    "context_prediction": _context_prediction,
    "deep_cluster": _deep_cluster,
    "dino": _dino,
    "distillation": _distillation,
    "exemplar": _exemplar,
    "mae": _views_only(MAE),
    "moco_v2": _views_only(MoCoV2),
    "moco_v3": _views_only(MoCoV3),
    "rotnet": _views_only(RotNet),
    "sela": _sela,
    "simclr": _views_only(SimCLR),
    "swav": _swav,
}
