"""The networks in one file: which there are, and which of them is meant.

Self-supervised training keeps two copies of a backbone, one of them a running mean of the other.
Which one a project evaluates is known for those in `_EVALUATED`; for others the user says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from leopart_kit.backbones.key_layouts import SCHEMES, Scheme
from leopart_kit.backbones.weight_tensors import shown, storage_fault
from leopart_kit.backbones.wrapped_keys import unwrapped

_MOST_LISTED = 8
_TOP = "top_level"
_OPTIMISER = re.compile(r"optimi[sz]er\w*|exp_avg\w*|momentum_buffers?|grad(ient)?s?")
_AVERAGED = re.compile(r"(?:.*_)?(?:teacher|momentum|target|ema|k|key|averaged|swa|m)(?:_.*)?")

# The evaluated network, the other one, and who evaluates so.
_EVALUATED = (
    ("teacher(_.+)?", "student(_.+)?", "DINO, iBOT, DINOv2 and lightly-train evaluate the teacher"),
    ("model|feature_extractor", "teacher", "Leopart, NeCo and TimeT evaluate the student"),
    ("base_encoder", "momentum_encoder", "MoCo v3 evaluates the network that is trained"),
    ("encoder", "momentum_encoder", "MoCo evaluates the network that is trained"),
    ("(.+_)?(q|query)(_.+)?", "(.+_)?(k|key)(_.+)?", "MoCo evaluates the query's network"),
    ("online(_.+)?", "target(_.+)?", "BYOL evaluates the online network"),
    ("backbone", "momentum_backbone|backbone_momentum", "solo-learn and lightly evaluate it"),
    ("visual_encoder", "visual_encoder_m", "ALBEF and BLIP evaluate the network that is trained"),
    ("target_encoder", "encoder", "I-JEPA evaluates the target encoder"),
    ("state_dict_ema", "state_dict", "timm evaluates the running mean"),
    ("model_ema", "model", "timm evaluates the running mean"),
)


@dataclass(frozen=True)
class Network:
    """A backbone in a file: its naming, what stands before its keys, and what tells it apart."""

    scheme: Scheme
    prefix: str
    name: str


@dataclass(frozen=True)
class Choice:
    """The network that is meant, its role (`student`, `teacher`, `single`), and why."""

    network: Network
    role: str
    reason: str = ""


def find_networks(origin: Mapping[str, str]) -> list[Network]:
    """Every backbone in a file, the shortest prefix first; moments of an optimiser are none.

    Args:
        origin: key without wrappers → key of the file, see `wrapped_keys`.
    """
    schemes: dict[str, Scheme] = {}
    for scheme in SCHEMES:
        for prefix in scheme.prefixes(origin):
            if not any(map(_OPTIMISER.fullmatch, prefix.split("."))):
                schemes.setdefault(prefix, scheme)
    prefixes = sorted(schemes, key=lambda prefix: (len(prefix), prefix))
    names = _names(prefixes)
    if "" in schemes:  # the wrapper is all that the file calls it
        marker = schemes[""].marker
        names[0] = origin[marker].removesuffix(marker).rstrip(".") or _TOP
    return [Network(schemes[p], p, name) for p, name in zip(prefixes, names, strict=True)]


def choose(networks: Sequence[Network], wanted: str, tensors: Mapping[str, Tensor]) -> Choice:
    """One of the networks in a file.

    Args:
        networks: at least one, from `find_networks`.
        wanted: the name of a network or a part of it; `student` or `teacher`, whatever these
            are called; `auto` for the one that its project evaluates.
        tensors: of the file, to tell whether networks are equal.

    Raises `ValueError` where there is no such network, or `auto` cannot tell.
    """
    if wanted != "auto":
        chosen, reason = _named(networks, wanted), "as asked"
    elif len(networks) == 1:
        chosen, reason = networks[0], ""
    else:
        chosen, reason = _evaluated(networks, tensors)
    if len(networks) == 1:
        roles = {"student", "teacher"} & set(chosen.prefix.split("."))
        return Choice(chosen, roles.pop() if roles else "single")
    reason = f"of {_listed(networks)} in the file, {shown(chosen.name)} is taken: {reason}"
    return Choice(chosen, _role(chosen, networks), reason)


def _names(prefixes: Sequence[str]) -> list[str]:
    """Distinct parts of the networks' prefixes: without what all begin or end with."""
    whole = [[part for part in prefix.split(".") if part] for prefix in prefixes]
    names = [".".join(parts) or _TOP for parts in whole]
    if len(prefixes) < 2:
        return names
    head, tail = _common(whole), _common([parts[::-1] for parts in whole])
    short = [".".join(parts[head : max(head, len(parts) - tail)]) for parts in whole]
    short = [own or name for own, name in zip(short, names, strict=True)]
    return short if len(set(short)) == len(short) else names


