"""A device that computes on the CPU and behaves to its callers as a GPU does.

`torch.device("logical")` exists from the import of this module on: PyTorch's place for other
backends, filled from Python. Its tensors hold a tensor of the CPU and say that they lie on the
device. So code runs unchanged, forwards and backwards, and

- an operation that mixes devices fails as on a GPU; 0-dim CPU tensors are scalars where torch takes
  them as such, and CPU indices are copied;
- what makes the host wait, and every copy that blocks, is written down with the line that asked. A
  copy to the device that is asked not to block does not: CUDA takes what it needs at once.

PyTorch counts its devices at the first backward pass of a process: import this before. Inference
mode is only without gradients here, since it does away with the version counters of wrapped views.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils.backend_registration import (
    _DummyBackendModule,
    _setup_privateuseone_for_python_backend,
)

aten = torch.ops.aten
Arguments = tuple[Any, ...]


class _Module(_DummyBackendModule):
    """What `torch.logical` offers."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]


_setup_privateuseone_for_python_backend("logical", _Module())
DEVICE = torch.device("logical:0")
_CPU = torch.device("cpu")

# CUDA reads a number from the device in them: a size that they must know, or a status.
_WAITING = {
    "_linalg_eigh",
    "_linalg_svd",
    "_local_scalar_dense",
    "_unique2",
    "bincount",
    "equal",
    "histc",
    "linalg_cholesky_ex",
    "masked_select",
    "nonzero",
    "unique_consecutive",
    "unique_dim",
}
_INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}
_TAKING_SCALARS = {"index_put", "index_put_", "masked_fill", "masked_fill_"}


@dataclass
class Traffic:
    """Lines of the toolkit that made the host wait, and those whose copies blocked it."""

    syncs: list[str] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{n} waits: {place}" for place, n in Counter(self.syncs).most_common()]
        lines += [f"{n} copies: {place}" for place, n in Counter(self.copies).most_common()]
        return "\n".join(lines) or "no traffic"


_watching: list[Traffic] = []


@contextmanager
def traffic() -> Iterator[Traffic]:
    """Writes down what happens inside, in all threads."""
    seen = Traffic()
    _watching.append(seen)
    try:
        yield seen
    finally:
        _watching.remove(seen)


