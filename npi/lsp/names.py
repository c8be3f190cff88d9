"""The names of one text: where each is declared and where it is used, with its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from lark import Token, Tree

from dsl.errors.error import LanguageError, Source
from dsl.errors.examples import KEYWORDS
from dsl.errors.wording import QUOTED_OR_COMMENT, grammar, read
from dsl.text.build import unquote
from dsl.text.recovery import salvage, straighten

WORLD, ROW, POINTER, COUNTER = "world", "row", "pointer", "counter"
PROGRAM, PARAMETER, VARIABLE, TASK, INPUT = "program", "parameter", "variable", "task", "input"
"""What can be declared."""

BEGINNINGS = frozenset((*KEYWORDS, "LPAR", "LSQB")) - {"POINTER", "COUNTER"}
"""Tokens that only say which rule stands there."""

CALLABLE, VALUE, PLACE, FUNCTION, FILE, WORD = "callable", "value", "place", "function", "file", "word"
"""How a name is used: called; as a value or place in a body or task; as a row; as a function; …"""


@dataclass(frozen=True, order=True)
class Span:
    """A part of one line; ``line``, ``start`` and ``end`` from 0, in characters."""

    line: int
    start: int
    end: int

    def holds(self, line: int, column: int) -> bool:
        """Whether a cursor at that place touches it."""
        return self.line == line and self.start <= column <= self.end


@dataclass(frozen=True)
class Declared:
    """A declaration.

    Attributes:
        kind: one of the constants above.
        span: of the name.
        lines: the first and last line of what is declared, from 0.
        extent: the lines in which the name means this; None for the whole file and those that use it.
        text: the declaration as it is written, without comments.
        doc: of a program.
        part: number of the part of the file that it is in.
    """

    kind: str
    name: str
    span: Span
    lines: tuple[int, int]
    extent: tuple[int, int] | None
    text: str
    doc: str
    part: int


@dataclass(frozen=True)
class Used:
    """A name in use.

    Attributes:
        role: one of the constants above.
        before: the file's stem in front of it (``bubblesort`` of ``bubblesort.RESET``), or the joined world.
        caller: the name of the program or task in whose lines it stands.
        part: number of the part of the file that it is in.
    """

    role: str
    name: str
    span: Span
    before: str
    caller: str
    part: int


@dataclass(frozen=True)
class Names:
    """All names of a text, in its order; ``parts`` are the kinds of its parts ("use", "world", "program", "task")."""

    declared: tuple[Declared, ...]
    used: tuple[Used, ...]
    parts: tuple[str, ...]

    @property
    def uses(self) -> tuple[str, ...]:
        """The files that it uses, as they are written."""
        return tuple(used.name for used in self.used if used.role == FILE)


@lru_cache(maxsize=512)
def read_names(text: str) -> Names:
    """The names of a text, also of one with mistakes: then of what can be read."""
    parts = list(parse_parts(text))
    lines = text.split("\n")
    declared: list[Declared] = []
    used: list[Used] = []
    for number, part in enumerate(parts):
        tokens = tokens_of(part)
        if not tokens:
            continue
        following = next((ts[0].line for p in parts[number + 1 :] if (ts := tokens_of(p)) and ts[0].line), None)
        last = (following or len(lines) + 1) - 2
        for found in _Reader(str(part.data), number, tokens, last, lines).read(part):
            (declared if isinstance(found, Declared) else used).append(found)  # type: ignore[arg-type]
    return Names(
        tuple(item for item in declared if written(lines, item.span) == item.name),
        tuple(sorted((item for item in used if stands(lines, item)), key=lambda item: item.span)),
        tuple(str(part.data) for part in parts),
    )


def parse_parts(text: str) -> Iterator[Tree[Token]]:
    """Lark's trees of the parts of a text, as far as they can be read, with the places of the text as it is."""
    source = Source("", text)
    try:
        lines: Sequence[str] = source.lines
        trees = [(read(source, grammar()), tuple(range(1, len(lines) + 2)))]
    except LanguageError:
        lines, _ = straighten(source)
        trees = [(part.tree, part.numbers) for part in salvage(source, lines, {}, grammar()) if part.tree is not None]
    for tree, numbers in trees:
        for node in tree.iter_subtrees():
            node.children = [child for child in node.children if not is_beginning(child)]
            for token in node.children:
                if isinstance(token, Token):
                    assert token.line is not None, "a token that was read has its place"
                    assert token.column is not None, "a token that was read has its place"
                    token.line = numbers[token.line - 1]
                    token.column += indentation(source.line(token.line)) - indentation(lines[token.line - 1])
        yield from tree.children


def is_beginning(child: Tree[Token] | Token | None) -> bool:
    return isinstance(child, Token) and child.type in BEGINNINGS


def indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def written(lines: list[str], span: Span) -> str:
    """What stands at a place."""
    return lines[span.line][span.start : span.end]


def stands(lines: list[str], item: Used) -> bool:
    """Whether a name is in the text, and not only in a line that replaces one that cannot be read."""
    shown = written(lines, item.span)
    return shown == item.name or (item.role == FILE and shown.startswith('"'))


def tokens_of(tree: Tree[Token] | Token) -> list[Token]:
    """The tokens of a tree in the order of the text."""
    if isinstance(tree, Token):
        return [tree]
    return [token for child in tree.children if child is not None for token in tokens_of(child)]


