"""Task trees → checked tasks: rows, inputs, programs and functions exist, and kinds of values fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dsl.check.bodies import check_arity
from dsl.errors.error import Gather, joined, nearest_few, suggest
from dsl.names.scope import Scope, check_name
from dsl.names.worlds import domain_symbols, number_of
from dsl.tasks.expressions import COMPARISONS, FUNCTIONS, ON_WORLD
from dsl.tasks.inputs import GRAPH, LIST, NUMBER, SCALAR, Input
from dsl.tasks.task import Laid, Task
from dsl.text import syntax as s
from envs.spec import BLANK

LARGEST_SIZE, MOST_SIZES = 1_000_000, 10_000
"""The largest size of an input, and how many sizes one line may have: each is drawn and run."""

EPISODE, EPISODE_INPUT = "EPISODE", "episode"
"""The latent task parameter from which all chance of an episode follows, and the input that it is drawn as."""

EPISODE_DIGITS = {"train": 8, "test": 9}
"""Digits of the episodes of a task that does not say which: those of testing are none of training."""


def check_task(task: s.Task, scope: Scope) -> Task:
    """The checked task; raises :class:`LanguageError` with every mistake, one for each of its lines."""
    task = with_episode(task, scope)
    mistakes = Gather()
    with mistakes:
        check_name(task.name, task, "task", scope.source)
    inputs: list[Input] = []
    firsts = {item.name: item for item in reversed(task.inputs)}
    for item in task.inputs:
        with mistakes:
            inputs.append(check_input(item, firsts, scope))
    broken = {item.name for item in task.inputs} - {item.name for item in inputs}
    kinds = Kinds({item.name: input_kind(item) for item in inputs} | dict.fromkeys(broken, "any"), scope)
    if task.where is not None:
        with mistakes:
            kinds.want(task.where, "truth")
    laid: list[Laid] = []
    expectations: list[s.Expression] = []
    for part in task.items:
        with mistakes:
            if isinstance(part, s.Layout):
                laid.append(check_layout(part, task, kinds))
            elif isinstance(part, s.Expect):
                expectations.append(part.condition)
                replace(kinds, after=True).want(part.condition, "truth")
    with mistakes:
        if not expectations:
            message, fix = f"task {task.name} expects nothing", "add a line: expect number(OUT) == a + b"
            raise scope.error(task, message, fix, "NPI101")
    sizes: dict[str, tuple[int, ...]] = {}
    for purpose in ("train", "test"):
        with mistakes:
            sizes[purpose] = () if broken else check_sizes(purpose, task, tuple(inputs), scope)
    with mistakes:
        run = check_run(task, kinds)
        mistakes.close()
        return Task(
            name=task.name,
            inputs=tuple(inputs),
            where=task.where,
            laid=tuple(laid),
            program=scope.callee(run),
            arguments=run.arguments,
            slots=scope.callables[scope.callee(run)].slots,
            expectations=tuple(expectations),
            train_sizes=sizes["train"],
            test_sizes=sizes["test"],
            traces=sum(item.traces for item in task.items if isinstance(item, s.Sizes)),
            rows=scope.face.rows,
            pointers=scope.face.pointers,
            tokens=scope.face.spec.tokens,
        )
    raise joined(mistakes.errors)


def with_episode(task: s.Task, scope: Scope) -> s.Task:
    """The task with its episode drawn, where the world has episodes and the task neither lays one out nor has sizes.

    ``train`` and ``test`` alone then mean ``train episode of 8 digits`` and ``test episode of 9 digits``, of an input
    ``episode: number`` before the others, which ``EPISODE = digits(episode)`` lays out.
    """
    rows = [row for row in scope.face.rows if row.rpartition(".")[2] == EPISODE]
    laid = any(isinstance(item, s.Layout) and item.row in rows for item in task.items)
    named = any(item.name == EPISODE_INPUT for item in task.inputs)
    sized = any(not isinstance(item.kind, s.Domain) for item in task.inputs)
    if not rows or laid or named or sized:
        return task
    at = {"line": task.line, "column": task.column}
    drawn = s.Input(EPISODE_INPUT, s.NumberKind(10, **at), **at)
    layouts = [s.Layout(row, s.Apply("digits", (s.Name(EPISODE_INPUT, **at),), **at), **at) for row in rows]
    items = tuple(with_digits(item) if isinstance(item, s.Sizes) else item for item in task.items)
    return replace(task, inputs=(drawn, *task.inputs), items=(*layouts, *items))


def with_digits(line: s.Sizes) -> s.Sizes:
    """A ``train`` or ``test`` line that names no input, of episodes of as many digits as are usual."""
    if line.inputs or (line.purpose == "test" and line.traces):
        return line
    digits = EPISODE_DIGITS[line.purpose]
    return replace(line, inputs=(EPISODE_INPUT,), ranges=((digits, digits),), unit="digits")


def check_input(item: s.Input, firsts: Mapping[str, s.Input], scope: Scope) -> Input:
    """The checked input; ``firsts`` are the first ones of each name."""
    check_name(item.name, item, "input", scope.source)
    if firsts[item.name] is not item:
        raise scope.error(item, f"input {item.name} is declared twice", "rename one of them", "NPI053")
    if item.name in scope.face.rows or item.name in scope.face.pointers:
        message = f"{item.name} is the name of a row or pointer, and of an input"
        raise scope.error(item, message, "rename the input", "NPI104")
    if isinstance(item.kind, s.NumberKind):
        if not 2 <= item.kind.base <= 36:
            message = f"base {item.kind.base} is not between 2 and 36"
            raise scope.error(item.kind, message, "write for example base 2", "NPI103")
        return Input(item.name, NUMBER, (), item.kind.base)
    if isinstance(item.kind, s.GraphKind):
        return Input(item.name, GRAPH, (), 10, item.kind.acyclic)
    domain = item.kind.domain if isinstance(item.kind, s.ListKind) else item.kind
    found = domain_symbols(domain, scope.source, scope.face.rows)
    symbols = tuple(symbol for symbol in found if symbol != BLANK)
    return Input(item.name, LIST if isinstance(item.kind, s.ListKind) else SCALAR, symbols, 10)


def input_kind(item: Input) -> str:
    if item.kind == SCALAR:
        return "any" if any(number_of(symbol) is None for symbol in item.symbols) else "number"
    return item.kind


def check_layout(item: s.Layout, task: s.Task, kinds: Kinds) -> Laid:
    """A row that exists and is laid out once; a number's digits end in the last column."""
    scope, rows = kinds.scope, kinds.scope.face.rows
    if item.row not in rows:
        message = f"there is no row {item.row} in world {scope.face.spec.name}"
        raise scope.error(item, message, suggest(item.row, rows), "NPI105")
    if next(other for other in task.items if isinstance(other, s.Layout) and other.row == item.row) is not item:
        raise scope.error(item, f"row {item.row} is laid out twice", "keep one of the lines", "NPI106")
    kind = kinds.of(item.value)
    if kind == "number" and not isinstance(item.value, s.Number):
        raise scope.error(item.value, "a number is not a row's content", f"write {item.row} = digits(…)", "NPI107")
    if kind == "truth":
        raise scope.error(item.value, "a truth value is not a row's content", "lay out a list or digits(…)", "NPI107")
    aligned = isinstance(item.value, s.Apply) and item.value.name == "digits"
    return Laid(item.row, item.value, aligned)


