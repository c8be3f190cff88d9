"""The manifest of a library's folder: sealed by hash, checked before it is used. Nothing here needs torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from envs.support.user_files import DATA_BYTES, MANIFEST_BYTES, read_file

FORMAT = 2
"""Version of the folder's format; another one is refused."""

NAME = "manifest.json"


class LibraryError(ValueError):
    """A library that cannot be used as asked; the message says why and what to do."""


def sha256(data: bytes) -> str:
    """Hexadecimal sha256."""
    return hashlib.sha256(data).hexdigest()


def sealed(manifest: Mapping[str, Any]) -> bytes:
    """A manifest as it is written: JSON that ends with the sha256 of all before it; an item of a list is a line."""
    body = "{\n " + ",\n ".join(f"{json.dumps(key)}: {_value(value)}" for key, value in manifest.items())
    return (body + _seal(body)).encode()


def _value(value: object) -> str:
    if isinstance(value, list) and value:
        return "[\n  " + ",\n  ".join(map(json.dumps, value)) + "\n ]"
    return json.dumps(value)


def _seal(body: str) -> str:
    return f',\n "sha256": "{sha256(f"{body}{_END}".encode())}"{_END}\n'


_END = "\n}"


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a library; :class:`LibraryError` where there is none, or it is damaged or of another format."""
    path = folder / NAME
    if not path.is_file():
        raise LibraryError(f"{folder} is not a library: there is no manifest.json in it (make one with npi train)")
    data = read_file(path, MANIFEST_BYTES)
    try:
        text = data.decode()
        manifest = json.loads(text)
        version = manifest["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise LibraryError(f"{path} is damaged ({error}); restore it from a copy") from error
    if version != FORMAT:
        raise LibraryError(f"{folder} has format {version}, this engine reads {FORMAT}; use the engine it is from")
    body = text[: text.rfind(',\n "sha256": "')]
    if text != body + _seal(body):
        raise LibraryError(f"{path} was changed or cut off since it was written; restore it from a copy")
    return manifest


def checked(folder: Path, name: str, digest: str) -> bytes:
    """The bytes of a file that the manifest names; :class:`LibraryError` unless they have the hash that it says."""
    path = folder / name
    if ".." in Path(name).parts or Path(name).is_absolute():
        raise LibraryError(f"{folder}: the manifest names a file outside the library: {name}")
    if not path.is_file():
        raise LibraryError(f"{folder}: {name} is missing; restore it from a copy, or train again")
    data = read_file(path, DATA_BYTES)
    if sha256(data) != digest:
        raise LibraryError(f"{path} was changed or cut off since it was written; restore it from a copy")
    return data