class DeviceTensor(torch.Tensor):
    """A tensor on the logical device; `held` has its values."""

    held: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # pyright: ignore

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> DeviceTensor:
        made = torch.Tensor._make_wrapper_subclass(  # pyright: ignore
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    def tolist(self) -> Any:
        """As torch's own, which moves the tensor to the host first."""
        return self.cpu().tolist()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.held.__reduce_ex__(protocol)  # as a GPU tensor read with map_location="cpu"

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"DeviceTensor({self.held!r})"


def _run(func: Any, args: Arguments, kwargs: dict[str, Any]) -> Any:
    """The operation on what the tensors hold."""
    name = func._schema.name.removeprefix("aten::")
    tensors = [x for x in pytree.tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
    _check_devices(func, name, args, tensors)
    _check_generator(func, kwargs)
    if _watching:
        _watch(name, args, kwargs)
    inner_args, inner = pytree.tree_map(_held, (args, kwargs))
    if kwargs.get("device") is not None:
        inner["device"] = _CPU
    result = func(*inner_args, **inner)
    if name == "_to_copy" and _goes_to_host(kwargs):
        return result
    if name == "copy_" and not isinstance(args[0], DeviceTensor):
        return args[0]  # a tensor of the host
    wrapped = pytree.tree_map(_wrapped, result)
    return return_and_correct_aliasing(func, args, kwargs, wrapped)


def _held(value: Any) -> Any:
    return value.held if isinstance(value, DeviceTensor) else value


def _wrapped(value: Any) -> Any:
    return DeviceTensor(value) if isinstance(value, torch.Tensor) else value


def _goes_to_host(kwargs: dict[str, Any]) -> bool:
    given = kwargs.get("device")
    return given is not None and torch.device(given) == _CPU


def _indices(name: str, args: Arguments) -> list[torch.Tensor]:
    return [x for x in args[1] if x is not None] if name in _INDEXING else []


def _check_devices(func: Any, name: str, args: Arguments, tensors: list[torch.Tensor]) -> None:
    """Raise where a GPU would: its tensors beside those of the host."""
    on_host = [x for x in tensors if not isinstance(x, DeviceTensor)]
    if name in ("copy_", "_to_copy") or len(on_host) == len(tensors):
        return
    scalars = torch.Tag.pointwise in func.tags or name in _TAKING_SCALARS
    scalars |= name.startswith("_foreach_")
    indices = _indices(name, args)
    for tensor in on_host:
        if not (tensor.ndim == 0 and scalars) and not any(tensor is x for x in indices):
            raise RuntimeError(
                f"{func}: expected all tensors on one device, found {DEVICE} and a CPU tensor of "
                f"shape {list(tensor.shape)}, at {_place()}"
            )


def _check_generator(func: Any, kwargs: dict[str, Any]) -> None:
    generator = kwargs.get("generator")
    if generator is not None and generator.device == _CPU:
        raise RuntimeError(f"{func}: a CPU generator draws nothing on a device, at {_place()}")


def _watch(name: str, args: Arguments, kwargs: dict[str, Any]) -> None:
    if name == "copy_":
        to_device, from_device = (isinstance(x, DeviceTensor) for x in args[:2])
        blocks = not kwargs.get("non_blocking", args[2] if len(args) > 2 else False)
        if to_device != from_device and blocks:
            _note("copies" if to_device else "syncs", name)
    elif name == "_to_copy" and _goes_to_host(kwargs):
        _note("syncs", name)
    elif name in _INDEXING:
        _watch_indices(name, args)
    elif name in _WAITING or (name == "repeat_interleave" and not kwargs.get("output_size")):
        _note("syncs", name)


def _watch_indices(name: str, args: Arguments) -> None:
    indices = _indices(name, args)
    for index in indices:
        if not isinstance(index, DeviceTensor):
            _note("copies", name)
    masks = [x for x in indices if x.dtype in (torch.bool, torch.uint8)]
    one_value = name != "index" and len(masks) == 1 and args[2].numel() == 1
    if masks and not one_value:  # a mask and one value is a masked fill
        _note("syncs", name)


def _note(kind: str, name: str) -> None:
    line = f"{name} at {_place()}"
    for seen in _watching:
        getattr(seen, kind).append(line)


def _place() -> str:
    """The innermost line of the toolkit that is being run."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if "leopart_kit" in name and "/tests/" not in name:
            return f"leopart_kit{name.rpartition('leopart_kit')[2]}:{frame.f_lineno}"
        frame = frame.f_back
    return "outside the toolkit"


def _made_on_device(func: Any, *args: Any, **kwargs: Any) -> Any:
    return _run(func, args, kwargs)


def _copy_from(source: torch.Tensor, target: torch.Tensor, non_blocking: bool = False) -> Any:
    """How torch itself copies in places where it bypasses `__torch_dispatch__`."""
    return _run(aten.copy_.default, (target, source, non_blocking), {})


_everything = torch.library.Library("_", "IMPL")
_everything.fallback(_made_on_device, "PrivateUse1")
_everything.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
_aten = torch.library.Library("aten", "IMPL")
_aten.impl("_copy_from", _copy_from, "PrivateUse1")


def _enter(mode: Any) -> None:
    mode.no_grad = torch.no_grad()
    mode.no_grad.__enter__()


def _leave(mode: Any, kind: Any, error: Any, trace: Any) -> None:
    mode.no_grad.__exit__(kind, error, trace)


torch.inference_mode.__enter__ = _enter  # pyright: ignore
torch.inference_mode.__exit__ = _leave  # pyright: ignore
