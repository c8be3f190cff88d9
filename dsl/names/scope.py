"""Names inside a program: parameters, loop variables, pointers, callables, and what each stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dsl.errors.error import LanguageError, Placed, Source, suggest
from dsl.errors.examples import RESERVED
from dsl.names.worlds import DIRECTIONS, Face, domain_symbols
from dsl.text import syntax as s
from envs.spec import NONE, Signature, Slot

POINTER, SYMBOL, TOKEN = "pointer", "symbol", "token"
"""The types of parameters and loop variables: a place, what a cell holds, any other word (``LEFT``)."""


@dataclass(frozen=True)
class Bound:
    """What a name stands for: a token that is known, or the argument in a slot."""

    type: str
    token: int | None
    slot: int | None


@dataclass(frozen=True)
class Scope:
    """Everything that a body's names can mean.

    Attributes:
        source: for errors.
        face: the world's names.
        callables: signatures by id, primitives first.
        visible: name (bare or qualified) → ids of the callables that it can mean.
        bound: parameters and loop variables.
        slots: the program's own signature.
    """

    source: Source
    face: Face
    callables: tuple[Signature, ...]
    visible: Mapping[str, tuple[int, ...]]
    bound: Mapping[str, Bound]
    slots: tuple[Slot, ...]

    def error(self, item: Placed, message: str, fix: str, code: str) -> LanguageError:
        return self.source.error(item, message, fix, code)

    def bind(self, name: str, bound: Bound) -> Scope:
        return replace(self, bound={**self.bound, name: bound})

    def callee(self, node: s.Call | s.Run) -> int:
        """The id of the callable that a call names."""
        found = self.visible.get(node.name, ())
        if len(found) == 1:
            return found[0]
        if found:
            names = [self.callables[number].name for number in found]
            raise self.error(node, f"{node.name} can mean {' or '.join(names)}", f"write which: {names[0]}", "NPI067")
        message = f"there is no program or primitive {node.name}"
        raise self.error(node, message, suggest(node.name, self.visible), "NPI066")


def param_slot(param: s.Param, face: Face, source: Source) -> tuple[str, Slot]:
    """A parameter's type and the tokens that it may hold."""
    parts = param.domain.parts
    names = [part.text for part in parts if isinstance(part, s.Name)]
    pointers = set(face.pointers)
    others = set(face.tokens) - pointers - set(face.symbols) - {NONE}
    if len(names) == len(parts) and set(names) <= pointers | {POINTER}:
        found = list(face.pointers) if POINTER in names else names
        if not found:
            message = f"world {face.spec.name} has no pointers"
            raise source.error(param, message, "give the parameter another domain", "NPI064")
        return POINTER, Slot(param.name, tuple(face.tokens[name] for name in found))
    if len(names) == len(parts) and set(names) <= others | {"direction"}:
        found = [n for name in names for n in (DIRECTIONS if name == "direction" else (name,)) if n in face.tokens]
        if found:
            return TOKEN, Slot(param.name, tuple(dict.fromkeys(face.tokens[name] for name in found)))
    return SYMBOL, symbol_slot(param, face, source)


def symbol_slot(param: s.Param, face: Face, source: Source) -> Slot:
    """A parameter that holds symbols: all of them must be symbols of the world."""
    for part in param.domain.parts:
        if isinstance(part, s.Name) and part.text in {*face.pointers, POINTER, "direction", *DIRECTIONS}:
            message = f"{param.name} can be {part.text} or something of another kind"
            fix = "a parameter is a pointer, a direction or a symbol: make two programs"
            raise source.error(part, message, fix, "NPI063")
    symbols = domain_symbols(param.domain, source)
    for symbol in symbols:
        if symbol not in face.tokens:
            message = f"{param.name} can be {symbol}, which no row of world {face.spec.name} can hold"
            fix = f"choose from {', '.join(face.symbols[:12])}"
            raise source.error(param.domain, message, fix, "NPI064")
    return Slot(param.name, tuple(face.tokens[symbol] for symbol in symbols))


def check_name(name: str, node: s.Node, what: str, source: Source) -> None:
    """Refuse a word of the language as a name."""
    if name in RESERVED:
        message = f"{name} is a word of the language and cannot name a {what}"
        raise source.error(node, message, f"choose another name, for example {name}_", "NPI057")
