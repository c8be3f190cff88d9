"""Why a text is not of the language: Lark's complaint in our words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any, ClassVar

from lark import Lark, Token
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.indenter import DedentError, Indenter

from dsl.errors.error import LanguageError, Source, nearest
from dsl.errors.examples import COLON, EQUAL, EXAMPLES, KEYWORDS, TERMINALS, Hint

SPACE = " \t\r"
"""What the grammar passes over in a line; other characters that look empty mean nothing."""


class Blocks(Indenter):
    """Indentation as in Python: four spaces a level is usual, any consistent depth is accepted."""

    NL_type = "_NL"
    OPEN_PAREN_types: ClassVar[list[str]] = ["LPAR", "LSQB"]
    CLOSE_PAREN_types: ClassVar[list[str]] = ["RPAR", "RSQB"]
    INDENT_type = "_INDENT"
    DEDENT_type = "_DEDENT"
    tab_len = 8

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        """Each text has its own state, so that texts can be read in several threads."""
        return super(Blocks, Blocks()).process(separate(stream))

    def handle_NL(self, token: Token) -> Iterator[Token]:
        depths = list(self.indent_level)
        try:
            yield from super().handle_NL(token)
        except DedentError:
            raise NoSuchBlock(token, depths) from None


class NoSuchBlock(Exception):
    """A line that goes back to where no block begins: the end of the line before it, and where blocks begin."""

    def __init__(self, end: Token, depths: list[int]) -> None:
        super().__init__(end, depths)
        self.end, self.depths = end, depths


class Glued(Exception):
    """A keyword with a name or number right behind it."""

    def __init__(self, word: Token, rest: Token) -> None:
        super().__init__(word, rest)
        self.word, self.rest = word, rest


def separate(tokens: Iterator[Token]) -> Iterator[Token]:
    """Refuse a keyword that is only the beginning of a word (``rowA``), which Lark reads where no name can stand."""
    before: Token | None = None
    for token in tokens:
        touches = before is not None and before.type in KEYWORDS and before.end_pos == token.start_pos
        if touches and (token[:1].isalnum() or token[:1] == "_"):
            assert before is not None, "a token touches one before it"
            raise Glued(before, token)
        before = token
        yield token


@lru_cache(maxsize=2)
def grammar(transformer: object = None) -> Lark:
    """The parser, built once a process: of Lark's trees, or of what the transformer's methods make of each rule."""
    text = files("dsl.text").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(text, parser="lalr", postlex=Blocks(), transformer=transformer)


def read(source: Source, parser: Lark) -> Any:
    """The tree of a text.

    Raises:
        LanguageError: the first mistake of a text that the grammar does not accept.
    """
    text = source.text
    try:
        return parser.parse(text if text.endswith("\n") else text + "\n")
    except UnexpectedInput as error:
        raise from_lark(error, source, parser) from None
    except NoSuchBlock as error:
        depth = len(error.end.rpartition("\n")[2])
        message, fix = no_such_block(depth, error.depths)
        raise LanguageError(source, error.end.end_line or 1, depth + 1, message, fix, code="NPI003") from None
    except Glued as error:
        message, fix = f"unexpected {error.word + error.rest!r}", f"did you mean {error.word} {error.rest}?"
        raise LanguageError(source, *token_place(error.word, source), message, fix, code="NPI008") from None


def no_such_block(depth: int, depths: Sequence[int]) -> tuple[str, str]:
    """Message and fix for a line that goes back to where none of the open blocks begins."""
    message = f"this line is indented by {depth} spaces, and no open block is"
    return message, f"indent it by {' or '.join(map(str, depths))} spaces"


def first_word(line: str) -> str:
    found = re.match(r"\s*([A-Za-z_]\w*)", line)
    return found[1] if found else ""


QUOTED_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\])*(?:"|\\?$)|#.*')


LONE_BACKSLASH = re.compile(r'"(?:\\["\\]|[^"\\])*\\[^"\\].*?"')
"""A quoted text with a backslash before a letter, which the grammar does not have."""


def strip_comment(line: str) -> str:
    """The line without its comment and without quoted symbols, which may hold brackets or a #."""
    if '"' not in line and "#" not in line:
        return line
    return QUOTED_OR_COMMENT.sub(lambda found: "" if found[0][0] == "#" else "_" * len(found[0]), line)


