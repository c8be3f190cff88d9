"""Text → Lark's parse tree, also for a text that is being typed: lines that do not parse are stood in for."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from lark import Token, Tree
from lark.exceptions import UnexpectedInput, UnexpectedToken
from lark.indenter import DedentError

from dsl.errors.error import Source
from dsl.errors.wording import grammar, open_bracket

TRIES = 60
"""Lines of one text that are stood in for before the rest is given up."""

HEADS = re.compile(r"(?P<kept>[ ]*(?P<word>program|task|world)[ \t]+[A-Za-z_]\w*)|(?P<block>[ ]*(while|if|elif))\b")
"""What is kept of a line that opens a block: its name is worth more than the rest."""

FILLING = {"world": "row _ of bit", "task": "run _"}
"""A line that can stand in for the block of a part; ``pass`` for any other."""


@dataclass(frozen=True)
class Row:
    """A line of the text that is parsed.

    Attributes:
        number: of the line (from 1) that it stands for.
        touched: how often it was replaced.
        shift: how many columns further to the right it stands in the text.
    """

    text: str
    number: int
    touched: int = 0
    shift: int = 0


def parse_tree(text: str) -> Tree[Token]:
    """The parse tree of as much of a text as can be read; places are those of the text as it is."""
    rows = [Row(line.removesuffix("\r"), number) for number, line in enumerate(text.split("\n"), start=1)]
    for _ in range(TRIES):
        try:
            tree: Tree[Token] = grammar().parse("".join(f"{row.text}\n" for row in rows))
        except UnexpectedInput as error:
            rows = mended(rows, error)
        except DedentError:
            rows = squared(rows)
        else:
            for token in tree.scan_values(lambda value: isinstance(value, Token)):
                assert token.line is not None, "a token that was read has its place"
                assert token.column is not None, "a token that was read has its place"
                row = rows[token.line - 1]
                token.line, token.column = row.number, token.column + row.shift
            return tree
    return Tree("start", [])


def mended(rows: list[Row], error: UnexpectedInput) -> list[Row]:
    """The rows with a block put in where one is missing, or a stand-in for the line that does not parse."""
    at = min(error.line if isinstance(error.line, int) and error.line > 0 else len(rows), len(rows)) - 1
    bracket = open_bracket(Source("", "\n".join(row.text for row in rows)), at + 1, 1)
    if bracket is not None:
        at = bracket[0] - 1
    elif isinstance(error, UnexpectedToken):
        between = error.token.type in ("$END", "_NL", "_INDENT", "_DEDENT")  # places of these: where a line ends
        missing = (error.accepts or error.expected) == {"_INDENT"}
        above = last_code(rows, at + 1 if between or not missing else at)
        if missing and above >= 0:
            return [*rows[: above + 1], filling(rows, above), *rows[above + 1 :]]
        if error.token.type == "_INDENT":
            at = next((index for index in range(at + 1, len(rows)) if code(rows[index].text)), at)
        else:
            at = max(above, 0)
    row = rows[at]
    return [*rows[:at], replace(row, text=stand_in(row), touched=row.touched + 1), *rows[at + 1 :]]


def stand_in(row: Row) -> str:
    """What is parsed instead of a line: its head, then a statement that does nothing, then nothing."""
    indent = row.text[: len(row.text) - len(row.text.lstrip())]
    head = HEADS.match(row.text)
    if row.touched == 0 and head is not None:
        if head["block"] is not None:
            return f"{head['block']} 1:"
        return f"{head['kept']}{' is _' if head['word'] == 'world' else ''}:"
    return f"{indent}pass" if row.touched <= 1 and indent else ""


def filling(rows: list[Row], above: int) -> Row:
    """A block for the line above, as deep as what follows would be."""
    text = rows[above].text
    indent = len(text) - len(text.lstrip())
    word = text.split()[0]
    return Row(f"{' ' * (indent + 1)}{FILLING.get(word, 'pass')}", rows[above].number, 2)


def squared(rows: list[Row]) -> list[Row]:
    """The rows with each line that goes back to no open block moved out to the next one."""
    depths = [0]
    found: list[Row] = []
    for row in rows:
        depth = len(row.text) - len(row.text.lstrip())
        if code(row.text):
            while depth < depths[-1]:
                depths.pop()
            if depth > depths[-1] and found and last_depth(found) > depth:
                row = replace(row, text=" " * depths[-1] + row.text.lstrip(), shift=row.shift + depth - depths[-1])
            elif depth > depths[-1]:
                depths.append(depth)
        found.append(row)
    return found


def last_depth(rows: list[Row]) -> int:
    text = rows[max(last_code(rows, len(rows)), 0)].text
    return len(text) - len(text.lstrip())


def last_code(rows: list[Row], end: int) -> int:
    """The index of the last row before ``end`` that is more than a comment; −1 where there is none."""
    return next((index for index in range(end - 1, -1, -1) if code(rows[index].text)), -1)


def code(text: str) -> str:
    """What stands in a line apart from spaces; nothing where it is a comment."""
    return "" if text.lstrip().startswith("#") else text.strip()
