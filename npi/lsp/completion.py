"""What can stand at a place in a text, offered while it is typed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dsl.names.worlds import SYMBOL_SETS
from dsl.tasks.expressions import FUNCTIONS, ON_WORLD
from envs.registry import world_kinds
from envs.scratchpad.actions import JUMPS, STEPS
from envs.spec import NONE, Signature
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


@dataclass(frozen=True)
class Spot:
    """Where is typed.

    Attributes:
        part: "world", "program", "task", or "" at the margin.
        head: whether it is in the first line of the part.
        pieces: the tokens of the line before what is being typed.
    """

    part: str
    head: bool
    pieces: tuple[str, ...]

    @property
    def first(self) -> str:
        return self.pieces[0] if self.pieces else ""

    @property
    def last(self) -> str:
        return self.pieces[-1] if self.pieces else ""

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


def complete(project: Project, path: Path, line: int, column: int) -> list[Offer]:
    """What can stand at a place; the editor narrows it down by what is typed already."""
    lines = (project.text(path) or "").split("\n")
    row = lines[line][:column] if line < len(lines) else ""
    if in_quotes(row, column):
        return list(files(project, path)) if re.match(r'use\s+"[^"]*$', row) else []
    if "#" in re.sub(r'"(?:\\.|[^"\\])*"', "", row):
        return []
    spot = find_spot(lines[:line], row)
    offers = [offer for offer in offered(project, path, spot, line) if offer.label != "_"]
    return list({offer.label: offer for offer in reversed(offers)}.values())[::-1]


def find_spot(above: list[str], row: str) -> Spot:
    typed = re.search(r"[A-Za-z_]\w*$", row)
    pieces = tuple(PIECE.findall(row[: typed.start()] if typed else row))
    if row[:1] not in ("", " "):
        found = HEAD.match(row)
        return Spot(found[1] if found and pieces else "", True, pieces)
    if not row:
        return Spot("", True, ())
    head = next((found[1] for text in reversed(above) if (found := HEAD.match(text))), "")
    return Spot(head, False, pieces)


def offered(project: Project, path: Path, spot: Spot, line: int) -> Iterator[Offer]:
    """By part of the file, and where in it."""
    if not spot.part:
        for word, snippet in TOP.items():
            yield Offer(word, "keyword", doc=vocabulary.KEYWORDS[word], snippet=snippet)
    elif spot.part == "world":
        yield from in_world(project, path, spot)
    elif spot.head and spot.part in ("program", "task"):
        yield from in_head(project, path, spot, line)
    elif spot.part == "program":
        yield from in_body(project, path, spot, line)
    elif spot.part == "task":
        yield from in_task(project, path, spot, line)


def keywords(*found: str) -> Iterator[Offer]:
    for word in found:
        yield Offer(word, "keyword", doc=vocabulary.KEYWORDS.get(word, ""))


def domains(*more: str) -> Iterator[Offer]:
    for word in (*SYMBOL_SETS, *more):
        yield Offer(word, "type", doc=vocabulary.DOMAINS.get(word, ""))


def in_world(project: Project, path: Path, spot: Spot) -> Iterator[Offer]:
    """Rows and pointers, and the kind of the world in its first line."""
    if spot.head:
        yield from (Offer(kind, "type") for kind in world_kinds() if spot.last == "is")
        yield from keywords(*(["is", "joins"] if len(spot.pieces) == 2 else []))
        if spot.last in ("joins", ",") and spot.pieces[2] == "joins":
            yield from worlds(project, path, spot.pieces)
    elif not spot.pieces:
        yield from keywords("row", "pointer", "counter", "order", "jump")
    elif spot.last in ("of", "or"):
        yield from domains("place")
        yield from keywords("blank")
    elif spot.last == "on":
        yield from declared(project, path, (n.ROW,))
    elif spot.last == "at":
        yield from (Offer(word, "word", doc=vocabulary.ACTIONS[word]) for word in ("left", "right"))
    elif spot.first == "jump":
        yield from (Offer(word, "word", doc=vocabulary.ACTIONS[word]) for word in JUMPS)
    elif spot.first == "order":
        yield from declared(project, path, (n.POINTER, n.COUNTER, n.ROW))
    else:
        yield from keywords("of", "on", "at", "or")


def worlds(project: Project, path: Path, pieces: Sequence[str]) -> Iterator[Offer]:
    """The worlds that one can join, without those that the line has already."""
    for module in project.modules(path):
        for item in project.names(module).declared:
            if item.kind == n.WORLD and item.name not in pieces:
                yield offer(Target(module, item), path)


def in_head(project: Project, path: Path, spot: Spot, line: int) -> Iterator[Offer]:
    """Parameters of a program; inputs of a task, and its condition."""
    inside = spot.call() is not None and "where" not in spot.pieces
    if inside and spot.last in (":", "or", "of"):
        yield from domains(*(("pointer", "direction") if spot.part == "program" else ()))
        yield from keywords("blank", *(("number", "list", "graph", "acyclic") if spot.part == "task" else ()))
        if spot.part == "program":
            yield from declared(project, path, (n.POINTER, n.COUNTER, n.ROW))
    elif inside and spot.part == "task":
        yield from keywords(*{"list": ["of"], "number": ["base"], "acyclic": ["graph"]}.get(spot.last, ["or"]))
    elif spot.part == "task" and "where" in spot.pieces:
        yield from task_values(project, path, line)
    elif spot.part == "task" and len(spot.pieces) > 1:
        yield from keywords("where")


def in_body(project: Project, path: Path, spot: Spot, line: int) -> Iterator[Offer]:
    """Statements, arguments and conditions."""
    call = spot.call()
    if not spot.pieces:
        yield from keywords(*STATEMENTS)
        yield from callables(project, path)
        if bare_before(project, path, line):
            yield from keywords("maximise", "minimise", "imitate")
    elif spot.last == ".":
        yield from callables(project, path, stem=spot.pieces[-2] if len(spot.pieces) > 1 else "")
    elif spot.first == "for":
        if "in" in spot.pieces:
            yield from body_values(project, path, line)
        else:
            yield from keywords(*(["in"] if len(spot.pieces) == 2 else []))
    elif call is not None and (primitive := find_primitive(project, path, call[0])) is not None:
        yield from slot_values(project, path, primitive, call[1], line)
    elif call is not None and call[0] in vocabulary.BODY_FUNCTIONS:
        yield from body_values(project, path, line, only=(n.POINTER, n.COUNTER, n.ROW, n.PARAMETER, n.VARIABLE))
    elif call is not None or spot.first in ("if", "elif", "while"):
        yield from body_values(project, path, line)
        yield from (function(name) for name in vocabulary.BODY_FUNCTIONS)
        yield from keywords(*OPERATORS)


def in_task(project: Project, path: Path, spot: Spot, line: int) -> Iterator[Offer]:
    """Layouts, the run, expectations and sizes."""
    call = spot.call()
    if not spot.pieces:
        yield from declared(project, path, (n.ROW,))
        yield from keywords("run", "expect", "train", "test")
    elif spot.first == "run" and call is None:
        yield from programs(project, path)
    elif spot.first in ("train", "test"):
        yield from keywords("digits", "items") if "of" in spot.pieces else keywords("of")
        if "of" not in spot.pieces:
            yield from local(project, path, line)
    elif call is not None and call[0] in ON_WORLD and call[1] == 0:
        yield from declared(project, path, (n.ROW,) if call[0] == "number" else (n.POINTER, n.COUNTER, n.ROW))
    else:
        yield from task_values(project, path, line)


# --- names ----------------------------------------------------------------------------------------------------------


def offer(target: Target, path: Path) -> Offer:
    item = target.declared
    where = "" if target.path == path else f" ({target.path.name})"
    return Offer(item.name, item.kind, signature(item) + where, item.doc)


def declared(project: Project, path: Path, kinds: Iterable[str]) -> Iterator[Offer]:
    """Names of the world, or of all that it joins; a row that has pointers of its own names is not one."""
    kinds = tuple(kinds)
    for module in project.modules(path):
        items = project.names(module).declared
        if any(item.kind == n.WORLD for item in items):
            for item in items:
                pointed = item.kind == n.ROW and n.POINTER in kinds and not points(project, module, item.name)
                if item.kind in kinds and not pointed:
                    yield offer(Target(module, item), path)


def points(project: Project, module: Path, name: str) -> bool:
    """Whether a row's name is that of a pointer, too; where the world has mistakes, it may be."""
    spec = world_spec(project, module)
    return spec is None or name in spec.tokens


