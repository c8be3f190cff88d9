"""A task: how inputs are drawn and laid out, which program runs, and whether a result is right."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dsl.errors.error import nearest
from dsl.formatting.printer import expression
from dsl.names.worlds import RowFace
from dsl.tasks.expressions import Facts, NoValue, Reading, conjuncts, evaluate, reads_world
from dsl.tasks.inputs import Input, named_words
from dsl.tasks.sampling import Random, draw_values
from dsl.tasks.values import Value, show, symbol_value
from dsl.text import syntax as s
from envs.scratchpad.config import NOWHERE
from envs.spec import BLANK, SLOTS, Slot


@dataclass(frozen=True)
class Laid:
    """A row's content; ``aligned`` where it is a number, whose digits end in the last column."""

    row: str
    value: s.Expression
    aligned: bool


@dataclass(frozen=True)
class Problem:
    """One instance of a task.

    Attributes:
        values: input → value.
        layout: row → indices of symbols, as a world's ``reset`` takes them.
        program: id of the program that runs, with its ``arguments`` (three tokens).
        size: digits or items of the largest input.
    """

    values: Mapping[str, Value]
    layout: Mapping[str, Sequence[int]]
    program: int
    arguments: tuple[int, int, int]
    size: int


@dataclass(frozen=True)
class Task:
    """A checked task.

    Attributes:
        name: as in the file.
        inputs: what is drawn, or given by a user.
        where: a condition on the inputs; None where all are good.
        laid: what is laid into rows.
        program: id of the program that runs; ``arguments`` are its expressions, ``slots`` its signature.
        expectations: conditions on the result.
        train_sizes, test_sizes: of the inputs, in digits or items; (1,) where they have none.
        traces: how many runs of each training size to learn from; 0 where the file does not say.
        rows, pointers, tokens: the world's names.
    """

    name: str
    inputs: tuple[Input, ...]
    where: s.Expression | None
    laid: tuple[Laid, ...]
    program: int
    arguments: tuple[s.Expression, ...]
    slots: tuple[Slot, ...]
    expectations: tuple[s.Expression, ...]
    train_sizes: tuple[int, ...]
    test_sizes: tuple[int, ...]
    traces: int
    rows: Mapping[str, RowFace]
    pointers: Mapping[str, str]
    tokens: tuple[str, ...]

    def draw(self, size: int, count: int, *, generator: Random, spread: bool) -> list[Problem]:
        """Random problems of a size.

        Args:
            size: digits or items; ignored by a task none of whose inputs has a size.
            count: how many.
            generator: the only source of randomness.
            spread: for training: one input has that size, each other has it or, as often, a random smaller one.
                Without it, for testing, all have it.

        Raises:
            ValueError: for a size below 1, or a ``where`` that hardly ever holds.
        """
        if size < 1 or count < 0:
            raise ValueError(f"task {self.name}: size {size}, count {count}; sizes begin at 1 and counts at 0")
        found: list[Problem] = []
        rounds = 0
        while len(found) < count:
            wanted = max(16, 2 * (count - len(found))) if rounds else count - len(found)
            drawn = draw_values(self.inputs, size, wanted, generator=generator, spread=spread)
            found += [self._problem(values, size) for values in drawn if self.allows(values)]
            rounds += 1
            if rounds >= 100 and len(found) < count / 100:
                raise ValueError(
                    f"task {self.name}: of {rounds} draws of size {size}, {len(found)} problems satisfy its condition "
                    f"({expression(self.where) if self.where else ''}); widen it, or choose other sizes"
                )
        return found[:count]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes to show the task with: those of training, where it has none those of testing, else a few small ones."""
        return self.train_sizes or self.test_sizes or (1, 2, 3, 4)

    def problem(self, values: Mapping[str, Value | Sequence[Value]]) -> Problem:
        """The problem of given inputs; raises ``ValueError`` for one that is missing, unknown or does not fit."""
        names = [item.name for item in self.inputs]
        for name in values:
            if name not in names:
                close = nearest(name, names)
                fix = f"did you mean {close}?" if close else f"its inputs are {', '.join(names)}"
                raise ValueError(f"task {self.name} has no input {name}; {fix}")
        missing = [name for name in names if name not in values]
        if missing:
            raise ValueError(f"task {self.name}: input {missing[0]} is missing; give {', '.join(names)}")
        checked = {item.name: item.check(values[item.name], self.name) for item in self.inputs}
        if not self.allows(checked):
            condition = expression(self.where) if self.where else ""
            raise ValueError(f"task {self.name}: these inputs do not satisfy its condition ({condition}); change them")
        return self.lay(checked)

    def parse(self, argv: Sequence[str]) -> Problem:
        """The problem that command line words give, a word an input: ``96``, ``3,1,2`` or ``[3,1,2]``.

        Words are in the order of the inputs, or name them, ``a=96``; after the first name all have one.
        """
        known = {item.name: item for item in self.inputs}
        words = named_words(self.name, self.inputs, argv) if len(argv) <= len(known) else {}
        strange = {name: word for name, word in words.items() if name not in known}
        if len(words) < len(known) and not strange:
            raise ValueError(
                f"task {self.name} takes {len(known)} inputs ({', '.join(known)}) and is given {len(argv)}; "
                f"write for example: {self.example()}"
            )
        return self.problem(strange or {name: known[name].parse(word, self.name) for name, word in words.items()})

    def example(self) -> str:
        """Words for :meth:`parse`; where the task has a condition, such as it allows."""
        if self.where is None or any(item.sized for item in self.inputs):
            return " ".join(item.example() for item in self.inputs)
        (problem,) = self.draw(1, 1, generator=np.random.default_rng(0), spread=False)
        return " ".join(f"{name}={show(value)}" for name, value in problem.values.items())

    def combinations(self, apart: str = "") -> list[dict[str, Value]]:
        """All values of the inputs without the one named ``apart``, if any, where each input is one symbol.

        Of the condition those parts hold, joined by ``and``, that do not speak of it. Raises ``ValueError`` for a task
        with other inputs, and where the condition leaves nothing.
        """
        free = [item for item in self.inputs if item.name != apart]
        for item in free:
            if item.sized:
                raise ValueError(f"task {self.name}: input {item.name} is {item.describe()}, which are without end")
        asked = [part for part in conjuncts(self.where) if not mentions(part, {apart})] if self.where else []
        found: list[dict[str, Value]] = []
        for drawn in itertools.product(*(map(symbol_value, item.symbols) for item in free)):
            values: dict[str, Value] = dict(zip([item.name for item in free], drawn, strict=True))
            if all(self._holds(part, values) for part in asked):
                found.append(values)
        if not found:
            raise ValueError(f"task {self.name}: no inputs satisfy its condition")
        return found

    def lay(self, values: Mapping[str, Value]) -> Problem:
        """The problem of inputs as they are, whether the condition allows them or not."""
        sizes = [item.size(values[item.name]) for item in self.inputs if item.sized]
        return self._problem(values, max(sizes, default=1))

    def judge(self, problem: Problem, reading: Reading) -> bool:
        """Whether what the world shows after a run is right; a result without a value is wrong."""
        facts = self._facts(problem.values, reading)
        try:
            return all(evaluate(expectation, facts) is True for expectation in self.expectations)
        except NoValue:
            return False

    def expected(self, problem: Problem) -> str:
        """What the result must be, for people: ``number(OUT) = 221``."""
        facts = self._facts(problem.values, None)
        found = []
        for node in (part for whole in self.expectations for part in conjuncts(whole)):
            equal = isinstance(node, s.Binary) and node.operator == "=="
            sides = list(itertools.permutations(s.parts(node))) if equal else []
            known = [(side, other) for side, other in sides if self._reads(side) and not self._reads(other)]
            equations = [f"{expression(side)} = {self._shown(other, facts)}" for side, other in known]
            found.append(equations[0] if equations else expression(node) + self._missing(node, facts))
        return ", ".join(found)

    def result(self, reading: Reading) -> str:
        """What the result is, for people, in the words of :meth:`expected`."""
        facts = self._facts({}, reading)
        sides = [side for expectation in self.expectations for side in self._looks(expectation)]
        return ", ".join(dict.fromkeys(f"{expression(side)} = {self._shown(side, facts)}" for side in sides))

    def _shown(self, node: s.Expression, facts: Facts) -> str:
        try:
            return show(evaluate(node, facts))
        except NoValue:
            return "nothing" + self._missing(node, facts)

    def _missing(self, node: s.Expression, facts: Facts) -> str:
        """`` (it has no value: 11 is not in the list)`` of an expression of inputs alone, so that nothing is right."""
        try:
            if not self._reads(node):
                evaluate(node, facts)
        except NoValue as reason:
            return f" (it has no value: {reason})"
        return ""

    def _reads(self, node: s.Expression) -> bool:
        return reads_world(node, self.rows, {item.name: item for item in self.inputs})

    def _looks(self, node: s.Expression) -> list[s.Expression]:
        """The largest parts of an expectation that depend on the result and on no input."""
        names = {item.name for item in self.inputs}
        if not self._reads(node):
            return []
        if not isinstance(node, s.Binary | s.Unary | s.Choice) and not mentions(node, names):
            return [node]
        return [side for part in s.parts(node) for side in self._looks(part)]

    def _facts(self, values: Mapping[str, Value], reading: Reading | None) -> Facts:
        return Facts(values, self.rows, self.pointers, reading)

    def allows(self, values: Mapping[str, Value]) -> bool:
        """Whether the condition on the inputs holds; one without a value does not."""
        return self.where is None or self._holds(self.where, values)

    def _holds(self, condition: s.Expression, values: Mapping[str, Value]) -> bool:
        try:
            return evaluate(condition, self._facts(values, None)) is True
        except NoValue:
            return False

    def _problem(self, values: Mapping[str, Value], size: int) -> Problem:
        facts = self._facts(values, None)
        laid = {item.row: self._indices(item, facts) for item in self.laid}
        endless = {row for row in laid if self.rows[row].blank}
        width = max((len(laid[row]) for row in endless), default=0)
        for item in self.laid:
            if item.aligned and item.row in endless:
                blank = len(self.rows[item.row].symbols)
                laid[item.row] = [blank] * (width - len(laid[item.row])) + laid[item.row]
        return Problem(values, laid, self.program, self._tokens(facts), size)

    def _indices(self, item: Laid, facts: Facts) -> list[int]:
        """A row's content as indices of its symbols."""
        row = self.rows[item.row]
        try:
            value = evaluate(item.value, facts)
        except NoValue as reason:
            raise ValueError(f"task {self.name}: row {item.row} cannot be laid out: {reason}") from None
        items = value if isinstance(value, tuple) else (value,)
        if row.places:
            return [self._place(item, row) for item in items]
        try:
            if set(map(type, items)) == {int}:
                return list(map(row.index_of_number.__getitem__, items))
            return list(map(row.index_of.__getitem__, map(str, items)))
        except KeyError as strange:
            raise ValueError(
                f"task {self.name}: row {item.row} cannot hold {strange.args[0]}, it holds {row.describe()}; "
                "choose other inputs, or widen the row"
            ) from None

    def _place(self, item: Value, row: RowFace) -> int:
        """A column, or none for a blank."""
        if item == BLANK:
            return NOWHERE
        if not isinstance(item, int) or isinstance(item, bool) or item < 0:
            raise ValueError(
                f"task {self.name}: row {row.name} cannot hold {show(item)}; it holds columns (0, 1, ...), or blank"
            )
        return item

    def _tokens(self, facts: Facts) -> tuple[int, int, int]:
        """The arguments of the run as tokens."""
        found = [0] * SLOTS
        for i, (node, slot) in enumerate(zip(self.arguments, self.slots, strict=True)):
            if isinstance(node, s.Name) and node.text not in facts.inputs:
                word = node.text
            else:
                word = str(evaluate(node, facts))
            if word not in self.tokens or self.tokens.index(word) not in slot.tokens:
                raise ValueError(f"task {self.name}: argument {slot.name} of its program cannot be {word}")
            found[i] = self.tokens.index(word)
        return found[0], found[1], found[2]


def mentions(node: s.Expression, names: set[str]) -> bool:
    return any(isinstance(part, s.Name) and part.text in names for part in s.nodes(node))
