"""How the states of a row are wired, in words: read off its JSON alone, without a core or a program text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from envs.spec import NONE
from envs.support.typed_json import FormatError

Wiring = Sequence[Mapping[str, Any]]
"""For each state what it ``looks`` at and what it ``does``: (callee, arguments, next state), or (None,) to return."""


SEAL = 8
"""Parameters at the beginning of a row that hold the hash of its wiring, three bytes of a sha256 each."""


def seal(wiring: Wiring) -> list[float]:
    """The hash of a wiring as numbers that float32 holds exactly."""
    digest = hashlib.sha256(json.dumps(wiring, sort_keys=True).encode()).digest()
    return [float(int.from_bytes(digest[3 * i : 3 * i + 3])) for i in range(SEAL)]


def deciding_states(wiring: Wiring) -> int:
    """How many states decide something: those that look at something."""
    return sum(bool(state["looks"]) for state in wiring)


def functions(wiring: Wiring) -> int:
    """How many functions there are to learn: one of each state that decides something, or of each of its steps."""
    return sum(len(state["steps"]) if state.get("steps") else bool(state["looks"]) for state in wiring)


def check_wiring(wiring: Any, slots: Sequence[str]) -> None:
    """Raise :class:`FormatError` for a wiring that cannot be told in words."""
    try:
        in_words(wiring, slots)
        functions(wiring)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise FormatError(f"a row's wiring is none ({error})") from error


def in_words(wiring: Wiring, slots: Sequence[str]) -> list[str]:
    """A line for each state and each of its outcomes; ``slots`` are the names of the row's own arguments."""

    def read(kind: str, place: str | int) -> str:
        return str(place) if kind == "field" else slots[int(place)]

    def argument(how: str, *rest: Any) -> str:
        return {"constant": lambda: str(rest[0]), "copied": lambda: f"[{read(*rest)}]"}.get(how, lambda: "…")()

    lines = []
    for number, state in enumerate(wiring):
        looks = ", ".join(read(*one) for one in state["looks"])
        steps = f", in {len(state['steps'])} steps" if state.get("steps") else ""
        lines.append(f"state {number} decides by {looks}{steps}" if looks else f"state {number}")
        for callee, *rest in state["does"]:
            if callee is None:
                lines.append("    return")
                continue
            arguments, after = rest
            words = [argument(*one) for one in arguments]
            while words and words[-1] == NONE:
                words.pop()
            given = f"({', '.join(words)})" if words else ""
            lines.append(f"    {callee}{given}, then state {after}")
    return lines