def check_run(task: s.Task, kinds: Kinds) -> s.Run:
    scope = kinds.scope
    runs = [item for item in task.items if isinstance(item, s.Run)]
    if len(runs) != 1:
        message = f"task {task.name} runs {len(runs)} programs; it must run one"
        fix = "call both from one program" if runs else "add a line: run PROGRAM"
        raise scope.error(runs[1] if runs else task, message, fix, "NPI100")
    run = runs[0]
    if scope.callee(run) < len(scope.face.spec.primitives):
        raise scope.error(run, f"{run.name} is a primitive", "run a program; a program may call it", "NPI102")
    slots = scope.callables[scope.callee(run)].slots
    check_arity(s.Call(run.name, run.arguments, line=run.line, column=run.column), slots, scope)
    for node, slot in zip(run.arguments, slots, strict=True):
        if isinstance(node, s.Name) and node.text not in kinds.inputs:
            token = scope.face.tokens.get(node.text)
            if token is None or token not in slot.tokens:
                allowed = [scope.face.spec.tokens[t] for t in slot.tokens]
                message = f"argument {slot.name} of {run.name} cannot be {node.text}"
                raise scope.error(node, message, suggest(node.text, [*allowed, *kinds.inputs]), "NPI108")
        else:
            kinds.of(node)
    return run


