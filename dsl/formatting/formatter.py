"""Program text → the same program in the one canonical layout, with its comments and its groups of lines kept.

The text is laid out token by token, as the parser reads them, so whatever the grammar accepts can be laid out:

* four spaces a level, one space between words, none inside brackets; brackets that the text has stay;
* one blank line between the parts of a file, at most one elsewhere, none at the begin of a block or of the file;
* a comment on a line of its own stands as deep as what follows it (at the end of a block: as deep as it was written);
* comments behind code that stand in one column stay in one column; a lone one stays where it is, two spaces behind
  its line at least;
* only lines longer than :data:`WIDTH` are broken, inside brackets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from lark import Token

from dsl.errors.wording import grammar
from dsl.formatting.printer import INDENT
from dsl.text.parse import parse

WIDTH = 120
"""Characters of a line above which it is broken where brackets allow it."""

GAP = "  "
"""Between code and the comment behind it."""

OPENING, CLOSING = ("LPAR", "LSQB"), ("RPAR", "RSQB")

OPERANDS = ("NAME", "INT", "FLOAT", "STRING", "BLANK", *CLOSING)
"""Tokens that end a value: a minus behind one of them is a difference, any other is a sign."""

SYMBOLS = frozenset("( ) [ ] , : . .. = == != < <= > >= + - *".split())
"""Marks whose spacing is settled here; any other keeps the space, or none, that it was written with."""


@dataclass(frozen=True)
class Comment:
    """A comment; ``column`` as written, from 0; ``alone`` on its line, or behind code."""

    text: str
    column: int
    alone: bool


@dataclass(frozen=True)
class Line:
    """A logical line: a statement or the head of a block.

    Attributes:
        depth: how many blocks it is in.
        columns: where the lines of each depth down to its own began, as written.
        pieces: its tokens, and the comments inside its brackets.
        comment: the comment behind it.
    """

    depth: int
    columns: tuple[int, ...]
    pieces: tuple[Token | Comment, ...]
    comment: Comment | None


@dataclass(frozen=True)
class Blank:
    """An empty line."""


Item = Line | Comment | Blank


def format_text(text: str, *, path: str = "<text>") -> str:
    """The text in the canonical layout; it parses to the same tree, and formatting it again changes nothing.

    Raises :class:`LanguageError`, which names the text ``path``, where it does not parse.
    """
    tree = parse(text, path=path)
    found = "".join(f"{line}\n" for line in written(spaced(read_items(text))))
    assert parse(found) == tree, "laying a text out changed what it means"
    return found


def format_file(text: str, *, path: str = "<text>") -> str:
    """:func:`format_text` with the line ends of the text, where they are those of Windows throughout."""
    found = format_text(text, path=path)
    ends = text.count("\r\n")
    return found.replace("\n", "\r\n") if ends and ends == text.count("\n") else found


# --- text → items ----------------------------------------------------------------------------------------------------


def read_items(text: str) -> list[Item]:
    """Logical lines, comments on lines of their own, and empty lines, in the order of the text."""
    text = text if text.endswith("\n") else text + "\n"
    items: list[Item] = []
    pieces: list[Token | Comment] = []
    columns: tuple[int, ...] = ()
    depth = end = 0
    for token in grammar().parse_interactive(text).iter_parse():
        if token.type in ("_INDENT", "_DEDENT"):
            depth += 1 if token.type == "_INDENT" else -1
            continue
        start = begin(token)
        between = list(comments(text, end, start))
        if token.type != "_NL":
            if not pieces:
                columns = (*columns[:depth], column_of(text, start))
            pieces += [*between, token]
        else:
            if pieces:
                items.append(Line(depth, columns, tuple(pieces), next(iter(between), None)))
            else:
                items += [replace(comment, alone=True) for comment in between]
            pieces = []
            items += loose(text, token)
        end = start + len(token)
    return items


def begin(token: Token) -> int:
    assert token.start_pos is not None, "a token that was read has its place"
    return token.start_pos


def column_of(text: str, position: int) -> int:
    return position - text.rfind("\n", 0, position) - 1


def comments(text: str, start: int, end: int) -> Iterator[Comment]:
    """The comments between two tokens; the first stands behind code if no line ends before it."""
    position, alone = start, False
    for row in text[start:end].split("\n"):
        if row.strip():
            at = position + row.index("#")
            yield Comment(neat(row.strip()), column_of(text, at), alone)
        position, alone = position + len(row) + 1, True


def loose(text: str, token: Token) -> Iterator[Comment | Blank]:
    """The lines inside a token that ends a line: it takes all comments and empty lines up to the next one."""
    for row in token.split("\n")[1:-1]:
        yield Comment(neat(row.strip()), row.index("#"), True) if row.strip() else Blank()


def neat(text: str) -> str:
    """A comment with a space behind its mark."""
    return f"# {text[1:]}" if text[1:2] not in ("", " ", "\t", "#", "!") else text


# --- empty lines, and how deep comments stand ------------------------------------------------------------------------


def spaced(items: Sequence[Item]) -> list[Item]:
    """The items with canonical empty lines; ``column`` of a comment on its own line is now its depth."""
    found: list[Item] = []
    before: Line | None = None
    between: list[Comment | Blank] = []
    for item in items:
        if isinstance(item, Line):
            found += [*settled(before, between, item), item]
            before, between = item, []
        else:
            between.append(item)
    return found + settled(before, between, None)


def settled(before: Line | None, between: Sequence[Comment | Blank], after: Line | None) -> list[Item]:
    """What stands between two lines (None: the begin or end of the file)."""
    found: list[Item] = []
    opens = before is None or (after is not None and after.depth > before.depth)
    for item in between:
        if isinstance(item, Comment):
            found.append(replace(item, column=depth_of(item, before, after)))
        elif not isinstance(found[-1] if found else None, Blank) and (found or not opens):
            found.append(item)
    if after is None:
        return found[:-1] if found and isinstance(found[-1], Blank) else found
    if before is not None and after.depth == 0 and not both_use(before, after):
        at = len(found)
        while at and isinstance(last := found[at - 1], Comment) and last.column == 0:
            at -= 1
        if not at or not isinstance(found[at - 1], Blank):
            found.insert(at, Blank())
    return found


def both_use(*lines: Line) -> bool:
    return all(isinstance(line.pieces[0], Token) and line.pieces[0].type == "USE" for line in lines)


def depth_of(comment: Comment, before: Line | None, after: Line | None) -> int:
    """As deep as what follows; where blocks end, in the deepest of them at whose column it was written."""
    floor = after.depth if after is not None else 0
    if before is None or floor >= before.depth:
        return floor
    return max([floor, *(d for d in range(floor, before.depth + 1) if before.columns[d] <= comment.column)])


# --- items → text ----------------------------------------------------------------------------------------------------


def written(items: Sequence[Item]) -> Iterator[str]:
    """The lines of the text; comments behind neighbouring lines that stood in one column stand in one again."""

    def key(numbered: tuple[int, Item]) -> tuple[bool, int]:
        number, item = numbered
        comment = item.comment if isinstance(item, Line) else None
        return (True, comment.column) if comment is not None else (False, number)

    for _, numbered in groupby(enumerate(items), key):
        group = [item for _, item in numbered]
        lines = [item for item in group if isinstance(item, Line) and item.comment is not None]
        yield from aligned(lines) if lines else plain(group[0])


def plain(item: Item) -> list[str]:
    if isinstance(item, Line):
        return broken(item)
    return [INDENT * item.column + item.text] if isinstance(item, Comment) else [""]


def aligned(lines: Sequence[Line]) -> Iterator[str]:
    """Lines whose comments share a column: the old one, or where that was right behind their code, the first free."""
    code = [broken(line) for line in lines]
    free = max(len(rows[-1]) for rows in code) + len(GAP)
    close = min(written_gap(line) for line in lines) <= len(GAP)
    for line, rows in zip(lines, code, strict=True):
        assert line.comment is not None, "only lines with a comment are aligned"
        column = free if close else max(free, line.comment.column)
        yield from rows[:-1]
        yield f"{rows[-1]:<{column}}{line.comment.text}"


def written_gap(line: Line) -> int:
    """Spaces between a line and the comment behind it, as written."""
    last = line.pieces[-1]
    assert line.comment is not None, "a line without a comment has no gap"
    assert isinstance(last, Token), "a bracket that holds a comment is closed behind it"
    assert last.column is not None, "a token that was read has its place"
    return line.comment.column - (last.column - 1 + len(last))


@dataclass(frozen=True)
class Chunk:
    """Tokens that stay on one line, and what stands in front of them where they do not begin one."""

    lead: str
    text: str


def broken(line: Line) -> list[str]:
    """A line as one, or where it is too long or holds comments, as several."""
    rows = [INDENT * line.depth]
    deeper = INDENT * (line.depth + 2)
    ended = False
    for part in chunks(line.pieces):
        if isinstance(part, Comment):
            rows = [*rows, deeper + part.text] if part.alone else [*rows[:-1], rows[-1] + GAP + part.text]
            ended = True
        elif ended or (rows[-1].strip() and len(rows[-1] + part.lead + part.text) > WIDTH):
            rows.append(deeper + part.text)
            ended = False
        else:
            rows[-1] += part.lead + part.text
    return rows


def chunks(pieces: Sequence[Token | Comment]) -> Iterator[Chunk | Comment]:
    """The pieces, with the tokens between two places where a line may be broken put together."""
    chunk: Chunk | None = None
    level, before, sign = 0, None, False
    for piece in pieces:
        if chunk is not None and (isinstance(piece, Comment) or (level and may_break(before, piece))):
            yield chunk
            chunk = None
        if isinstance(piece, Comment):
            yield piece
            continue
        lead = "" if before is None or sign else space(before, piece)
        chunk = Chunk(lead, str(piece)) if chunk is None else Chunk(chunk.lead, chunk.text + lead + piece)
        level += (piece.type in OPENING) - (piece.type in CLOSING)
        sign = piece.type == "MINUS" and (before is None or before.type not in OPERANDS)
        before = piece
    if chunk is not None:
        yield chunk


def may_break(before: Token | None, token: Token) -> bool:
    """Whether a line may end between two tokens, given that a bracket is open."""
    return (before is not None and before.type == "COMMA") or token.type in ("AND", "OR", "IF", "ELSE")


def space(before: Token, token: Token) -> str:
    """What stands between two tokens; neither is a sign."""
    if before.type in OPENING or token.type in (*CLOSING, "COMMA", "COLON") or {before, token} & {".", ".."}:
        return ""
    if token.type in OPENING and before.type in ("NAME", *CLOSING):
        return ""
    strange = any(not (part[0].isalnum() or part[0] in '_"' or part in SYMBOLS) for part in (before, token))
    return "" if strange and begin(before) + len(before) == begin(token) else " "