def _common(lists: Sequence[Sequence[str]]) -> int:
    """Length of the start that all lists share."""
    return next(
        (i for i, parts in enumerate(zip(*lists, strict=False)) if len(set(parts)) > 1),
        min(map(len, lists)),
    )


def _named(networks: Sequence[Network], wanted: str) -> Network:
    averaged = [network for network in networks if _is_averaged(network)]
    trained = [network for network in networks if network not in averaged]
    prefix = next(iter(unwrapped([f"{wanted}.x"]))).removesuffix("x")
    matches = (
        [n for n in networks if wanted == n.name],
        [n for n in networks if prefix == n.prefix],
        [n for n in networks if wanted in re.split(r"[._]", n.name)],
        {"teacher": averaged, "student": trained}.get(wanted, []),
    )
    for found in matches:
        if len(found) == 1:
            return found[0]
    raise ValueError(
        f"has no {shown(wanted)} network, only {_listed(networks)}: leave encoder.network at auto "
        "or give one of these names"
    )


def _is_averaged(network: Network) -> bool:
    return any(map(_AVERAGED.fullmatch, network.name.split(".")))


def _role(chosen: Network, networks: Sequence[Network]) -> str:
    averaged = [network for network in networks if _is_averaged(network)]
    if len(networks) == 2 and len(averaged) == 1:
        return "teacher" if chosen in averaged else "student"
    return chosen.name


def _evaluated(networks: Sequence[Network], tensors: Mapping[str, Tensor]) -> tuple[Network, str]:
    """The network that its project evaluates, and who says so."""
    groups: list[list[Network]] = []
    for network in networks[: _MOST_LISTED + 1]:
        same = (group for group in groups if _equal(group[0], network, tensors))
        group = next(same, None)
        groups.append([network]) if group is None else group.append(network)
    if len(groups) == 1 and len(networks) <= _MOST_LISTED:
        return networks[0], "they are equal"
    for group in groups:
        reasons = [_preferred(group, other) for other in groups if other is not group]
        if all(reasons) and len(networks) <= _MOST_LISTED:
            return group[0], str(reasons[0])
    raise ValueError(
        f"holds {len(networks)} networks, {_listed(networks)}, and it is not known which of them "
        "its project evaluates: set encoder.network=NAME, one of these names"
    )


def _preferred(group: Sequence[Network], others: Sequence[Network]) -> str:
    """The projects that evaluate one of the first networks and none of the others."""
    for one in group:
        for other in others:
            own, its = _names([one.prefix, other.prefix])
            for evaluated, beside, reason in _EVALUATED:
                if _has(own, evaluated) and _has(its, beside):
                    return reason
    return ""


def _has(name: str, pattern: str) -> bool:
    return any(re.fullmatch(pattern, part) for part in name.split("."))


def _equal(one: Network, other: Network, tensors: Mapping[str, Tensor]) -> bool:
    """True if two networks are the same weights, saved twice."""
    if one.scheme.name != other.scheme.name:
        return False
    first, second = _weights(one, tensors), _weights(other, tensors)
    return first.keys() == second.keys() and all(_same(first[k], second[k]) for k in first)


def _weights(network: Network, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    below = (
        (k.removeprefix(network.prefix), v)
        for k, v in tensors.items()
        if k.startswith(network.prefix)
    )
    return {key: value for key, value in below if network.scheme.rename(key)}


def _same(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return not storage_fault(one) and not storage_fault(other) and torch.equal(one, other)


def _listed(networks: Sequence[Network]) -> str:
    names = [repr(shown(network.name)) for network in networks[:_MOST_LISTED]]
    more = len(networks) - len(names)
    return (
        " and ".join(names)
        if len(names) == 2
        else ", ".join(names) + (f" and {more} more" if more else "")
    )
