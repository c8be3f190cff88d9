"""Program files in colour: a lexer for Pygments, which finds it by its entry point (``pygmentize -l npi``)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, ClassVar

from pygments.lexer import Lexer
from pygments.token import Comment, Error, Keyword, Name, Number, Operator, Punctuation, String, Whitespace

from dsl.errors.examples import KEYWORDS
from dsl.names.worlds import SYMBOL_SETS
from envs.scratchpad.actions import ACTIONS
from npi.lsp import names as n

__all__ = ["NpiLexer"]

PIECE = re.compile(
    r'(?P<string>"(?:\\["\\]|[^"\\\n])*")|(?P<comment>#[^\n]*)|(?P<space>\s+)|(?P<word>[A-Za-z_][A-Za-z0-9_]*)'
    r"|(?P<float>[0-9]+\.[0-9]+)|(?P<int>[0-9]+)|(?P<operator>[=!<>]=|[-+*<>=])|(?P<sign>\.\.|[.,:()\[\]])|."
)
"""What texts are made of; anything else is an error."""

KINDS = {
    "string": String.Double,
    "comment": Comment.Single,
    "space": Whitespace,
    "float": Number.Float,
    "int": Number.Integer,
    "operator": Operator,
    "sign": Punctuation,
}

WORDS: dict[str, Any] = {
    **dict.fromkeys(KEYWORDS.values(), Keyword),
    **dict.fromkeys(("program", "task", "world"), Keyword.Declaration),
    **dict.fromkeys(("and", "or", "not", "div", "mod", "in"), Operator.Word),
    **dict.fromkeys(("number", "list", "graph", "acyclic"), Keyword.Type),
    "use": Keyword.Namespace,
    "blank": Keyword.Constant,
}

NAMES: dict[str, Any] = {
    n.WORLD: Name.Namespace,
    **dict.fromkeys((n.PROGRAM, n.TASK, n.CALLABLE), Name.Function),
    n.FUNCTION: Name.Builtin,
    n.WORD: Name.Class,
}
"""Names by what they declare, or are used as; all others are variables."""

VALUES = {
    **dict.fromkeys((*SYMBOL_SETS, "direction"), Keyword.Type),
    **dict.fromkeys(ACTIONS, Name.Constant),
    **dict.fromkeys(("left", "right"), Keyword.Constant),
}
"""Names that the language gives."""


class NpiLexer(Lexer):
    """A word is a keyword only where the parser does not take it for a name."""

    name = "NPI program"
    aliases: ClassVar[list[str]] = ["npi"]
    filenames: ClassVar[list[str]] = ["*.npi"]
    mimetypes: ClassVar[list[str]] = ["text/x-npi"]

    def get_tokens_unprocessed(self, text: str) -> Iterator[tuple[int, Any, str]]:
        """Place, kind and text of each piece."""
        found = n.read_names(text)
        begins = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
        kinds = {item.span: item.kind for item in found.declared} | {item.span: item.role for item in found.used}
        named = {begins[span.line] + span.start: kind for span, kind in kinds.items()}
        for piece in PIECE.finditer(text):
            word, place = piece[0], piece.start()
            if piece.lastgroup != "word":
                yield place, KINDS.get(piece.lastgroup or "", Error), word
            elif place in named:
                kind = named[place]
                given = VALUES.get(word) if kind in (n.VALUE, n.WORD) else None
                yield place, given or NAMES.get(kind, Name.Variable), word
            else:
                yield place, WORDS.get(word, Name), word
