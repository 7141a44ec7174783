"""Image-level figures in words, in the terminal and on the page alike."""

from __future__ import annotations

from leopart_kit.evaluation.result import LabelsUsed
from leopart_kit.image_level.evaluation import ImageLevelResult, Score
from leopart_kit.report import wording

EVALUATIONS = {
    "knn": "nearest neighbours",
    "linear": "linear classifier",
    "low_shot": "fine-tuning on few labels",
    "fine_tuning": "fine-tuning on all labels",
    "clusters": "clusters",
}
METRICS = {
    "accuracy": "accuracy",
    "purity": "purity",
    "nmi": "NMI",
    "ari": "ARI",
}


def title(score: Score) -> str:
    """`linear classifier, conv3`; figures other than accuracy carry their name."""
    metric = "" if score.metric == "accuracy" else f", {METRICS[score.metric]}"
    return f"{EVALUATIONS[score.evaluation]}, {score.variant}{metric}"


def capital(text: str) -> str:
    """The text with a capital first letter; the others stay as they are."""
    return text[:1].upper() + text[1:]


def figure(score: Score) -> str:
    """`41.7 ± 0.3`."""
    return wording.mean_and_spread(score.mean, score.std, len(score.per_seed))


def headline(result: ImageLevelResult) -> list[tuple[str, Score]]:
    """The figure at the top for each evaluation: of the last share of labels, and of the layer
    that is best on held-out *training* images."""
    shown = []
    for name in dict.fromkeys(score.evaluation for score in result.scores):
        score = result.of(name)[-1]
        if name == "linear":
            score = max(result.of(name), key=_validation_accuracy)
        shown.append((EVALUATIONS[name], score))
    return shown


def num_seeds(result: ImageLevelResult) -> int:
    """The number of seeds in words."""
    return max(len(score.per_seed) for score in result.scores)


def labels_used(result: ImageLevelResult) -> list[tuple[str, str]]:
    """For each evaluation, which steps saw classes."""
    return [(EVALUATIONS[name], _sentence(used)) for name, used in result.labels_used.items()]


def _sentence(used: LabelsUsed) -> str:
    steps = []
    if used.fit:
        steps.append("classes of training images to learn from")
    if used.select:
        steps.append("classes of held-out training images to choose settings")
    if used.match:
        steps.append("classes of test images to name the clusters")
    return "; ".join(steps) + ("" if used.match else "; test classes for the score alone")


def _validation_accuracy(score: Score) -> float:
    return sum(choice["validation_accuracy"] for choice in score.chosen)


def chosen(score: Score) -> str:
    """Choices of the seeds: `learning rate 3, weight decay 1e-05`, each once."""
    found = dict.fromkeys(
        f"learning rate {c['learning_rate']:g}, weight decay {c['weight_decay']:g}"
        for c in score.chosen
    )
    return " · ".join(found)
