"""JSON of others: only what the declared type says is read, and the message names the part that is not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from envs.spec import WorldSpec
from envs.support.typed_json import MAX_DEPTH, FormatError, Number, is_version, read_json, typed
from tests.support.tiny import strip


@dataclass(frozen=True)
class Part:
    name: str
    sizes: tuple[int, ...] = ()
    low: Number | None = None

    def __post_init__(self) -> None:
        if self.name == "none":
            raise ValueError("a part needs a name")


@dataclass(frozen=True)
class Whole:
    format: int
    parts: tuple[Part, ...]
    ends: tuple[str, int] = ("", 0)
    more: Mapping[str, Any] | None = None
    kind: Literal["a", "b"] = "a"


GOOD = '{"format": 2, "parts": [{"name": "é", "sizes": [1, 2], "low": 1}], "ends": ["x", 3], "more": {"a": [NaN]}}'


def test_what_is_declared_is_made() -> None:
    found = read_json(Whole, GOOD.encode())
    assert found.parts == (Part("é", (1, 2), 1),)
    assert type(found.parts[0].low) is int  # digests of worlds tell 1 from 1.0
    assert found.ends == ("x", 3)
    assert typed(Whole, {"format": 1, "parts": []}) == Whole(1, ())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"format": 2', '"format": 2.0', "format: Input should be a valid integer"),
        ('"format": 2', '"format": true', "format: "),
        ('"format": 2', '"format": "2"', "format: "),
        ('"format": 2', '"format": 2, "format": 2', "the key 'format' is there twice"),
        ('"format": 2', f'"format": {10**30}', "is too large"),
        ('"format": 2, ', "", "format: "),
        ('"format": 2', '"format": 2, "colour": 1', "colour: "),
        ('"é"', "null", "parts.0.name: Input should be a valid string"),
        ('"é"', '"none"', "parts.0: a part needs a name"),
        ('"é"', '"\\ud800"', "JSON"),
        ("[1, 2]", "[1, 2.0]", "parts.0.sizes.1: "),
        ("[1, 2]", "{}", "parts.0.sizes: "),
        ('"low": 1', '"low": NaN', "parts.0.low"),
        ('["x", 3]', '["x", 3, 4]', "ends: "),
        ("[NaN]", "[" * MAX_DEPTH + "]" * MAX_DEPTH, f"nested more than {MAX_DEPTH} levels"),
        ("[NaN]", "[" * 100_000 + "]" * 100_000, "it is not JSON"),
        ("[NaN]", "[", "it is not JSON"),
        (GOOD, "null", "Input should be"),
        (GOOD, "[]", "Input should be"),
        (GOOD, "\ufeff{}", "it is not JSON"),
    ],
)
def test_what_is_not_is_named(old: str, new: str, message: str) -> None:
    """Red where numbers are converted, the last of two keys counts, or a parser's own error gets through."""
    assert old in GOOD
    with pytest.raises(FormatError, match=message):
        read_json(Whole, GOOD.replace(old, new))


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(FormatError, match="it is not JSON"):
        read_json(Any, b'"\xff"')


def test_what_stands_before_the_type_is_looked_at_first() -> None:
    def refuse(value: Any) -> None:
        raise LookupError(value["format"])

    with pytest.raises(LookupError, match="7"):
        read_json(Whole, '{"format": 7}', refuse)


def test_versions() -> None:
    assert [is_version(found, 1) for found in (1, 1.0, True, "1", None, 2)] == [True, *[False] * 5]


def test_a_world_comes_back_with_its_digest() -> None:
    spec = strip().world.spec
    assert WorldSpec.from_json(spec.to_json()) == spec
    assert WorldSpec.from_json(spec.to_json()).digest == spec.digest
    with pytest.raises(FormatError, match=r"fields.0.values"):
        WorldSpec.from_json(spec.to_json() | {"fields": [{"name": "P", "values": None}]})
