"""Manifests: JSON that ends with the sha256 of all before it, so that a file that was changed or cut off is known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def sha256(data: bytes) -> str:
    """Hexadecimal sha256."""
    return hashlib.sha256(data).hexdigest()


def sealed(manifest: Mapping[str, Any]) -> bytes:
    """A manifest as it is written: JSON that ends with the sha256 of all before it; an item of a list is a line."""
    body = "{\n " + ",\n ".join(f"{json.dumps(key)}: {_value(value)}" for key, value in manifest.items())
    return (body + _seal(body)).encode()


def is_sealed(text: str) -> bool:
    """Whether a text is as :func:`sealed` made it."""
    body = text[: text.rfind(',\n "sha256": "')]
    return text == body + _seal(body)


def seal_in(data: bytes) -> str:
    """The sha256 that a manifest of :func:`sealed` ends with."""
    return data[: -len(f'"{_END}\n')][-64:].decode()


def _value(value: object) -> str:
    if isinstance(value, list) and value:
        return "[\n  " + ",\n  ".join(map(json.dumps, value)) + "\n ]"
    return json.dumps(value)


def _seal(body: str) -> str:
    return f',\n "sha256": "{sha256(f"{body}{_END}".encode())}"{_END}\n'


_END = "\n}"
