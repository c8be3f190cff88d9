"""Settings and layouts of worlds, read with errors that name what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, TypeVar

from envs.spec import Field, SpecError, WorldSpec
from envs.world import Layout

C = TypeVar("C")

KINDS: Mapping[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,)}


def closest(name: str, names: Sequence[str]) -> str:
    """The end of an error message: the name that was probably meant, else all of them."""
    found = get_close_matches(name, names, n=1)
    return f"; did you mean {found[0]!r}?" if found else f"; there are {', '.join(names)}"


def read_settings(cls: type[C], data: Mapping[str, Any], world: str) -> C:
    """The dataclass of a world's settings; :class:`SpecError` names one that does not exist or is of another type."""
    known = {f.name: str(f.type) for f in fields(cls)}  # type: ignore[arg-type]
    for key, value in data.items():
        if key not in known:
            raise SpecError(f"{world} has no setting {key}{closest(key, list(known))}")
        if not isinstance(value, KINDS[known[key]]) or isinstance(value, bool):
            wanted = {"int": "a whole number", "float": "a number", "str": "a name"}[known[key]]
            raise SpecError(f"the setting {key} of {world} is {value!r}; give {wanted}")
    return cls(**{key: float(value) if known[key] == "float" else value for key, value in data.items()})


def within(world: str, key: str, value: float, low: float, high: float) -> None:
    """Refuse a setting outside its range."""
    if not low <= value <= high:
        raise SpecError(f"the setting {key} of {world} is {value}; it can be {low} to {high}")


def one_of(world: str, key: str, value: str, known: Sequence[str]) -> None:
    """Refuse a name that is not known."""
    if value not in known:
        raise SpecError(f"the setting {key} of {world} is {value!r}{closest(value, known)}")


def laid_value(number: int, layout: Layout, part: Field, default: int) -> int:
    """The one index that a layout gives a part. ``number`` is the instance's, for errors."""
    laid = list(layout.get(part.name, [default]))
    if len(laid) != 1 or not 0 <= laid[0] < part.size:
        raise ValueError(f"instance {number}: {part.name} is {laid}; give one index below {part.size}")
    return int(laid[0])


def check_parts(spec: WorldSpec, number: int, layout: Layout, parts: Sequence[Field]) -> None:
    """Refuse a layout that names anything but these parts."""
    names = [part.name for part in parts]
    for name in layout:
        if name not in names:
            shown = any(field.name == name for field in (*spec.fields, *spec.hidden))
            what = "is what comes out, and cannot be laid out" if shown else f"is no part of it{closest(name, names)}"
            raise ValueError(f"instance {number} of world {spec.name}: {name!r} {what}")


def figure(value: float) -> str:
    """A number as the name of a field's value: ``0``, ``0.2``, ``5``."""
    return f"{value:g}"