def check_sizes(purpose: str, task: s.Task, inputs: tuple[Input, ...], scope: Scope) -> tuple[int, ...]:
    """The sizes of a ``train`` or ``test`` line, ascending in the order written; () where there is none."""
    lines = [item for item in task.items if isinstance(item, s.Sizes) and item.purpose == purpose]
    sized = {item.name: item for item in inputs if item.sized}
    if len(lines) > 1:
        fix = "join them: 1..20, 100"
        if lines[0].inputs != lines[1].inputs:
            names = ", ".join(dict.fromkeys(name for line in lines for name in line.inputs))
            fix = f"all inputs of a problem are drawn with one size: {purpose} {names} of 1..20"
        raise scope.error(lines[1], f"a second {purpose} line", fix, "NPI109")
    if not lines:
        alone = any(isinstance(item, s.Sizes) for item in task.items)
        return () if sized or alone else (1,)
    line = lines[0]
    if not line.inputs:
        return check_alone(line, sized, scope)
    for name in line.inputs:
        if name not in sized:
            known = any(item.name == name for item in inputs)
            message = f"{name} has no size" if known else f"task {task.name} has no input {name}"
            raise scope.error(line, message, "leave it out" if known else suggest(name, sized), "NPI110")
        if line.unit == "digits" and sized[name].kind == LIST:
            message = f"{name} is a list, and lists are counted in items"
            raise scope.error(line, message, "write items, or no unit", "NPI111")
    if line.unit and any((line.unit == "vertices") != (sized[name].kind == GRAPH) for name in line.inputs):
        fix = "write vertices for graphs, items for lists and digits for numbers, or no unit"
        raise scope.error(line, f"{', '.join(line.inputs)} {line.unit} of sizes of another kind", fix, "NPI112")
    missing = [name for name in sized if name not in line.inputs]
    if missing:
        message = f"the sizes of {missing[0]} are not said"
        raise scope.error(line, message, f"write {purpose} {', '.join(sized)} of …", "NPI112")
    for first, last in line.ranges:
        if first < 1 or last < first:
            raise scope.error(line, f"the sizes {first}..{last} are none", "sizes begin at 1 and ascend", "NPI113")
    largest, count = max(last for _, last in line.ranges), sum(last - first + 1 for first, last in line.ranges)
    if largest > LARGEST_SIZE or count > MOST_SIZES:
        message = f"{count:,} sizes up to {largest:,}"
        fix = f"sizes go up to {LARGEST_SIZE:,}, and a line has at most {MOST_SIZES:,}; list a few, as in 1, 10, 100"
        raise scope.error(line, message, fix, "NPI122")
    return tuple(dict.fromkeys(n for first, last in line.ranges for n in range(first, last + 1)))


def check_alone(line: s.Sizes, sized: Mapping[str, Input], scope: Scope) -> tuple[int, ...]:
    """The size 1 of a ``train`` or ``test`` line of a task whose inputs have no sizes."""
    if sized:
        names = ", ".join(sized)
        raise scope.error(line, f"the sizes of {names} are not said", f"write {line.purpose} {names} of …", "NPI112")
    if line.traces and line.purpose == "test":
        raise scope.error(line, "traces are what is learned from", "write test alone", "NPI112")
    return (1,)


