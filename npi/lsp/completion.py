"""What can stand at a place in a text, offered while it is typed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from dsl.names.worlds import SYMBOL_SETS
from dsl.tasks.expressions import FUNCTIONS, ON_WORLD
from envs.registry import world_kinds
from envs.scratchpad.actions import JUMPS, STEPS
from envs.spec import NONE, WorldSpec
from npi.lsp import names as n
from npi.lsp import vocabulary
from npi.lsp.answers import in_quotes, signature, world_spec
from npi.lsp.project import Project, Target, used_path

PIECE = re.compile(r'"(?:\\.|[^"\\])*"|[A-Za-z_]\w*|[0-9]+|\.\.|[=!<>]=|\S')
HEAD = re.compile(r"(use|world|program|task)\b")

STATEMENTS = ("if", "elif", "else", "while", "for", "pass", "return")
OPERATORS = ("and", "or", "not", "div", "mod", "blank", "if", "else")
TOP = {
    "world": "world ${1:pad} is scratchpad:\n    row ${2:IN, OUT} of ${3:digit}\n$0",
    "program": 'program ${1:NAME} "${2:What it does}":\n    ${0:pass}',
    "task": "task ${1:name}(${2:a: number}):\n    ${3:IN} = digits(a)\n    run ${4:NAME}\n    expect ${0:condition}",
    "use": 'use "${1:file}.npi"',
}
"""What begins at the margin, as snippets."""


@dataclass(frozen=True)
class Offer:
    """One completion: its label, what it is, a line about it, Markdown, and a snippet where it is more than itself."""

    label: str
    kind: str
    detail: str = ""
    doc: str = ""
    snippet: str = ""


POINTED = (n.POINTER, n.COUNTER, n.ROW)
"""What stands for a symbol or a pointer."""


def complete(project: Project, path: Path, line: int, column: int) -> list[Offer]:
    """What can stand at a place; the editor narrows it down by what is typed already."""
    lines = (project.text(path) or "").split("\n")
    row = lines[line][:column] if line < len(lines) else ""
    if in_quotes(row, column):
        return list(files(project, path)) if re.match(r'use\s+"[^"]*$', row) else []
    if "#" in re.sub(r'"(?:\\.|[^"\\])*"', "", row):
        return []
    offers = [offer for offer in find_spot(project, path, lines[:line], row).offers() if offer.label != "_"]
    return list({offer.label: offer for offer in reversed(offers)}.values())[::-1]


class Call(NamedTuple):
    """What is called at a place: its form, such as ``MOVE(p, v)``, what it does, and which argument is being typed."""

    form: str
    doc: str
    place: int

    @property
    def arguments(self) -> list[tuple[int, int]]:
        """Where in the form each argument stands."""
        inside = re.search(r"\((.*)\)", self.form)
        return [(inside.start(1) + part.start(), inside.start(1) + part.end()) for part in
                re.finditer(r"[^,\s][^,]*", inside[1])] if inside else []  # fmt: skip


def called(project: Project, path: Path, line: int, column: int) -> Call | None:
    """The innermost call around a place; None where there is none, or nothing is known of it."""
    lines = (project.text(path) or "").split("\n")
    row = lines[line][:column] if line < len(lines) else ""
    spot = find_spot(project, path, lines[:line], row)
    name, place = spot.call() or ("", 0)
    before = spot.pieces[: -1 - spot.pieces[::-1].index("(")] if "(" in spot.pieces else ()
    stem = before[-3] if len(before) > 2 and before[-2] == "." else ""
    if name in vocabulary.FUNCTIONS:
        return Call(*vocabulary.FUNCTIONS[name], place)
    for offer in spot.callables(stem):
        if offer.label == name:
            form = re.sub(r"^program\s+", "", offer.detail)
            return Call(form, offer.doc, place)
    return None


def find_spot(project: Project, path: Path, above: list[str], row: str) -> Spot:
    typed = re.search(r"[A-Za-z_]\w*$", row)
    pieces = tuple(PIECE.findall(row[: typed.start()] if typed else row))
    margin = row[:1] != " "
    heads = (HEAD.match(text) for text in ([row] * bool(pieces) if margin else reversed(above)))
    part = next((found[1] for found in heads if found), "")
    return Spot(project, path, above, part, margin, pieces)


@dataclass(frozen=True)
class Spot:
    """Where is typed.

    Attributes:
        above: the lines above. part: "world", "program", "task", or "" at the margin.
        head: whether it is in the first line of the part.
        pieces: the tokens of the line before what is being typed.
    """

    project: Project
    path: Path
    above: list[str]
    part: str
    head: bool
    pieces: tuple[str, ...]

    @property
    def first(self) -> str:
        return self.pieces[0] if self.pieces else ""

    @property
    def last(self) -> str:
        return self.pieces[-1] if self.pieces else ""

    @cached_property
    def spec(self) -> WorldSpec | None:
        """What the world declares."""
        return world_spec(self.project, self.path)

    def call(self) -> tuple[str, int] | None:
        """The name before the innermost open bracket, and how many commas are behind that."""
        level = commas = 0
        for index in range(len(self.pieces) - 1, -1, -1):
            piece = self.pieces[index]
            level += (piece in ")]") - (piece in "([")
            if level < 0:
                return (self.pieces[index - 1] if index else "", commas)
            commas += piece == "," and level == 0
        return None

    # by part of the file, and where in it

    def offers(self) -> Iterator[Offer]:
        if not self.part:
            for word, snippet in TOP.items():
                yield Offer(word, "keyword", doc=vocabulary.KEYWORDS[word], snippet=snippet)
        elif self.part == "world":
            yield from self.in_world()
        elif self.part != "use":
            yield from self.in_head() if self.head else self.in_body() if self.part == "program" else self.in_task()

    def in_world(self) -> Iterator[Offer]:
        """Rows and pointers, and the kind of the world in its first line."""
        if self.head:
            yield from (Offer(kind, "type") for kind in world_kinds() if self.last == "is")
            yield from keywords(*(["is", "joins"] if len(self.pieces) == 2 else []))
            if "joins" in self.pieces[2:3] and self.last in ("joins", ","):
                yield from self.worlds()
        elif not self.pieces:
            yield from keywords("row", "pointer", "counter", "order", "jump")
        elif self.last in ("of", "or"):
            yield from domains("place")
            yield from keywords("blank")
        elif self.last == "on":
            yield from self.declared(n.ROW)
        elif self.last == "at":
            yield from actions("left", "right")
        elif self.first == "jump":
            yield from actions(*JUMPS)
        elif self.first == "order":
            yield from self.declared(*POINTED)
        else:
            yield from keywords("of", "on", "at", "or")

    def in_head(self) -> Iterator[Offer]:
        """Parameters of a program; inputs of a task, and its condition."""
        program = self.part == "program"
        if self.call() is not None and "where" not in self.pieces:
            if self.last in (":", "or", "of"):
                yield from domains(*(("pointer", "direction") if program else ()))
                yield from keywords("blank", *(() if program else ("number", "list", "graph", "acyclic")))
                if program:
                    yield from self.declared(*POINTED)
            elif not program:
                yield from keywords({"list": "of", "number": "base", "acyclic": "graph"}.get(self.last, "or"))
        elif not program and "where" in self.pieces:
            yield from self.task_values()
        elif not program and len(self.pieces) > 1:
            yield from keywords("where")

    def in_body(self) -> Iterator[Offer]:
        """Statements, arguments and conditions."""
        name, place = self.call() or ("", 0)
        if not self.pieces:
            yield from keywords(*STATEMENTS)
            yield from self.callables()
            above = [text for text in self.above if n.strip_comment(text)]
            if above and above[-1].startswith("program"):
                yield from keywords("maximise", "minimise", "imitate")
        elif self.last == ".":
            yield from self.callables(stem=self.pieces[-2] if len(self.pieces) > 1 else "")
        elif self.first == "for":
            if "in" in self.pieces:
                yield from self.body_values()
            else:
                yield from keywords(*(["in"] if len(self.pieces) == 2 else []))
        elif self.spec is not None and any(primitive.name == name for primitive in self.spec.primitives):
            yield from self.slot_values(self.spec, name, place)
        elif name in vocabulary.BODY_FUNCTIONS:
            yield from self.local(*POINTED, n.PARAMETER, n.VARIABLE)
            yield from self.declared(*POINTED)
        elif self.call() is not None or self.first in ("if", "elif", "while"):
            yield from self.body_values()
            yield from map(function, vocabulary.BODY_FUNCTIONS)
            yield from keywords(*OPERATORS)

    def in_task(self) -> Iterator[Offer]:
        """Layouts, the run, expectations and sizes."""
        call = self.call()
        if not self.pieces:
            yield from self.declared(n.ROW)
            yield from keywords("run", "expect", "train", "test")
        elif self.first == "run" and call is None:
            yield from self.programs()
        elif self.first in ("train", "test"):
            if "of" in self.pieces:
                yield from keywords("digits", "items")
            else:
                yield from keywords("of")
                yield from self.local()
        elif call is not None and call[0] in ON_WORLD and call[1] == 0:
            yield from self.declared(*((n.ROW,) if call[0] == "number" else POINTED))
        else:
            yield from self.task_values()

    # names

    def offer(self, target: Target) -> Offer:
        item = target.declared
        where = "" if target.path == self.path else f" ({target.path.name})"
        return Offer(item.name, item.kind, signature(item) + where, item.doc)

    def worlds(self) -> Iterator[Offer]:
        """The worlds that one can join, without those that the line has already."""
        for module in self.project.modules(self.path):
            for item in self.project.names(module).declared:
                if item.kind == n.WORLD and item.name not in self.pieces:
                    yield self.offer(Target(module, item))

    def declared(self, *kinds: str) -> Iterator[Offer]:
        """Names of the world, or of all that it joins; a row that has pointers of its own names is not one."""
        for module in self.project.modules(self.path):
            items = self.project.names(module).declared
            spec = world_spec(self.project, module) if n.POINTER in kinds else None
            for item in items if any(item.kind == n.WORLD for item in items) else ():
                pointed = item.kind == n.ROW and spec is not None and item.name not in spec.tokens
                if item.kind in kinds and not pointed:
                    yield self.offer(Target(module, item))

    def local(self, *kinds: str) -> Iterator[Offer]:
        """Parameters, loop variables and inputs that hold here; all by default."""
        line = len(self.above)
        for item in self.project.names(self.path).declared:
            holds = item.extent is not None and item.extent[0] <= line <= item.extent[1] + 1
            if holds and (not kinds or item.kind in kinds):
                yield self.offer(Target(self.path, item))

    def programs(self, stem: str = "") -> Iterator[Offer]:
        """The programs that can be called here; of two with one name the nearer, and both with their files' names."""
        seen: dict[str, Path] = {}
        for module in self.project.modules(self.path):
            for target in self.project.programs(module) if stem in ("", module.stem) else ():
                name, found = target.declared.name, self.offer(target)
                if seen.setdefault(name, module) == module:
                    yield found
                elif not stem:
                    yield replace(found, label=f"{module.stem}.{name}")

    def callables(self, stem: str = "") -> Iterator[Offer]:
        for primitive in self.spec.primitives if self.spec is not None and not stem else ():
            slots = ", ".join(slot.name for slot in primitive.slots)
            yield Offer(primitive.name, "primitive", f"{primitive.name}({slots})", primitive.doc)
        yield from self.programs(stem)

    def slot_values(self, spec: WorldSpec, name: str, place: int) -> Iterator[Offer]:
        """What an argument of a primitive can be: its words, and names that stand for one of them."""
        (slots,) = [primitive.slots for primitive in spec.primitives if primitive.name == name]
        known = {item.label: item for item in self.declared(*POINTED)}
        for token in [spec.tokens[token] for slot in slots[place : place + 1] for token in slot.tokens]:
            if token in known:
                yield known[token]
            elif token != NONE and token.isidentifier() and (token.isupper() or token == "blank"):
                yield Offer(token, "word", doc=vocabulary.ACTIONS.get(token, vocabulary.KEYWORDS.get(token, "")))
        yield from self.local()

    def body_values(self) -> Iterator[Offer]:
        """Pointers, parameters and loop variables, and the words of the world."""
        yield from self.local()
        yield from self.declared(*POINTED)
        yield from actions(*STEPS)

    def task_values(self) -> Iterator[Offer]:
        """Inputs, rows, functions and operators."""
        yield from self.local()
        yield from self.declared(n.ROW)
        yield from map(function, (*FUNCTIONS, *ON_WORLD))
        yield from keywords(*OPERATORS)


def keywords(*words: str) -> Iterator[Offer]:
    yield from (Offer(word, "keyword", doc=vocabulary.KEYWORDS.get(word, "")) for word in words)


def domains(*more: str) -> Iterator[Offer]:
    yield from (Offer(word, "type", doc=vocabulary.DOMAINS.get(word, "")) for word in (*SYMBOL_SETS, *more))


def actions(*words: str) -> Iterator[Offer]:
    yield from (Offer(word, "word", doc=vocabulary.ACTIONS[word]) for word in words)


def function(name: str) -> Offer:
    return Offer(name, "function", *vocabulary.FUNCTIONS.get(name, (name, "")))


def files(project: Project, path: Path) -> Iterator[Offer]:
    """Program files beside this one and below, that it does not use yet."""
    taken = {path, *(used_path(path, use) for use in project.names(path).uses)}
    for other in project.files(path):
        if other not in taken and other.is_relative_to(path.parent):
            yield Offer(other.relative_to(path.parent).as_posix(), "file")
