"""Files with several copies of a backbone, and wrappers' names inside keys."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from leopart_kit.backbones import load_encoder, read_checkpoint
from leopart_kit.backbones.wrapped_keys import unwrapped
from tests.backbones import checkpoint_files as files
from tests.backbones.checkpoint_files import State, assert_same


def below(prefix: str, state: State) -> State:
    """The state dict under longer keys."""
    return {prefix + key: value for key, value in state.items()}


def save(path: Path, **networks: State) -> Path:
    """A file of Lightning's form."""
    content = {k: v for prefix, state in networks.items() for k, v in below(prefix, state).items()}
    torch.save({"state_dict": content, "epoch": 3}, path)
    return path


OURS, OTHER, THIRD = (files.tiny_state(seed) for seed in range(3))

# The prefix of the network that its project evaluates, and that of the other one.
KNOWN = {
    "DINO": ("teacher.backbone.", "student.module.backbone."),
    "DINOv2": ("model.teacher.backbone.", "model.student.backbone."),
    "lightly-train": (
        "teacher_embedding_model_wrapper._model.",
        "student_embedding_model_wrapper._model.",
    ),
    "lightly-train's DINO": (
        "teacher_embedding_model.wrapped_model._model.",
        "student_embedding_model.wrapped_model._model.",
    ),
    "lightly": ("teacher_backbone.", "student_backbone."),
    "NeCo": ("model.", "teacher."),
    "TimeT": ("feature_extractor.backbone.", "teacher.backbone."),
    "MoCo": ("module.encoder_q.", "module.encoder_k."),
    "query and key": ("query_encoder.", "key_encoder."),
    "MoCo v3": ("module.base_encoder.", "module.momentum_encoder."),
    "BYOL": ("online_encoder.net.", "target_encoder.net."),
    "BYOL of mmselfsup": ("online_net.0.", "target_net.0."),
    "solo-learn": ("backbone.", "momentum_backbone."),
    "I-JEPA": ("target_encoder.module.", "encoder.module."),
    "BLIP": ("visual_encoder.", "visual_encoder_m."),
}


@pytest.mark.parametrize("project", KNOWN)
def test_the_network_that_its_project_evaluates_is_taken(tmp_path: Path, project: str, caplog):
    evaluated, other = KNOWN[project]
    path = save(tmp_path / "file.ckpt", **{other: OTHER, evaluated: OURS})
    with caplog.at_level(logging.INFO):
        state, report = read_checkpoint(path)
    assert_same(state, OURS)
    assert len(report.networks) == 2
    for name in report.networks:
        assert name in str(report)
        assert name in caplog.text
        chosen, _ = read_checkpoint(path, network=name)
        first = name.split(".")[0]
        assert_same(chosen, OURS if first in evaluated.split(".") else OTHER)
    assert f"state_dict.{other}norm.weight" in report.dropped
    roles = [read_checkpoint(path, network=role)[0] for role in ("student", "teacher")]
    assert sorted(torch.equal(s["norm.bias"], OURS["norm.bias"]) for s in roles) == [False, True]


@pytest.mark.parametrize("names", [("state_dict", "state_dict_ema"), ("model", "model_ema")])
def test_running_means_beside_the_network(tmp_path: Path, names: tuple[str, str]):
    plain, mean = names
    torch.save({plain: OTHER, mean: below("module.", OURS)}, tmp_path / "file.pth")
    state, report = read_checkpoint(tmp_path / "file.pth")
    assert_same(state, OURS)
    assert set(report.networks) == set(names)
    assert_same(read_checkpoint(tmp_path / "file.pth", network=plain)[0], OTHER)


@pytest.mark.parametrize("vit", ["vit.", ""])
def test_a_training_checkpoint_of_this_toolkit(tmp_path: Path, vit: str):
    """It says which network it is for; the student in those that do not say."""
    networks = {f"student.backbone.{vit}": OURS, f"teacher.backbone.{vit}": OTHER}
    state = {k: v for prefix, part in networks.items() for k, v in below(prefix, part).items()}
    for said, expected in (
        ({}, OURS),
        ({"encoder": "student.backbone"}, OURS),
        ({"encoder": "teacher.backbone"}, OTHER),
    ):
        torch.save({"format": "leopart_kit", **said, "state_dict": state}, tmp_path / "step.pt")
        assert_same(read_checkpoint(tmp_path / "step.pt")[0], expected)


UNKNOWN = [
    ("alpha.", "beta."),
    ("net_1.backbone.", "net_2.backbone."),
    ("", "ema."),
    ("module.", "module_ema."),
    ("module.", ""),
    ("a.", "a.a."),
    ("ema_model.", "online_model."),
    ("model.", "ema_model.module."),
    ("first\nsecond.", "x" * 300 + "."),
    ("a.", "b.", "c."),
    tuple(f"fold_{i}." for i in range(12)),
]


