"""Program files in colour: a lexer for Pygments, which finds it by its entry point (``pygmentize -l npi``)."""

from __future__ import annotations

from typing import Any, ClassVar

from pygments.lexer import RegexLexer, bygroups, words
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Whitespace

from envs.scratchpad.actions import ACTIONS

__all__ = ["NpiLexer"]

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
SPACE = r"[ \t]+"

BLANKS: list[Any] = [(r"[ \t\r]+", Whitespace), (r"#[^\n]*", Comment.Single)]

VALUES: list[Any] = [
    (r'"(?:\\["\\]|[^"\\\n])*"', String.Double),
    (words(("and", "or", "not", "div", "mod", "in"), suffix=r"\b"), Operator.Word),
    (words(("if", "else", "of"), suffix=r"\b"), Keyword),
    (r"blank\b", Keyword.Constant),
    (words(("digit", "bit", "letter", "direction"), suffix=r"\b(?![ \t]*\()"), Keyword.Type),
    (words(ACTIONS, suffix=r"\b"), Name.Constant),
    (rf"{NAME}(?=\()", Name.Builtin),
    (NAME, Name.Variable),
    (r"[0-9]+\.[0-9]+", Number.Float),
    (r"[0-9]+", Number.Integer),
    (r"[=!<>]=|[-+*<>=]", Operator),
    (r"\.\.|[.,:]", Punctuation),
]
"""What expressions, domains and lists of names are made of; anything else is an error."""


class NpiLexer(RegexLexer):
    """The words of a line depend on its beginning: ``row`` begins a line of a world, and may name a row elsewhere."""

    name = "NPI program"
    aliases: ClassVar[list[str]] = ["npi"]
    filenames: ClassVar[list[str]] = ["*.npi"]
    mimetypes: ClassVar[list[str]] = ["text/x-npi"]

    tokens: ClassVar[dict[str, list[Any]]] = {
        "root": [
            (r"\n", Whitespace),
            *BLANKS,
            (rf"(program|task)({SPACE})({NAME})", bygroups(Keyword.Declaration, Whitespace, Name.Function), "line"),
            (
                rf"(world)({SPACE})({NAME})({SPACE})(is)({SPACE})({NAME})",
                bygroups(Keyword.Declaration, Whitespace, Name.Namespace, Whitespace, Keyword, Whitespace, Name.Class),
                "line",
            ),
            (
                rf"(world)({SPACE})({NAME})({SPACE})(joins)(?={SPACE}[A-Za-z_])",
                bygroups(Keyword.Declaration, Whitespace, Name.Namespace, Whitespace, Keyword),
                "line",
            ),
            (r"use\b", Keyword.Namespace, "line"),
            (words(("row", "pointer", "counter", "order", "jump"), suffix=rf"(?={SPACE}[A-Za-z_])"), Keyword, "line"),
            (words(("if", "elif", "else", "while", "for", "pass", "return"), suffix=r"\b"), Keyword, "line"),
            (words(("maximise", "minimise", "imitate"), suffix=rf"(?={SPACE}[A-Za-z_])"), Keyword, "line"),
            (rf'core(?={SPACE}")', Keyword, "line"),
            (
                rf"(run)({SPACE})({NAME})(\.)({NAME})",
                bygroups(Keyword, Whitespace, Name.Namespace, Punctuation, Name.Function),
                "line",
            ),
            (rf"(run)({SPACE})({NAME})", bygroups(Keyword, Whitespace, Name.Function), "line"),
            (words(("expect", "train", "test"), suffix=rf'(?={SPACE}[A-Za-z0-9_(\["-])'), Keyword, "line"),
            (r"(?:train|test)(?=[ \t\r]*(?:#|\n|\Z))", Keyword, "line"),
            (rf"({NAME}(?:\.{NAME})?)([ \t]*)(=)(?!=)", bygroups(Name.Variable, Whitespace, Operator), "line"),
            (rf"({NAME})(\.)({NAME})", bygroups(Name.Namespace, Punctuation, Name.Function), "line"),
            (NAME, Name.Function, "line"),
        ],
        "line": [
            (r"\n", Whitespace, "#pop"),
            *BLANKS,
            (r"[(\[]", Punctuation, "bracket"),
            (r"([0-9]+)([ \t]+)(digits|items|vertices|traces|steps)\b", bygroups(Number.Integer, Whitespace, Keyword)),
            (r"(?<=[ \t])(?:on|at|where|over)(?=[ \t])", Keyword),
            (r"(?<=[ \t])(?:left|right)(?=\s|\Z)", Keyword.Constant),
            *VALUES,
        ],
        "bracket": [
            (r"[)\]]", Punctuation, "#pop"),
            (r"[(\[]", Punctuation, "#push"),
            (r"\n", Whitespace),
            *BLANKS,
            (
                r"(:)([ \t]*)(number)([ \t]+)(base)\b",
                bygroups(Punctuation, Whitespace, Keyword.Type, Whitespace, Keyword),
            ),
            (
                r"(:)([ \t]*)(acyclic)([ \t]+)(graph)\b",
                bygroups(Punctuation, Whitespace, Keyword.Type, Whitespace, Keyword.Type),
            ),
            (r"(:)([ \t]*)(number|list|graph|pointer)\b", bygroups(Punctuation, Whitespace, Keyword.Type)),
            *VALUES,
        ],
    }
