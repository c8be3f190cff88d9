"""Runs the tables that Lark makes of ``grammar.lark``, four times as fast as Lark's own loop.

The grammar stays the one source: terminals, tables and rules are Lark's. What is saved is a tree between the text and
ours, and the reductions of rules that only pass a value on (an expression climbs nine of them). A text that is not of
the language is refused without a reason; Lark is asked for that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lark import Lark
from lark.grammar import NonTerminal, Rule, Terminal
from lark.parsers.lalr_analysis import Shift

INDENT, DEDENT, NEWLINE, NAME, END = "_INDENT", "_DEDENT", "_NL", "NAME", "$END"

OPENING, CLOSING = frozenset(("LPAR", "LSQB")), frozenset(("RPAR", "RSQB"))


class At(NamedTuple):
    """A place, from 1."""

    line: int
    column: int


class Word(str):
    """A token that the tree keeps: its text, and which terminal it is."""

    __slots__ = ("type",)
    type: str


class Children(list[Any]):
    """What a rule whose name begins with ``_`` hands to the rule around it."""


class Stuck(Exception):
    """The text is not of the language."""


@dataclass(frozen=True, slots=True)
class Reduction:
    """A rule as the loop needs it.

    Attributes:
        size, origin: how many symbols it takes, and which one it makes.
        unit: it passes its one symbol on.
        kept: (position, whether it is :class:`Children`, how many ``None`` stand before it) of what the tree keeps.
        nones: how many ``None`` stand at the end.
        alone: a single child is passed on.
        build: what makes the node; None hands the children on.
    """

    size: int
    origin: str
    unit: bool
    kept: tuple[tuple[int, bool, int], ...]
    nones: int
    alone: bool
    build: Callable[[At | None, list[Any]], Any] | None


class Automaton:
    """A LALR parser with an indenter.

    Args:
        lark: made with ``parser="lalr"`` and ``maybe_placeholders``.
        builder: has one method a rule or alias, ``(place, children)``.
    """

    def __init__(self, lark: Lark, builder: object) -> None:
        table = lark.parser.parser._parse_table
        reductions = {rule: reduction(rule, builder) for rule in lark.rules}
        self.start, self.end = table.start_states["start"], table.end_states["start"]
        self.actions: list[dict[str, int | Reduction]] = [
            {name: arg if action is Shift else reductions[arg] for name, (action, arg) in table.states[state].items()}
            for state in range(len(table.states))
        ]
        self.tokens, self.words = scanner(lark)
        self.ignored = frozenset(lark.ignore_tokens)

    def parse(self, text: str, numbers: Sequence[int] | None = None) -> Any:
        """The tree of a text that ends in a line feed.

        Args:
            numbers: the number of each line; from 1 on where not given.

        Raises:
            Stuck: for a text that the grammar does not accept.
        """
        run = _Run(self)
        match, words, ignored, actions, states = self.tokens, self.words, self.ignored, self.actions, run.states
        numbers = range(1, text.count("\n") + 2) if numbers is None else numbers
        position, line, begin, depth, levels = 0, 1, 0, 0, [0]
        while position < len(text):
            found = match(text, position)
            if found is None:
                raise Stuck
            kind, value, column = found.lastgroup, found.group(), position - begin + 1
            position = found.end()
            if kind in ignored:
                continue
            if kind == NEWLINE:
                if depth == 0:
                    run.feed(NEWLINE, value, At(numbers[line - 1], column))
                    run.level(levels, value, At(numbers[line - 1], column))
                line += value.count("\n")
                begin = position - (len(value) - value.rindex("\n") - 1)
                continue
            if kind == NAME and value in words and words[value] in actions[states[-1]]:
                kind = words[value]
            assert kind is not None, "every part of the pattern has a name"
            run.feed(kind, value, At(numbers[line - 1], column))
            depth += (kind in OPENING) - (kind in CLOSING)
        last = At(numbers[line - 1], 1)
        for _ in levels[1:]:
            run.feed(DEDENT, "", last)
        return run.finish(last)


class _Run:
    """The stacks of one parse: states, values, and where each value begins."""

    def __init__(self, automaton: Automaton) -> None:
        self.automaton = automaton
        self.states = [automaton.start]
        self.values: list[Any] = []
        self.places: list[At | None] = []

    def feed(self, kind: str, value: str, place: At) -> None:
        """Reduce as long as the token asks for it, then shift it."""
        actions, states = self.automaton.actions, self.states
        while True:
            action = actions[states[-1]].get(kind)
            if action is None:
                raise Stuck
            if isinstance(action, int):
                word = Word(value)
                word.type = kind
                states.append(action)
                self.values.append(word)
                self.places.append(place)
                return
            if action.unit:
                states[-1] = actions[states[-2]][action.origin]
            else:
                self.reduce(action)

    def reduce(self, rule: Reduction) -> None:
        states, values, places, size = self.states, self.values, self.places, rule.size
        place: At | None = None
        children: list[Any] = []
        if size:
            taken = values[-size:]
            place = next((p for p in places[-size:] if p is not None), None)
            del states[-size:], values[-size:], places[-size:]
            for index, inlined, nones in rule.kept:
                if nones:
                    children += [None] * nones
                if inlined:
                    children = [*children, *taken[index]] if children else taken[index]
                else:
                    children.append(taken[index])
        if rule.nones:
            children += [None] * rule.nones
        if rule.alone and len(children) == 1:
            value = children[0]
        else:
            value = Children(children) if rule.build is None else rule.build(place, children)
        states.append(self.automaton.actions[states[-1]][rule.origin])
        values.append(value)
        places.append(place)

    def level(self, levels: list[int], newline: str, place: At) -> None:
        """Begin or end blocks, as the indentation behind a line end says."""
        indent = len(newline) - newline.rindex("\n") - 1
        indent += 7 * newline.count("\t", newline.rindex("\n"))  # a tab counts as eight, as Lark counts
        if indent > levels[-1]:
            levels.append(indent)
            self.feed(INDENT, "", place)
        while indent < levels[-1]:
            levels.pop()
            self.feed(DEDENT, "", place)
        if indent != levels[-1]:
            raise Stuck

    def finish(self, place: At) -> Any:
        actions, states, end = self.automaton.actions, self.states, self.automaton.end
        while states[-1] != end:
            action = actions[states[-1]].get(END)
            if not isinstance(action, Reduction):
                raise Stuck
            self.reduce(action)
        return self.values[-1]


def reduction(rule: Rule, builder: object) -> Reduction:
    """A rule of Lark's, with Lark's own reading of what a tree keeps (``lark.parse_tree_builder``)."""
    options, size = rule.options, len(rule.expansion)
    empty = [0] * (size + 1)
    if options.empty_indices:
        empty = [len(nones) for nones in "".join(str(int(e)) for e in options.empty_indices).split("0")]
    kept: list[tuple[int, bool, int]] = []
    waiting = 0
    for index, symbol in enumerate(rule.expansion):
        waiting += empty[index]
        if options.keep_all_tokens or not (isinstance(symbol, Terminal) and symbol.filter_out):
            kept.append((index, isinstance(symbol, NonTerminal) and symbol.name.startswith("_"), waiting))
            waiting = 0
    waiting += empty[size]
    alone = bool(options.expand1) and not rule.alias
    name = str(rule.alias or rule.origin.name)
    build = None if name.startswith("_") else getattr(builder, name, None)
    assert build is not None or alone or name.startswith("_"), f"the builder has no method {name}"
    unit = alone and size == 1 and kept == [(0, False, 0)] and waiting == 0
    return Reduction(size, str(rule.origin.name), unit, tuple(kept), waiting, alone, build)


def scanner(lark: Lark) -> tuple[Callable[[str, int], re.Match[str] | None], Mapping[str, str]]:
    """What finds the token at a position, and the words that are terminals of their own where one can stand.

    The order of the terminals is that of Lark's lexers, whose contextual one takes a word for a keyword only where
    the grammar can go on with it.
    """
    ordered = sorted(
        (t for t in lark.terminals if t.name not in (INDENT, DEDENT)),
        key=lambda t: (-t.priority, -t.pattern.max_width, -len(t.pattern.value), t.name),
    )
    name = re.compile(next(t for t in ordered if t.name == NAME).pattern.to_regexp())
    words = {t.pattern.value: t.name for t in ordered if t.pattern.type == "str" and name.fullmatch(t.pattern.value)}
    parts = [f"(?P<{t.name}>{t.pattern.to_regexp()})" for t in ordered if t.name not in words.values()]
    return re.compile("|".join(parts)).match, words
