"""The syntax tree: one frozen dataclass a rule of ``grammar.lark``.

Every node knows where it begins (``line`` and ``column``, from 1); places do not take part in equality, so that
``parse(format_tree(tree)) == tree``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

T = TypeVar("T", bound="Node")


@dataclass(frozen=True, kw_only=True)
class Node:
    """What all nodes share: the place of their first character."""

    line: int = field(default=0, compare=False, repr=False)
    column: int = field(default=0, compare=False, repr=False)


# --- expressions -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Name(Node):
    """A pointer, parameter, input, row or action, by its name; one of two joined worlds' with the world in front."""

    text: str


@dataclass(frozen=True)
class Number(Node):
    """A natural number (a negative one is ``Unary("-", Number)``)."""

    value: int


@dataclass(frozen=True)
class Text(Node):
    """A quoted symbol."""

    value: str


@dataclass(frozen=True)
class Blank(Node):
    """The symbol of an empty cell."""


@dataclass(frozen=True)
class Apply(Node):
    """``first(P1)``, ``sorted(items)``, …"""

    name: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True)
class Items(Node):
    """A list in square brackets."""

    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Unary(Node):
    """``-x`` or ``not x``."""

    operator: str
    operand: Expression


@dataclass(frozen=True)
class Binary(Node):
    """``+ - * div mod and or == != < <= > >=``."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Choice(Node):
    """``value if condition else other``."""

    value: Expression
    condition: Expression
    other: Expression


Expression = Name | Number | Text | Blank | Apply | Items | Unary | Binary | Choice

# --- domains ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DomainRange(Node):
    """``0..9``; ``first == last`` for a single number."""

    first: int
    last: int


@dataclass(frozen=True)
class Domain(Node):
    """Parts joined by ``or``; a name is ``digit``, ``pointer``, ``direction``, or a token (``P1``, ``LEFT``)."""

    parts: tuple[Name | DomainRange | Text | Blank, ...]


# --- statements of a program -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call(Node):
    """A call of a program or primitive; ``name`` may be qualified by its file (``bubblesort.RESET``)."""

    name: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True)
class Arm(Node):
    """A condition of ``if`` or ``elif`` with its block."""

    condition: Expression
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class If(Node):
    """``if``, any number of ``elif``, and ``else`` (empty where there is none)."""

    arms: tuple[Arm, ...]
    otherwise: tuple[Statement, ...]


@dataclass(frozen=True)
class While(Node):
    condition: Expression
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class For(Node):
    """A loop over names that are known when the file is read; it is unrolled."""

    variable: str
    items: tuple[Expression, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class Pass(Node):
    """Nothing."""


@dataclass(frozen=True)
class Return(Node):
    """End of the program."""


Statement = Call | If | While | For | Pass | Return


@dataclass(frozen=True)
class Signal(Node):
    """In place of a body: what a learner is told.

    Attributes:
        aim: ``"maximise"``, ``"minimise"`` or ``"imitate"``.
        what: ``"reward"``, ``"loss"``, ``"demonstration"`` …
        steps: over how many steps; None where not said.
        core: the kind of core that learns; None where not said.
    """

    aim: str
    what: str
    steps: int | None
    core: str | None


# --- the parts of a file ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Use(Node):
    path: str


@dataclass(frozen=True)
class Setting(Node):
    """``arms: 10`` in ``bandit(arms: 10)``."""

    name: str
    value: int | float | str


@dataclass(frozen=True)
class Row(Node):
    names: tuple[str, ...]
    domain: Domain
    start: str | None


@dataclass(frozen=True)
class Pointer(Node):
    """``pointer`` or, where it shows only its edges, ``counter``."""

    names: tuple[str, ...]
    row: str
    start: str | None
    counter: bool


@dataclass(frozen=True)
class Listing(Node):
    """``order P, Q``: the world shows which of the pointers is before the other, of each pair where there are more; or

    ``jump TO, HALFWAY``: actions that lead further than one cell.
    """

    word: str
    names: tuple[str, ...]


WorldItem = Row | Pointer | Listing


@dataclass(frozen=True)
class World(Node):
    """``world NAME is KIND``; or ``world NAME joins A, B``, of kind "product", with the names of its parts."""

    name: str
    kind: str
    settings: tuple[Setting, ...]
    items: tuple[WorldItem, ...]
    joins: tuple[str, ...] = ()


@dataclass(frozen=True)
class Param(Node):
    name: str
    domain: Domain


@dataclass(frozen=True)
class Program(Node):
    name: str
    params: tuple[Param, ...]
    doc: str
    body: tuple[Statement, ...] | Signal


@dataclass(frozen=True)
class NumberKind(Node):
    """An input that is a natural number; its size is its number of digits in ``base``."""

    base: int


@dataclass(frozen=True)
class ListKind(Node):
    """An input that is a list; its size is its length."""

    domain: Domain


@dataclass(frozen=True)
class GraphKind(Node):
    """An input that is a directed graph; its size is its number of vertices."""

    acyclic: bool


@dataclass(frozen=True)
class Input(Node):
    """An input of a task; a kind that is a bare domain is one symbol, without a size."""

    name: str
    kind: NumberKind | ListKind | GraphKind | Domain


@dataclass(frozen=True)
class Layout(Node):
    row: str
    value: Expression


@dataclass(frozen=True)
class Run(Node):
    name: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True)
class Expect(Node):
    condition: Expression


@dataclass(frozen=True)
class Sizes(Node):
    """``train a, b of 1..20 digits``: ``ranges`` holds (first, last) pairs, ``unit`` is "digits", "items" or "".

    ``train 4000 traces`` and ``test``, of tasks whose inputs have no sizes: no inputs and ranges, and ``traces`` (0
    where not said).
    """

    purpose: str
    inputs: tuple[str, ...]
    ranges: tuple[tuple[int, int], ...]
    unit: str
    traces: int = 0


TaskItem = Layout | Run | Expect | Sizes


@dataclass(frozen=True)
class Task(Node):
    name: str
    inputs: tuple[Input, ...]
    where: Expression | None
    items: tuple[TaskItem, ...]


@dataclass(frozen=True)
class File(Node):
    """A whole program file, its parts in the order of the text."""

    items: tuple[Use | World | Program | Task, ...]

    def of(self, kind: type[T]) -> tuple[T, ...]:
        """Its parts of one kind."""
        return tuple(item for item in self.items if isinstance(item, kind))


def parts(node: Node) -> list[Any]:
    """The nodes right inside one, in the order of its fields."""
    found: list[Any] = []
    for value in vars(node).values():
        found += value if isinstance(value, tuple) else (value,)
    return [part for part in found if isinstance(part, Node)]


def nodes(item: Any) -> Iterator[Node]:
    """A node, or those of a tuple, with all nodes inside."""
    waiting = [*reversed(item)] if isinstance(item, tuple) else [item]
    while waiting:
        top = waiting.pop()
        yield top
        waiting += reversed(parts(top))


def mapped(item: Any, change: Callable[[Any], Any]) -> Any:
    """A tree or a tuple of trees with every node changed, from the inside out."""
    if isinstance(item, tuple):
        return tuple(mapped(part, change) for part in item)
    if not isinstance(item, Node):
        return item
    inside = {name: mapped(part, change) for name, part in vars(item).items() if isinstance(part, Node | tuple)}
    return change(replace(item, **inside) if inside else item)
