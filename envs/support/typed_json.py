"""JSON of files that anybody may have written: read strictly, in the type that its format declares.

The type is a dataclass, or tuples, lists and mappings of such. Nothing is converted (2.0 is no whole number), and an
object has the fields that are declared and no others. Pydantic compares the two.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

MAX_DEPTH = 64
"""Levels of lists and objects in each other, beyond which a text is refused: what goes through it nests as deep."""

MAX_INT = 2**64
"""Whole numbers from here on are refused, and from as far below zero."""


Number = float | int
"""A number that stays what it is: of ``float`` alone, 1 is made 1.0."""


class FormatError(ValueError):
    """What is not as its format says: the part, such as ``rows.3.name``, and what was expected of it."""


def read_json(kind: Any, data: bytes | str, before: Callable[[Any], None] = lambda value: None) -> Any:
    """The value of a JSON text (UTF-8) in its type.

    Args:
        before: called with the value before its type is compared: looks at the number of its format, say.

    Raises :class:`FormatError` for what is no JSON, has a key twice in an object or a number beyond :data:`MAX_INT`, is
    nested more than :data:`MAX_DEPTH` levels deep, or is of another type.
    """
    from pydantic import ValidationError

    try:
        text = data.decode() if isinstance(data, bytes) else data
        value = json.loads(text, object_pairs_hook=_distinct, parse_int=_bounded)
        level = [value]
        for _ in range(MAX_DEPTH):
            level = [part for one in level if isinstance(one, dict | list) for part in _parts(one)]
        if level:
            raise FormatError(f"it is nested more than {MAX_DEPTH} levels deep")
        before(value)
        return _adapter(kind).validate_json(f"[{text}]")[0]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part)[:80] for part in first["loc"][1:])
        raise FormatError(f"{place and f'{place}: '}{first['msg'].removeprefix('Value error, ')}") from error
    except (UnicodeError, json.JSONDecodeError, RecursionError) as error:
        raise FormatError(f"it is not JSON: {error}") from error


def typed(kind: Any, value: Any) -> Any:
    """A value that JSON can hold, in its type; see :func:`read_json`."""
    return read_json(kind, json.dumps(value))


def is_version(found: object, version: int) -> bool:
    """Whether a format's number is the one that is read: 2, and neither 2.0 nor true."""
    return type(found) is int and found == version


@cache
def _adapter(kind: Any) -> Any:
    from pydantic import ConfigDict, TypeAdapter

    return TypeAdapter(list[kind], config=ConfigDict(strict=True, extra="forbid", allow_inf_nan=False))


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        ((key, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise FormatError(f"the key {key[:80]!r} is there twice")
    return found


def _bounded(digits: str) -> int:
    if len(digits) > 20 or not -MAX_INT <= int(digits) < MAX_INT:
        raise FormatError(f"the number {digits[:20]}… is too large")
    return int(digits)


def _parts(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value