def from_lark(error: UnexpectedInput, source: Source, parser: Lark) -> LanguageError:
    """Lark's complaint as ours: by the table of examples where one matches, else what stood and what could."""
    if isinstance(error, UnexpectedCharacters):
        return bad_character(error, source)
    assert isinstance(error, UnexpectedToken), f"Lark raised {error!r}"
    line, column = token_place(error.token, source)
    seen = describe(error.token)
    bracket = open_bracket(source, line, column)
    if bracket is not None and (bracket[0] < line or error.token.type in ("$END", "_DEDENT")):
        return LanguageError(source, *bracket, "a bracket that is not closed", "close it with ) or ]", code="NPI004")
    word = first_word(source.line(line))
    meant = nearest(word, KEYWORDS.values(), cutoff=0.75) if word.islower() else None
    if meant is not None and meant != word:
        place = source.line(line).index(word) + 1
        message = f"a line that begins with {word}"
        return LanguageError(source, line, place, message, f"did you mean {meant}?", code="NPI007")
    hint = example_hint(error, parser)
    expected = [] if hint is not None else sorted(error.accepts or error.expected)
    if error.token.type == "_NL" and "COLON" in expected:
        hint = COLON
    elif error.token.type == "EQUAL" and "COMPARE" in expected:
        hint = EQUAL
    if hint is not None:
        return LanguageError(source, line, column, hint.message, hint.fix, code=hint.code)
    close = nearest(str(error.token), (KEYWORDS[name] for name in expected if name in KEYWORDS))
    wanted = ", ".join(dict.fromkeys(TERMINALS.get(name, KEYWORDS.get(name, name)) for name in expected))
    fix = f"did you mean {close}?" if close else f"what can stand here: {wanted}"
    return LanguageError(source, line, column, f"unexpected {seen}", fix, code="NPI008")


def bad_character(error: UnexpectedCharacters, source: Source) -> LanguageError:
    character = source.line(error.line)[error.column - 1 : error.column]
    if character == '"':
        quoted = LONE_BACKSLASH.match(source.line(error.line), error.column - 1)
        if quoted is not None:
            message = f"a backslash that stands for nothing in {quoted[0]}"
            fix = "paths are written with /: " + quoted[0].replace("\\\\", "/").replace("\\", "/")
            if first_word(source.line(error.line)) != "use":
                fix = 'write \\\\ for a backslash, and \\" for a quote'
            return source.error(error, message, fix, "NPI025")
        return source.error(error, "a quoted symbol that does not end", 'close it with "', "NPI005")
    if character.isalpha():
        fix = f'names have the letters a to z and A to Z, digits and _; quote it where a symbol is meant: "{character}"'
        return source.error(error, f"the letter {character!r} in a name", fix, "NPI006")
    fix = "use == to compare" if character == "=" else "remove it, or quote it where a symbol is meant"
    return source.error(error, f"the character {character!r} means nothing here", fix, "NPI006")


def example_hint(error: UnexpectedToken, parser: Lark) -> Hint | None:
    """The hint one of whose wrong examples stops the parser in the same state: at the same token, else the same kind
    of token, else any. (What Lark's ``match_examples`` does, which also asks for stacks of the same depth.)"""
    state, token = error.state.position, error.token
    by_rank: dict[int, Hint] = {}
    for hint, stop in stops(parser):
        if isinstance(stop, UnexpectedToken) and stop.state.position == state:
            rank = 0 if stop.token == token else 1 if stop.token.type == token.type else 2
            by_rank.setdefault(rank, hint)
    return by_rank[min(by_rank)] if by_rank else None


@lru_cache(maxsize=2)
def stops(parser: Lark) -> tuple[tuple[Hint, UnexpectedInput], ...]:
    """Where each wrong example stops the parser."""
    stopped: list[tuple[Hint, UnexpectedInput]] = []
    for hint, example in ((hint, text) for hint, wrong in EXAMPLES.items() for text in wrong):
        try:
            parser.parse(example)
        except UnexpectedInput as error:
            stopped.append((hint, error))
    return tuple(stopped)


def open_bracket(source: Source, line: int, column: int) -> tuple[int, int] | None:
    """The place of the last bracket that is open before a place."""
    opened: list[tuple[int, int]] = []
    for number, text in enumerate(source.lines[:line], start=1):
        for position, character in enumerate(strip_comment(text), start=1):
            if (number, position) >= (line, column):
                break
            if character in "([":
                opened.append((number, position))
            elif character in ")]" and opened:
                opened.pop()
    return opened[-1] if opened else None


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