@pytest.mark.parametrize("prefixes", UNKNOWN)
def test_no_network_is_dropped_in_silence(tmp_path: Path, prefixes: tuple[str, ...]):
    """Whatever they are called: one line names them, and each can be had by its name."""
    states = [OURS, OTHER, THIRD, *(files.tiny_state(seed) for seed in range(3, len(prefixes)))]
    given_states = dict(zip(prefixes, states, strict=False))
    content = {k: v for p, state in given_states.items() for k, v in below(p, state).items()}
    torch.save(content, tmp_path / "file.pth")
    with pytest.raises(ValueError, match=r"encoder\.network=") as caught:
        read_checkpoint(tmp_path / "file.pth")
    message = str(caught.value)
    assert "file.pth" in message
    assert "\n" not in message
    assert len(message) < 1200
    for prefix, state in given_states.items():
        name = prefix.rstrip(".") or "top_level"
        assert_same(read_checkpoint(tmp_path / "file.pth", network=name)[0], state)
    for name in re.findall(r"'([^']+)'", message):
        if "..." not in name and "\\" not in name:
            read_checkpoint(tmp_path / "file.pth", network=name)


def test_two_networks_of_two_namings_or_sizes(tmp_path: Path):
    """The frozen teacher of a distillation is another network."""
    renamed = files.to_hugging_face(OTHER, files.HF_OLD_VIT)
    torch.save({**below("small.", OURS), **below("large.", renamed)}, tmp_path / "file.pth")
    with pytest.raises(ValueError, match="small"):
        read_checkpoint(tmp_path / "file.pth")
    assert_same(read_checkpoint(tmp_path / "file.pth", network="small")[0], OURS)
    assert_same(read_checkpoint(tmp_path / "file.pth", network="large.vit")[0], OTHER)


def test_the_same_weights_twice_are_one_network(tmp_path: Path):
    copies = {name: {k: v.clone() for k, v in OURS.items()} for name in ("net.", "again.")}
    state, report = read_checkpoint(save(tmp_path / "file.ckpt", **copies))
    assert_same(state, OURS)
    assert set(report.networks) == {"net", "again"}
    three = {"net.": OURS, "online_encoder.net.": OURS, "target_encoder.net.": OTHER}
    assert_same(read_checkpoint(save(tmp_path / "byol.ckpt", **three))[0], OURS)


def test_moments_of_an_optimiser_are_no_network(tmp_path: Path):
    moments = {"exp_avg": dict(OTHER), "exp_avg_sq": dict(THIRD)}
    torch.save({"model": OURS, "optimizer": {"state": moments}}, tmp_path / "file.pth")
    state, report = read_checkpoint(tmp_path / "file.pth")
    assert_same(state, OURS)
    assert report.network == "single"
    assert any(key.startswith("optimizer") for key in report.dropped)


def test_the_option_reaches_the_file(tmp_path: Path):
    state = load_encoder("vitmini8", "random").state_dict()
    own = {key.removeprefix("vit."): value for key, value in state.items()}
    twice = {**below("a.", own), **below("b.", {k: v + 1 for k, v in own.items()})}
    torch.save(twice, tmp_path / "file.pth")
    loaded = load_encoder("vitmini8", tmp_path / "file.pth", network="b").state_dict()
    assert torch.equal(loaded["vit.norm.bias"], state["vit.norm.bias"] + 1)


WRAPPERS = (
    "_orig_mod",
    "module",
    "_fsdp_wrapped_module",
    "_fpw_module",
    "_checkpoint_wrapped_module",
    "_forward_module",
    "_module",
)


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_wrappers_are_dropped_wherever_they_stand(tmp_path_factory, data):
    """Any chain of wrappers before, inside and behind the names of modules."""
    wrapped: dict[str, list[str]] = {}  # module → the wrappers around it, the same for all its keys
    chains = st.lists(st.sampled_from(WRAPPERS), max_size=2)
    state: State = {}
    for key, value in OURS.items():
        *modules, leaf = key.split(".")
        parts = list(wrapped.setdefault("", data.draw(chains) if "" not in wrapped else []))
        for depth, module in enumerate(modules):
            path = ".".join(modules[: depth + 1])
            if path not in wrapped:
                wrapped[path] = data.draw(chains)
            parts += [module, *wrapped[path]]
        state[".".join([*parts, leaf])] = value
    path = tmp_path_factory.getbasetemp() / "wrapped.pt"
    torch.save({"student": state}, path)
    read, report = read_checkpoint(path)
    assert_same(read, OURS)
    assert set(report.recognised) == {f"student.{key}" for key in state}


@settings(deadline=None, max_examples=200)
@given(
    st.sets(st.lists(st.sampled_from(["a", "b", *WRAPPERS]), min_size=1, max_size=4).map(".".join))
)
def test_no_key_is_lost_by_unwrapping(keys):
    origin = unwrapped(keys)
    assert sorted(origin.values()) == sorted(keys)
    assert unwrapped(sorted(keys, reverse=True)) == origin