def local(project: Project, path: Path, line: int) -> Iterator[Offer]:
    """Parameters, loop variables and inputs that hold in a line."""
    for item in project.names(path).declared:
        if item.extent is not None and item.extent[0] <= line <= item.extent[1] + 1:
            yield offer(Target(path, item), path)


def programs(project: Project, path: Path, stem: str = "") -> Iterator[Offer]:
    """The programs that can be called here; of two with one name the nearer, and both with their files' names."""
    seen: dict[str, Path] = {}
    for module in project.modules(path):
        if stem and module.stem != stem:
            continue
        for target in project.programs(module):
            if target.declared.name not in seen:
                seen[target.declared.name] = module
                yield offer(target, path)
            elif seen[target.declared.name] != module and not stem:
                other = offer(target, path)
                yield Offer(f"{module.stem}.{other.label}", other.kind, other.detail, other.doc)


def callables(project: Project, path: Path, stem: str = "") -> Iterator[Offer]:
    spec = world_spec(project, path)
    if spec is not None and not stem:
        for primitive in spec.primitives:
            slots = ", ".join(slot.name for slot in primitive.slots)
            yield Offer(primitive.name, "primitive", f"{primitive.name}({slots})", primitive.doc)
    yield from programs(project, path, stem)


def find_primitive(project: Project, path: Path, name: str) -> Signature | None:
    spec = world_spec(project, path)
    return next((p for p in spec.primitives if p.name == name), None) if spec is not None else None


