"""Tensor files and hashes; files are written whole or not at all by :func:`envs.support.atomic_files.write_whole`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from envs.support.atomic_files import write_whole
from envs.support.user_files import DATA_BYTES, read_file
from npi.core.base import tensors_digest
from npi.library.manifest import sha256

__all__ = ["read_tensors", "sha256", "tensors_bytes", "tensors_in", "write_whole"]


def tensors_bytes(tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any] | None = None) -> bytes:
    """A safetensors file of the tensors; ``about`` travels in its header as JSON, beside a hash of everything."""
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}  # memory of its own
    text = json.dumps(about or {}, sort_keys=True)
    return save(plain, {"about": f"{_seal(plain, text)} {text}"})  # one entry: several have no fixed order


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors and ``about`` of a file of :func:`tensors_bytes`; raises ``ValueError`` for a damaged one."""
    return tensors_in(read_file(path, DATA_BYTES), path)


def tensors_in(data: bytes, path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """:func:`read_tensors` from the bytes of a file that was read; its path is for messages."""
    try:
        tensors = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except (SafetensorError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged or not a tensor file ({error})") from error
    seal, _, text = header.get("__metadata__", {}).get("about", "").partition(" ")
    if seal != _seal(tensors, text):
        raise ValueError(f"{path} was changed or cut off since it was written")
    return tensors, json.loads(text)


def _seal(tensors: Mapping[str, torch.Tensor], text: str) -> str:
    return sha256(f"{tensors_digest(tensors)} {text}".encode())