def span_of(token: Token) -> Span:
    assert token.line is not None, "a token that was read has its place"
    assert token.column is not None, "a token that was read has its place"
    return Span(token.line - 1, token.column - 1, token.column - 1 + len(token))


@dataclass(frozen=True)
class _Reader:
    """Walks one part of a file; ``kind`` is its rule, ``last`` its last line."""

    kind: str
    part: int
    tokens: list[Token]
    last: int
    lines: list[str]

    @property
    def caller(self) -> str:
        names = [str(token) for token in self.tokens if token.type == "NAME"]
        return names[0] if self.kind in ("program", "task") and names else ""

    def read(self, tree: Tree[Token]) -> Iterator[Declared | Used]:
        """All names below a node."""
        rule = str(tree.data)
        if rule in HEADS:
            yield from self.headed(tree)
        elif rule in FIRST:
            first, *rest = tree.children
            assert isinstance(first, Token), f"{rule} begins with a name"
            yield self.used(FIRST[rule], first)
            yield from self.inside(rest)
        elif rule in WORDS:
            yield from (self.used(WORD, token) for token in tokens_of(tree) if token.type == "NAME")
        elif rule in ("row", "pointer"):
            yield from self.names(tree)
        elif rule == "world":
            yield from self.world(tree)
        elif rule == "joined":
            yield from self.joined(tree)
        elif rule in DOTTED:
            *stem, name = tokens_of(tree)
            yield from (self.used(WORD, token) for token in stem)
            yield self.used(DOTTED[rule], name, str(stem[0]) if stem else "")
        elif rule == "layout":
            dotted, *rest = tree.children
            *stem, row = tokens_of(dotted)
            yield from (self.used(WORD, token) for token in stem)
            yield self.used(PLACE, row, str(stem[0]) if stem else "")
            yield from self.inside(rest)
        elif rule == "use":
            yield from (Used(FILE, unquote(x), span_of(x), "", "", self.part) for x in tokens_of(tree))
        else:
            yield from self.inside(tree.children)

    def inside(self, children: list[Tree[Token] | Token]) -> Iterator[Declared | Used]:
        """All names among children; a name that no rule of ours knows is a value."""
        for child in children:
            if isinstance(child, Tree):
                yield from self.read(child)
            elif child is not None and child.type == "NAME":
                yield self.used(VALUE, child)

    def declare(self, kind: str, token: Token, tree: Tree[Token], *, last: int | None = None) -> Declared:
        """A declaration by a token; ``last`` is the last line in which it holds, None for everywhere."""
        span = span_of(token)
        end = max(span_of(t).line for t in tokens_of(tree))
        doc = next((unquote(t) for t in tree.children if isinstance(t, Token) and t.type == "STRING"), "")
        extent = None if last is None else (span.line, last)
        until = self.last if kind in (PROGRAM, TASK, WORLD) else end
        while until > end and not self.lines[until].strip():
            until -= 1
        text = strip_comment(self.lines[span.line])
        return Declared(kind, str(token), span, (span.line, until), extent, text, doc, self.part)

    def used(self, role: str, token: Token, before: str = "") -> Used:
        return Used(role, str(token), span_of(token), before, self.caller, self.part)

    def world(self, tree: Tree[Token]) -> Iterator[Declared | Used]:
        name, kind = (child for child in tree.children[:2] if isinstance(child, Token))
        yield self.declare(WORLD, name, tree)
        yield self.used(WORD, kind)
        yield from self.inside(tree.children[2:])

    def joined(self, tree: Tree[Token]) -> Iterator[Declared | Used]:
        name, *parts = tokens_of(tree)
        yield self.declare(WORLD, name, tree)
        yield from (self.used(WORD, part) for part in parts)

    def names(self, tree: Tree[Token]) -> Iterator[Declared | Used]:
        """A line of a world: a list of new names, then what they are."""
        kind = ROW if tree.data == "row" else COUNTER if tokens_of(tree)[0].type == "COUNTER" else POINTER
        for child in tree.children:
            if isinstance(child, Tree) and child.data == "names":
                yield from (self.declare(kind, token, tree) for token in tokens_of(child))
            elif isinstance(child, Tree):
                yield from self.read(child)
            elif child is not None and child.type == "NAME":
                yield self.used(PLACE, child)

    def headed(self, tree: Tree[Token]) -> Iterator[Declared | Used]:
        """A node that begins with a new name."""
        kind = HEADS[str(tree.data)]
        last = {PARAMETER: self.last, INPUT: self.last, VARIABLE: max(span_of(t).line for t in tokens_of(tree))}
        first, *rest = tree.children
        assert isinstance(first, Token), f"{tree.data} begins with its name"
        yield self.declare(kind, first, tree, last=last.get(kind))
        yield from self.inside(rest)


HEADS = {"program": PROGRAM, "task": TASK, "param": PARAMETER, "input": INPUT, "for_": VARIABLE}
"""Rules that begin with a new name, and its kind."""

DOTTED = {"dotted": CALLABLE, "qualified": VALUE}
"""Rules of a name with a file or a joined world in front of it, and how it is used."""

FIRST = {"apply": FUNCTION}
"""Rules that begin with a name in use, and how it is used."""

WORDS = frozenset(("at", "jump", "setting", "signal"))
"""Rules all of whose names are words of the language or the world."""


def strip_comment(line: str) -> str:
    """A line without its indentation and comment."""
    return QUOTED_OR_COMMENT.sub(lambda match: "" if match[0][0] == "#" else match[0], line).strip()