@dataclass(frozen=True)
class Kinds:
    """The kinds of a task's expressions: "number", "list", "graph", "truth", or "any" of a symbol.

    Attributes:
        inputs: the kind of each.
        after: whether expressions may read the world, as it is after a run.
    """

    inputs: Mapping[str, str]
    scope: Scope
    after: bool = False

    def want(self, node: s.Expression, kind: str) -> None:
        """Refuse an expression of another kind."""
        found = self.of(node)
        if found not in (kind, "any") or (kind == "truth" and found == "any"):
            names = {
                "truth": "a condition", "number": "a number", "list": "a list", "graph": "a graph", "any": "a symbol"
            }  # fmt: skip
            fix = "compare it, for example with ==" if kind == "truth" else f"put {names[kind]} here"
            raise self.scope.error(node, f"{names[found]} stands where {names[kind]} is needed", fix, "NPI114")

    def of(self, node: s.Expression) -> str:
        """The kind of an expression, its parts checked."""
        if isinstance(node, s.Name):
            return self.of_name(node)
        if isinstance(node, s.Number):
            return "number"
        if isinstance(node, s.Text):
            return "any" if number_of(node.value) is None else "number"
        if isinstance(node, s.Blank):
            return "any"
        if isinstance(node, s.Items):
            for item in node.items:
                self.of(item)
            return "list"
        if isinstance(node, s.Apply):
            return self.of_apply(node)
        if isinstance(node, s.Choice):
            self.want(node.condition, "truth")
            one, two = self.of(node.value), self.of(node.other)
            return one if one == two else "any"
        if node.operator in COMPARISONS:
            one, two = map(self.of, s.parts(node))
            if "any" not in (one, two) and one != two:
                raise self.scope.error(node, f"a {one} is compared with a {two}", "compare two of a kind", "NPI115")
            return "truth"
        kind = "truth" if node.operator in ("and", "or", "not") else "number"
        for operand in s.parts(node):
            self.want(operand, kind)
        return kind

    def of_name(self, node: s.Name) -> str:
        rows = self.scope.face.rows
        if node.text in self.inputs:
            return self.inputs[node.text]
        if node.text in rows:
            if self.after:
                return "list"
            message = f"row {node.text} is known only after the run"
            fix = f"use the inputs: {', '.join(self.inputs) or 'there are none'}"
            raise self.scope.error(node, message, fix, "NPI116")
        if node.text in self.scope.face.pointers:
            fix = f"write under({node.text}) or at({node.text})"
            raise self.scope.error(node, f"{node.text} is a pointer", fix, "NPI117")
        message = f"there is no input or row {node.text}"
        raise self.scope.error(node, message, suggest(node.text, [*self.inputs, *rows]), "NPI118")

    def of_apply(self, node: s.Apply) -> str:
        if node.name in ON_WORLD:
            return self.of_world(node)
        function = FUNCTIONS.get(node.name)
        if function is None:
            near = nearest_few(node.name, [*FUNCTIONS, *ON_WORLD])
            fix = suggest(node.name, [*FUNCTIONS, *ON_WORLD], otherwise=f"the nearest are {', '.join(near)}")
            raise self.scope.error(node, f"there is no function {node.name}", fix, "NPI119")
        if not function.least <= len(node.arguments) <= function.most:
            takes = str(function.least) if function.least == function.most else f"{function.least} or {function.most}"
            if function.most > 9:
                takes = f"at least {function.least}"
            message = f"{node.name} takes {takes} arguments and is given {len(node.arguments)}"
            raise self.scope.error(node, message, "write as many", "NPI120")
        for number, argument in enumerate(node.arguments):
            kind = function.kind(number)
            if node.name in ("max", "min") and len(node.arguments) == 1:
                kind = "list"
            if kind == "any":
                self.of(argument)
            else:
                self.want(argument, kind)
        return function.gives

    def of_world(self, node: s.Apply) -> str:
        """``number(ROW)``, ``number(ROW, base)``, ``under(P)``, ``at(P)``."""
        face = self.scope.face
        what, noun, most = (face.rows, "row", 2) if node.name == "number" else (face.pointers, "pointer", 1)
        first = node.arguments[0] if 1 <= len(node.arguments) <= most else None
        if not isinstance(first, s.Name):
            fix = f"write {node.name}({next(iter(what), 'P')})"
            raise self.scope.error(node, f"{node.name} takes the name of a {noun}", fix, "NPI121")
        if first.text not in what:
            raise self.scope.error(first, f"there is no {noun} {first.text}", suggest(first.text, what), "NPI121")
        if not self.after:
            message = f"{node.name}({first.text}) is known only after the run"
            raise self.scope.error(node, message, "use the inputs here", "NPI116")
        for argument in node.arguments[1:]:
            self.want(argument, "number")
        return ON_WORLD[node.name]
