"""Changes to a text that keep most of its grammar: bytes at random seldom get past the first line.

A text is taken apart into words (names, numbers, quoted symbols, marks, line ends with their indentation) or lines, and
a few of them are removed, doubled, exchanged, replaced by others of the text or of the corpus, or nested.
"""

import random
import re
from collections.abc import Callable
from functools import cache

from dsl.errors.examples import KEYWORDS
from dsl.names.worlds import SYMBOL_SETS
from dsl.tasks.expressions import FUNCTIONS, ON_WORLD
from envs.scratchpad.actions import ACTIONS, JUMPS, PLACING
from envs.scratchpad.config import ORDER

from .corpus import seeds

WORD = re.compile(r'\n[ \t]*|"(?:\\.|[^"\\\n])*"?|#[^\n]*|[A-Za-z_]\w*|[0-9]+|\.\.|[=!<>]=|[ \t]+|.', re.DOTALL)

NUMBERS = ("0", "1", "2", "9", "10", "255", "32767", "32768", "2147483647", "2147483648", "9" * 30, "007", "-1")
ODD = ("\t", "\r\n", "\x00", "\ufeff", "é", "²", "\u2028", "\x0c", '"', "\\", "#", "\x85", "\U0001d7d9")
MARKS = ("(", ")", "[", "]", ",", ":", "..", ".", "=", "==", "!=", "<", "<=", ">", ">=", "+", "-", "*")
LANGUAGE = sorted({*KEYWORDS.values(), *FUNCTIONS, *ON_WORLD, *SYMBOL_SETS, *ACTIONS, *JUMPS, *PLACING, *ORDER})

MOST = 400
"""How often a piece is repeated at most."""


@cache
def pool() -> tuple[str, ...]:
    """Every line of the corpus once."""
    return tuple(sorted({line for text in seeds() for line in text.split("\n") if line.strip()}))


def mutate(text: str, chooser: random.Random, most: int) -> str:
    """The text with one to four changes, cut to ``most`` characters."""
    for _ in range(chooser.choice((1, 1, 2, 4))):
        text = chooser.choice(CHANGES)(text, chooser)[:most]
    return text


def cross(one: str, two: str, chooser: random.Random, most: int) -> str:
    """Parts of two texts, each part a line at the margin and what is indented below it."""
    parts = [*parts_of(one), *parts_of(two)]
    chosen = [part for part in parts if chooser.random() < 0.6]
    if chooser.random() < 0.3:
        chooser.shuffle(chosen)
    return "".join(chosen)[:most]


def parts_of(text: str) -> list[str]:
    return re.split(r"(?m)^(?=[^\s#])", text)


def change_word(text: str, chooser: random.Random) -> str:
    words = WORD.findall(text)
    if not words:
        return chooser.choice(pool()) + "\n"
    at = chooser.randrange(len(words))
    other = chooser.randrange(len(words))
    kind = chooser.randrange(7)
    if kind == 0:
        del words[at]
    elif kind == 1:
        words.insert(at, words[other])
    elif kind == 2:
        words[at], words[other] = words[other], words[at]
    elif kind == 3:
        words[at] = any_word(chooser)
    elif kind == 4:
        words.insert(at, f" {any_word(chooser)} ")
    elif kind == 5:
        alike = [word for word in words if kind_of(word) == kind_of(words[at])]
        words[at] = chooser.choice(alike)
    else:
        words[at:at] = words[other : other + chooser.randint(1, 8)]
    return "".join(words)


def any_word(chooser: random.Random) -> str:
    source = chooser.choice((LANGUAGE, LANGUAGE, NUMBERS, MARKS, ODD))
    return chooser.choice(source)


def kind_of(word: str) -> str:
    return "n" if word[0].isdigit() else "a" if word[0].isalpha() else word[0]


def rename(text: str, chooser: random.Random) -> str:
    """One name everywhere in place of another, or of a new one."""
    names = sorted(set(re.findall(r"[A-Za-z_]\w*", text)) - set(KEYWORDS.values()))
    if not names:
        return text
    old, new = chooser.choice(names), chooser.choice([*names, "X1", *LANGUAGE])
    return re.sub(rf"\b{old}\b", new, text)


def change_line(text: str, chooser: random.Random) -> str:
    lines = text.split("\n")
    at, other = chooser.randrange(len(lines)), chooser.randrange(len(lines))
    kind = chooser.randrange(7)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(at, lines[other])
    elif kind == 2:
        lines[at], lines[other] = lines[other], lines[at]
    elif kind == 3:
        lines.insert(at, chooser.choice(pool()))
    elif kind == 4:
        indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
        lines[at] = indent + chooser.choice(pool()).lstrip()
    elif kind == 5:
        lines[at] = " " * chooser.choice((0, 1, 4, 8, 12)) + lines[at].lstrip()
    else:
        end = min(len(lines), at + chooser.randint(1, 6))
        lines[at:at] = lines[at:end]
    return "\n".join(lines)


def deepen(text: str, chooser: random.Random) -> str:
    """A block inside a block inside a block."""
    lines = text.split("\n")
    at = chooser.randrange(len(lines))
    indent = len(lines[at]) - len(lines[at].lstrip())
    head = chooser.choice(("if IN:", "while IN:", "if 0 == 0:", "for w in IN, OUT:", "else:", "elif IN:"))
    depth = chooser.choice((1, 1, 2, 5, 40))
    heads = [" " * (indent + 2 * level) + head for level in range(depth)]
    lines[at : at + 1] = [*heads, " " * (2 * depth) + lines[at]]
    return "\n".join(lines)


def nest(text: str, chooser: random.Random) -> str:
    """A word in brackets, behind signs, or in a long chain."""
    words = WORD.findall(text)
    places = [i for i, word in enumerate(words) if word[0].isalnum()]
    if not places:
        return text
    at, times = chooser.choice(places), chooser.choice((1, 2, 5, 30, MOST))
    word = words[at]
    before, after = chooser.choice(
        (
            ("(", ")"), ("-", ""), ("not ", ""), (f"{word} + ", ""), (f"{word} and ", ""), (f"{word}, ", ""),
            (f"{word} or ", ""), (f"{word} if {word} else ", ""), ("[", "]"), ("len(", ")"), (f"{word}(", ")"),
            (f"{word} - (", ")"), ("9 * ", ""), (f"{word} == ", ""),
        )
    )  # fmt: skip
    words[at] = before * times + word + after * times
    return "".join(words)


def repeat(text: str, chooser: random.Random) -> str:
    """A part again and again, each time under a new name."""
    parts = parts_of(text)
    at = chooser.randrange(len(parts))
    times = chooser.choice((1, 2, 10, 50))
    head, _, rest = parts[at].partition(" ")
    name = re.match(r"\w+", rest)
    copies = [f"{head} {name[0]}{number}{rest[name.end() :]}" if name else parts[at] for number in range(times)]
    parts[at:at] = copies
    return "".join(parts)


def splice(text: str, chooser: random.Random) -> str:
    """A part of another text."""
    return cross(text, chooser.choice(seeds()), chooser, len(text) + 4000)


CHANGES: tuple[Callable[[str, random.Random], str], ...] = (
    change_word, change_word, change_word, change_word, change_line, change_line, change_line, rename, deepen, nest,
    repeat, splice,
)  # fmt: skip
