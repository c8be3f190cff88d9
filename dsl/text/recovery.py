"""Reading on after a mistake: a text is cut into its parts, and in a part the line that does not fit is replaced.

A mistake in a program's statement costs that statement, in its first line the program, in a world's line that row. What
the lost lines name is kept, so that nobody is told that it does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lark import Lark

from dsl.errors.error import LanguageError, Source, nearest
from dsl.errors.examples import KEYWORDS
from dsl.errors.wording import SPACE, first_word, no_such_block, read, strip_comment

LOST = "_"
"""The statement in place of one that cannot be read: a call of a program that is as good as declared."""

EMPTY, UNFITTING = "NPI011", "NPI003"

LINES = 100_000
"""Lines of a file that are read again behind mistakes, in about two seconds; then one mistake a part is told."""

HEADS = ("world", "program", "task")
BRANCHES = ("if", "elif", "while", "for")
NAMES = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
NAMED = re.compile(r"^\w+ +([A-Za-z_][A-Za-z0-9_]*)")


OPENERS = ("world", "program", "task", "if", "elif", "else", "while", "for")
"""Words that begin a line which opens a block."""

LONG_NUMBER = re.compile(r"[0-9]{1000,}")


@dataclass(frozen=True)
class Rest:
    """What a text means to say and does not.

    Attributes:
        names: that stand in lines which could not be read, and so may be declared there.
        programs: and tasks whose lines could not all be read.
        whole: kinds of parts ("world", "use") that are not complete.
    """

    names: frozenset[str] = frozenset()
    programs: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()

    def union(self, *others: Rest) -> Rest:
        return Rest(
            self.names.union(*(other.names for other in others)),
            self.programs.union(*(other.programs for other in others)),
            self.whole.union(*(other.whole for other in others)),
        )


@dataclass(frozen=True)
class Part:
    """What could be read of one part of a file.

    Attributes:
        tree: of its lines as they were changed; None where they cannot be read.
        numbers: the line of the file for each line of the tree, and for the end; empty where they are the same.
        headless: its first line was replaced by one of no meaning.
    """

    tree: Any
    numbers: tuple[int, ...]
    headless: bool
    rest: Rest


@dataclass
class Chunk:
    """One part of a file: its lines, the number of each, and what had to be done to them."""

    lines: list[str]
    numbers: list[int]
    tries: dict[int, int] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    headless: bool = False

    @property
    def kind(self) -> str:
        return first_word(self.lines[0]) if self.lines else ""

    def replace(self, index: int, line: str, *, forget: bool = True) -> None:
        """Put another line in place of one, whose names are ``forget`` lost."""
        if forget:
            self.names.update(NAMES.findall(strip_comment(self.lines[index])))
        self.lines[index] = line

    def insert(self, index: int, line: str) -> None:
        self.lines.insert(index, line)
        self.numbers.insert(index, self.numbers[index - 1])


def split(lines: Sequence[str]) -> list[Chunk]:
    """The parts of a file; each begins at the margin."""
    chunks: list[Chunk] = []
    for number, line in enumerate(lines, start=1):
        if strip_comment(line[:1]).strip() or not chunks:
            chunks.append(Chunk([], []))
        chunks[-1].lines.append(line)
        chunks[-1].numbers.append(number)
    return chunks


def salvage(source: Source, lines: Sequence[str], mistakes: dict[int, LanguageError], parser: Lark) -> Iterator[Part]:
    """Read a text part by part; the indentation of its ``lines`` fits, and mistakes are entered by line."""
    budget = LINES
    for chunk in split(lines):
        part, spent = recover(chunk, source, mistakes, parser, budget)
        budget -= spent
        yield part


def recover(
    chunk: Chunk, source: Source, mistakes: dict[int, LanguageError], parser: Lark, budget: int
) -> tuple[Part, int]:
    """What can be read of a chunk, and how many lines were read again for it (``budget``: how many may be)."""
    kind = chunk.kind
    names = frozenset(NAMED.findall(chunk.lines[0])[:1])
    wrong = any(number in mistakes for number in chunk.numbers)
    tree: Any | None = None
    spent = 0
    while tree is None and any(strip_comment(line).strip(SPACE) for line in chunk.lines):
        try:
            tree = read(Source(source.name, "\n".join(chunk.lines)), parser)
        except LanguageError as error:
            wrong = True
            index = min(error.line, len(chunk.lines)) - 1
            number = chunk.numbers[index]
            if not (chunk.tries and error.code in (EMPTY, UNFITTING)):  # that comes of what was taken out
                mistakes.setdefault(number, error.at(source, number))
            spent += len(chunk.lines)
            if spent > budget or not patch(chunk, index, error):
                break
    if tree is None and wrong:
        chunk.names.update(name for line in chunk.lines for name in NAMES.findall(strip_comment(line)))
    numbers = (*chunk.numbers, chunk.numbers[-1] + 1)
    return Part(tree, numbers, chunk.headless, rest_of(chunk, kind, names, wrong)), spent


def rest_of(chunk: Chunk, began: str, names: frozenset[str], wrong: bool) -> Rest:
    """What is missing of a chunk that began with this word and these names behind it."""
    if not wrong:
        return Rest()
    lost = names if chunk.headless else ()
    whole = {kind for kind in (began, chunk.kind) if kind in ("world", "use") or (kind == "program" and not names)}
    return Rest(frozenset({*chunk.names, *lost, LOST} - set(KEYWORDS.values())), names, frozenset(whole))


def patch(chunk: Chunk, index: int, error: LanguageError) -> bool:
    """Change a line so that what stands around it can be read; False where nothing is left to try."""
    tries = chunk.tries[index] = chunk.tries.get(index, 0) + 1
    line = chunk.lines[index]
    code = strip_comment(line).rstrip()
    if tries == 1 and correct(chunk, index, error, code):
        return True
    indent, word = " " * (len(line) - len(line.lstrip(" "))), first_word(line)
    if tries > 3:
        return False
    if index == 0:
        return behead(chunk, code)
    if tries <= 2 and word in BRANCHES and chunk.kind == "program":
        chunk.replace(index, f"{indent}{'elif' if word == 'elif' else 'if'} 0 == 0:", forget=word == "for")
    elif tries <= 2 and word == "else":
        chunk.replace(index, f"{indent}else:", forget=False)
    elif chunk.kind == "program" and tries <= 2:
        chunk.replace(index, indent + LOST)
    else:
        chunk.replace(index, "")
    return True


def correct(chunk: Chunk, index: int, error: LanguageError, code: str) -> bool:
    """Fix what can only be meant in one way, so that nothing of the line is lost."""
    line = chunk.lines[index]
    if error.code == "NPI007":
        meant = error.fix.removeprefix("did you mean ").removesuffix("?")
        chunk.replace(index, line.replace(first_word(line), meant, 1), forget=False)
    elif error.code == "NPI010":
        chunk.replace(index, code + ":" if code else line, forget=False)
        return bool(code)
    elif error.code == "NPI012":
        chunk.replace(index, line[: error.column - 1] + "==" + line[error.column :], forget=False)
    elif error.code == EMPTY and chunk.kind == "program":
        opener = index if opens(chunk, index) else before(chunk, index)
        if not opens(chunk, opener):
            return False
        depth = len(chunk.lines[opener]) - len(chunk.lines[opener].lstrip(" "))
        chunk.insert(opener + 1, " " * (depth + 4) + LOST)
    else:
        return False
    return True


def opens(chunk: Chunk, index: int) -> bool:
    return strip_comment(chunk.lines[index]).rstrip().endswith(":")


def before(chunk: Chunk, index: int) -> int:
    """The last line with code before one."""
    return max((i for i in range(index) if strip_comment(chunk.lines[i]).strip()), default=0)


def behead(chunk: Chunk, code: str) -> bool:
    """Give a part the plainest first line of its kind; what it was called and took is lost."""
    names = NAMES.findall(code)
    if chunk.headless or chunk.kind not in HEADS:
        return False
    chunk.headless = True
    name = names[1] if len(names) > 1 else LOST
    chunk.replace(0, f"world {name} is scratchpad:" if chunk.kind == "world" else f"{chunk.kind} {name}:")
    return True


# --- lines whose indentation fits no block ---------------------------------------------------------------------------


def straighten(source: Source) -> tuple[list[str], list[LanguageError]]:
    """The lines with an indentation that fits, and the mistakes in it: tabs, and depths at which no block begins."""
    depths = [0]
    open_brackets = 0
    before = ""
    lines: list[str] = []
    errors: list[LanguageError] = []
    for number, line in enumerate(source.lines, start=1):
        code = strip_comment(line)
        long = LONG_NUMBER.search(code)
        if long:
            message, fix = f"a number of {len(long[0])} digits", "numbers in a text have less than 1000 digits"
            errors.append(LanguageError(source, number, long.start() + 1, message, fix, code="NPI009"))
            line = LONG_NUMBER.sub("0", line)
        if code.strip(SPACE) and open_brackets == 0:
            depth = len(code) - len(code.lstrip(" \t"))
            opens = before.rstrip().endswith(":") or (depth > depths[-1] and may_open(before))
            error = indentation_error(source, number, depths, opens)
            if error is not None:
                errors.append(error)
                depth = fitting(depth, depths, opens)
                line = " " * depth + line.lstrip(" \t")
            if depth > depths[-1]:
                depths.append(depth)
            del depths[depths.index(depth) + 1 :]
        if code.strip(SPACE):
            before = code
            open_brackets = max(0, open_brackets + bracket_change(code))
        lines.append(line)
    return lines, errors


def bracket_change(code: str) -> int:
    """How many more brackets are open behind a line than before it."""
    return sum(code.count(c) for c in "([") - sum(code.count(c) for c in ")]")


def may_open(line: str) -> bool:
    """Whether a line without its colon is meant to open a block, mistyped or not."""
    word = first_word(line)
    return word in OPENERS or (word.islower() and "(" not in line and nearest(word, OPENERS, cutoff=0.75) is not None)


def indentation_error(source: Source, number: int, depths: Sequence[int], opens: bool) -> LanguageError | None:
    """What is wrong with a line's indentation.

    Args:
        depths: those of the open blocks. opens: whether the line before opens one more.
    """
    line = source.line(number)
    indent = line[: len(line) - len(line.lstrip(" \t"))]
    depth = len(indent)
    if "\t" in indent:
        message, fix = "a tab in the indentation", "indent with spaces, four a level"
        return LanguageError(source, number, 1, message, fix, code="NPI001")
    if depth > depths[-1] and not opens:
        message = "this line is indented deeper than the one before, which opens no block"
        fix = f"indent it by {depths[-1]} spaces"
        return LanguageError(source, number, depth + 1, message, fix, code="NPI002")
    if depth < depths[-1] and depth not in depths:
        return LanguageError(source, number, depth + 1, *no_such_block(depth, depths), code="NPI003")
    return None


def fitting(depth: int, depths: Sequence[int], opens: bool) -> int:
    """The indentation that a misplaced line is read with."""
    if opens and depth > 0:
        return max(depth, depths[-1] + 1)
    return max((d for d in depths if d <= depth), default=0)
