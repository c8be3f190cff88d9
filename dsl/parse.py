"""Text → syntax tree: Lark (LALR) with an indenter, and one clear error for text that is none."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files

from lark import Lark, Token
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken, VisitError
from lark.indenter import Indenter

from dsl.errors import LanguageError, Source, nearest
from dsl.hints import EXAMPLES, KEYWORDS, TERMINALS, Hint
from dsl.syntax import File
from dsl.tree import TreeBuilder

OPENERS = ("world", "program", "task", "if", "elif", "else", "while", "for")
"""Words that begin a line which opens a block."""


class Blocks(Indenter):
    """Indentation as in Python: four spaces a level is usual, any consistent depth is accepted."""

    @property
    def NL_type(self) -> str:
        return "_NL"

    @property
    def OPEN_PAREN_types(self) -> list[str]:
        return ["LPAR", "LSQB"]

    @property
    def CLOSE_PAREN_types(self) -> list[str]:
        return ["RPAR", "RSQB"]

    @property
    def INDENT_type(self) -> str:
        return "_INDENT"

    @property
    def DEDENT_type(self) -> str:
        return "_DEDENT"

    @property
    def tab_len(self) -> int:
        return 8


@lru_cache(maxsize=1)
def grammar() -> Lark:
    """The parser, built once a process."""
    text = files("dsl").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(text, parser="lalr", postlex=Blocks(), propagate_positions=True)


def parse(text: str, *, path: str = "<text>") -> File:
    """The syntax tree of a program text.

    Args:
        text: the text of a program file.
        path: the name that errors give it.

    Raises:
        LanguageError: for text that the grammar does not accept, with its place and a mend.
    """
    source = Source(path, text)
    check_indentation(source)
    try:
        tree = grammar().parse(text if text.endswith("\n") else text + "\n")
    except UnexpectedInput as error:
        raise from_lark(error, source) from None
    try:
        return TreeBuilder().transform(tree)
    except VisitError as error:
        raise error.orig_exc from None


def check_indentation(source: Source) -> None:
    """Refuse tabs, and lines that go back to a depth at which no block began."""
    depths = [0]
    open_brackets = 0
    before = ""
    for number, line in enumerate(source.lines, start=1):
        code = strip_comment(line)
        if not code.strip():
            continue
        if open_brackets == 0:
            depth = len(code) - len(code.lstrip(" \t"))
            if "\t" in code[:depth]:
                raise LanguageError(source, number, 1, "a tab in the indentation", "indent with spaces, four a level")
            if depth > depths[-1]:
                if not before.rstrip().endswith(":") and first_word(before) not in OPENERS:
                    message = "this line is indented deeper than the one before, which opens no block"
                    raise LanguageError(source, number, depth + 1, message, f"indent it by {depths[-1]} spaces")
                depths.append(depth)
            if depth not in depths:
                message = f"this line is indented by {depth} spaces, and no open block is"
                mend = f"indent it by {' or '.join(map(str, depths))} spaces"
                raise LanguageError(source, number, depth + 1, message, mend)
            del depths[depths.index(depth) + 1 :]
        before = code
        open_brackets = max(0, open_brackets + sum(code.count(c) for c in "([") - sum(code.count(c) for c in ")]"))


def first_word(line: str) -> str:
    found = re.match(r"\s*([A-Za-z_]\w*)", line)
    return found[1] if found else ""


def strip_comment(line: str) -> str:
    """The line without its comment and without quoted symbols, which may hold brackets or a #."""
    kept: list[str] = []
    quoted = escaped = False
    for character in line:
        if quoted:
            if character == '"' and not escaped:
                quoted = False
            escaped = character == "\\" and not escaped
            kept.append("_")
        elif character == "#":
            break
        else:
            quoted = character == '"'
            kept.append("_" if quoted else character)
    return "".join(kept)


def from_lark(error: UnexpectedInput, source: Source) -> LanguageError:
    """Lark's complaint as ours: by the table of examples where one matches, else what stood and what could."""
    if isinstance(error, UnexpectedCharacters):
        return bad_character(error, source)
    assert isinstance(error, UnexpectedToken), f"Lark raised {error!r}"
    line, column = token_place(error.token, source)
    seen = describe(error.token)
    bracket = open_bracket(source, line, column)
    if bracket is not None and bracket[0] < line:
        return LanguageError(source, *bracket, "a bracket that is not closed", "close it with ) or ]")
    word = first_word(source.line(line))
    meant = nearest(word, KEYWORDS.values(), cutoff=0.75) if word.islower() else None
    if meant is not None and meant != word:
        place = source.line(line).index(word) + 1
        return LanguageError(source, line, place, f"a line that begins with {word}", f"did you mean {meant}?")
    hint = example_hint(error)
    if hint is not None:
        return LanguageError(source, line, column, hint.message, hint.mend)
    expected = sorted(error.accepts or error.expected)
    close = nearest(str(error.token), (KEYWORDS[name] for name in expected if name in KEYWORDS))
    wanted = ", ".join(dict.fromkeys(TERMINALS.get(name, KEYWORDS.get(name, name)) for name in expected))
    mend = f"did you mean {close}?" if close else f"what can stand here: {wanted}"
    return LanguageError(source, line, column, f"unexpected {seen}", mend)


def bad_character(error: UnexpectedCharacters, source: Source) -> LanguageError:
    character = source.line(error.line)[error.column - 1 : error.column]
    if character == '"':
        return LanguageError(source, error.line, error.column, "a quoted symbol that does not end", 'close it with "')
    mend = "use == to compare" if character == "=" else "remove it, or quote it where a symbol is meant"
    return LanguageError(source, error.line, error.column, f"the character {character!r} means nothing here", mend)


def example_hint(error: UnexpectedToken) -> Hint | None:
    """The hint whose wrong examples stop the parser at the same state and the same token."""
    examples = {hint.message: wrong for hint, wrong in EXAMPLES.items()}
    found = error.match_examples(grammar().parse, examples, token_type_match_fallback=False, use_accepts=False)
    return next((hint for hint in EXAMPLES if hint.message == found), None)


def open_bracket(source: Source, line: int, column: int) -> tuple[int, int] | None:
    """The place of the last bracket that is open before a place."""
    found: list[tuple[int, int]] = []
    for number, text in enumerate(source.lines[:line], start=1):
        for position, character in enumerate(strip_comment(text), start=1):
            if (number, position) >= (line, column):
                break
            if character in "([":
                found.append((number, position))
            elif character in ")]" and found:
                found.pop()
    return found[-1] if found else None


def token_place(token: Token, source: Source) -> tuple[int, int]:
    """Where to put the caret: an end of line belongs to the line that it ends."""
    if token.type in ("$END", "_DEDENT") or token.line is None:
        last = max((n for n, text in enumerate(source.lines, start=1) if text.strip()), default=1)
        return last, len(source.line(last)) + 1
    return token.line, token.column or 1


def describe(token: Token) -> str:
    """What stood there, for people."""
    if token.type in TERMINALS and token.type not in ("NAME", "INT", "STRING", "FLOAT"):
        return TERMINALS[token.type]
    return "end of the file" if token.type == "$END" else repr(str(token))