def slot_values(project: Project, path: Path, primitive: Signature, slot: int, line: int) -> Iterator[Offer]:
    """What an argument of a primitive can be: its words, and names that stand for one of them."""
    spec = world_spec(project, path)
    assert spec is not None, "a primitive is one of a world"
    tokens = [spec.tokens[token] for token in primitive.slots[slot].tokens] if slot < len(primitive.slots) else []
    known = {item.label: item for item in declared(project, path, (n.POINTER, n.COUNTER, n.ROW))}
    for token in tokens:
        if token != NONE and token.isidentifier() and (token in known or token.isupper() or token == "blank"):
            yield known.get(token) or Offer(
                token, "word", doc=vocabulary.ACTIONS.get(token, vocabulary.KEYWORDS.get(token, ""))
            )
    yield from local(project, path, line)


def body_values(project: Project, path: Path, line: int, only: Iterable[str] = ()) -> Iterator[Offer]:
    """Pointers, parameters and loop variables, and the words of the world."""
    only = tuple(only)
    yield from (item for item in local(project, path, line) if not only or item.kind in only)
    yield from declared(project, path, (n.POINTER, n.COUNTER, n.ROW))
    if not only:
        yield from (Offer(word, "word", doc=vocabulary.ACTIONS[word]) for word in STEPS)


def task_values(project: Project, path: Path, line: int) -> Iterator[Offer]:
    """Inputs, rows, functions and operators."""
    yield from local(project, path, line)
    yield from declared(project, path, (n.ROW,))
    yield from (function(name) for name in (*FUNCTIONS, *ON_WORLD))
    yield from keywords(*OPERATORS)


def function(name: str) -> Offer:
    form, what = vocabulary.FUNCTIONS.get(name, (name, ""))
    return Offer(name, "function", form, what)


def bare_before(project: Project, path: Path, line: int) -> bool:
    """Whether the line above is the first one of a program."""
    above = [text for text in (project.text(path) or "").split("\n")[:line] if n.strip_comment(text)]
    return bool(above) and above[-1].startswith("program")


def files(project: Project, path: Path) -> Iterator[Offer]:
    """Program files beside this one and below, that it does not use yet."""
    taken = {path, *(used_path(path, use) for use in project.names(path).uses)}
    for other in project.files(path):
        if other not in taken and other.is_relative_to(path.parent):
            yield Offer(other.relative_to(path.parent).as_posix(), "file")
