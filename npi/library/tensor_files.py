"""Tensor files and hashes; files are written whole or not at all by :func:`envs.support.atomic_files.write_whole`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from envs.support.atomic_files import write_whole
from envs.support.typed_json import FormatError, read_json
from envs.support.user_files import DATA_BYTES, read_file
from npi.core.base import tensors_digest
from npi.library.manifest import LibraryError, sha256

__all__ = [
    "check_tensors", "read_tensors", "sha256", "shapes_of", "tensors_bytes", "tensors_in", "write_whole"
]  # fmt: skip

Check = Callable[[Any], None]


DTYPES = {torch.float32, torch.float64, torch.int16, torch.int32, torch.int64, torch.uint8, torch.bool}
"""What numbers in files can be."""


def tensors_bytes(tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any] | None = None) -> bytes:
    """A safetensors file of the tensors; ``about`` travels in its header as JSON, beside a hash of everything."""
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}  # memory of its own
    text = json.dumps(about or {}, sort_keys=True)
    return save(plain, {"about": f"{_seal(plain, text)} {text}"})  # one entry: several have no fixed order


def read_tensors(
    path: Path, kind: Any = dict, before: Check = lambda about: None
) -> tuple[dict[str, torch.Tensor], Any]:
    """Tensors and ``about``, in its type, of a file of :func:`tensors_bytes`.

    Args:
        kind, before: as :func:`envs.support.typed_json.read_json` takes them.

    Raises :class:`LibraryError` for a damaged file, :class:`FormatError` for an ``about`` of another type.
    """
    tensors, text = _unsealed(read_file(path, DATA_BYTES), path)
    return tensors, read_json(kind, text, before)


def tensors_in(data: bytes, path: Path) -> dict[str, torch.Tensor]:
    """The tensors of :func:`read_tensors` from the bytes of a file that was read; its path is for messages."""
    return _unsealed(data, path)[0]


def _unsealed(data: bytes, path: Path) -> tuple[dict[str, torch.Tensor], str]:
    try:
        tensors = load(data)
        header = read_json(dict[str, dict[str, Any]], data[8 : 8 + int.from_bytes(data[:8], "little")])
        if strange := {tensor.dtype for tensor in tensors.values()} - DTYPES:
            raise FormatError(f"it holds numbers of type {strange.pop()}")
    except (SafetensorError, FormatError) as error:
        raise LibraryError(f"{path} is damaged or not a tensor file ({error})") from error
    seal, _, text = str(header.get("__metadata__", {}).get("about", "")).partition(" ")
    if seal != _seal(tensors, text):
        raise LibraryError(f"{path} was changed or cut off since it was written")
    return tensors, text


Shapes = Mapping[str, tuple[torch.dtype, Sequence[int | None]]]
"""For each name the type of a tensor and its shape, with None for any size."""


def shapes_of(tensors: Mapping[str, torch.Tensor]) -> Shapes:
    """The shapes of tensors that are there."""
    return {name: (tensor.dtype, tensor.shape) for name, tensor in tensors.items()}


def check_tensors(tensors: Mapping[str, torch.Tensor], expected: Shapes, *, finite: bool = True) -> None:
    """Raise :class:`FormatError` unless there are these tensors and no others, their numbers ``finite``."""
    for name in expected.keys() ^ tensors.keys():
        raise FormatError(f"tensor {name!r} is {'missing' if name in expected else 'not of this format'}")
    for name, (dtype, shape) in expected.items():
        found = tensors[name]
        sizes = zip(found.shape, shape, strict=False)
        if found.dtype != dtype or found.dim() != len(shape) or any(b not in (a, None) for a, b in sizes):
            wanted = f"{dtype} {['any' if size is None else size for size in shape]}"
            raise FormatError(f"tensor {name!r} is {found.dtype} {[*found.shape]}, expected {wanted}")
        if finite and not bool(found.isfinite().all()):
            raise FormatError(f"tensor {name!r} holds numbers that are not finite")


def _seal(tensors: Mapping[str, torch.Tensor], text: str) -> str:
    return sha256(f"{tensors_digest(tensors)} {text}".encode())
