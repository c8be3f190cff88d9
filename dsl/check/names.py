"""Expressions of a body → code: names looked up, kinds checked (number, symbol, truth value, word)."""

from __future__ import annotations

from dsl.errors.error import suggest
from dsl.lowering.ir import Cell, Code, Constant, Flag, Operation, Parameter, Symbol
from dsl.names.scope import POINTER, SYMBOL, TOKEN, Bound, Scope
from dsl.names.worlds import describe_symbols, number_of
from dsl.text import syntax as s
from envs.scratchpad.config import ORDER, PLACE
from envs.spec import BLANK

NUMBER, TRUTH, WORD = "number", "truth value", "word"

LARGEST = 10**9
"""Larger constants have no use in a body, and products of them would not fit 64 bits."""

Typed = tuple[str, Code]
"""A kind (NUMBER, SYMBOL, TRUTH or WORD) and the code."""


class NeedsVariant(Exception):
    """A cell is read through the parameter in this slot: the body must be resolved once for each pointer."""

    def __init__(self, slot: int) -> None:
        super().__init__(slot)
        self.slot = slot


def resolve(node: s.Expression, scope: Scope) -> Typed:
    """The kind and the code of an expression."""
    if isinstance(node, s.Name):
        return resolve_name(node, scope)
    if isinstance(node, s.Number):
        if node.value > LARGEST:
            raise scope.error(node, f"{node.value} is too large for a body", f"use numbers up to {LARGEST}", "NPI089")
        return NUMBER, Constant(node.value)
    if isinstance(node, s.Text | s.Blank):
        name = BLANK if isinstance(node, s.Blank) else node.value
        if name not in scope.face.symbols:
            message = f"no row of world {scope.face.spec.name} can hold {name}"
            raise scope.error(node, message, suggest(name, scope.face.symbols), "NPI077")
        return SYMBOL, Symbol(scope.face.ids[name])
    if isinstance(node, s.Apply):
        return resolve_apply(node, scope)
    if isinstance(node, s.Unary):
        if node.operator == "not":
            return TRUTH, Operation("not", (truth(node.operand, scope),))
        return NUMBER, Operation("negative", (number(node.operand, scope),))
    if isinstance(node, s.Binary):
        return resolve_binary(node, scope)
    if isinstance(node, s.Choice):
        return resolve_choice(node, scope)
    raise scope.error(node, "a body has no lists", "lists belong in tasks; read cells through pointers", "NPI088")


def resolve_name(node: s.Name, scope: Scope) -> Typed:
    """A name in the place of a value: the cell under a pointer, a parameter, a word."""
    bound = lookup(node, scope)
    if bound is None:
        return SYMBOL, Cell(scope.face.fields[node.text])
    if bound.type == POINTER:
        return SYMBOL, cell(pointer_of(bound, scope), node, scope)
    return (SYMBOL if bound.type == SYMBOL else WORD), code_of(bound)


def code_of(bound: Bound) -> Code:
    return Symbol(bound.token) if bound.token is not None else Parameter(bound.slot or 0)


def pointer_of(bound: Bound, scope: Scope) -> str:
    """The pointer that a name stands for; raises :class:`NeedsVariant` for a parameter."""
    if bound.token is None:
        assert bound.slot is not None, "what is no token is in a slot"
        raise NeedsVariant(bound.slot)
    return scope.face.spec.tokens[bound.token]


def lookup(node: s.Name, scope: Scope) -> Bound | None:
    """What a name stands for; None for an observation field of a world without pointers."""
    if node.text in scope.bound:
        return scope.bound[node.text]
    if node.text in scope.face.pointers:
        return Bound(POINTER, scope.face.tokens[node.text], None)
    if node.text in scope.face.words:
        return Bound(TOKEN, scope.face.words[node.text], None)
    if node.text in scope.face.cells:
        return None
    here = [pointer for pointer, row in scope.face.pointers.items() if row == node.text]
    if node.text in scope.face.rows and not here:
        message = f"{node.text} is laid out and never seen"
        shown = ", ".join(name for name in scope.face.fields if name in scope.face.cells)
        raise scope.error(node, message, f"decide on what the world shows: {shown}", "NPI080")
    if here:
        fix = f"name a pointer on it: {', '.join(here)}"
        raise scope.error(node, f"{node.text} is a row, not a pointer", fix, "NPI069")
    if node.text in scope.visible:
        raise scope.error(node, f"{node.text} is a program, not a value", "call it as a statement of its own", "NPI070")
    fix = suggest(node.text, [*scope.bound, *scope.face.pointers, *scope.face.words])
    raise scope.error(node, f"there is no pointer or parameter {node.text}", fix, "NPI068")


def cell(pointer: str, node: s.Node, scope: Scope) -> Cell:
    if pointer in scope.face.counters:
        message = f"{pointer} is a counter: the world does not show the cell under it"
        fix = f"use first({pointer}) or last({pointer}), or declare it as a pointer"
        raise scope.error(node, message, fix, "NPI078")
    return Cell(scope.face.fields[pointer])


def resolve_apply(node: s.Apply, scope: Scope) -> Typed:
    """``first(P)`` and ``last(P)``; ``before(P, Q)``, ``same(P, Q)`` and ``after(P, Q)``."""
    if node.name in ORDER:
        return TRUTH, resolve_order(node, scope)
    if node.name not in ("first", "last"):
        known = ("first", "last", *ORDER)
        fix = suggest(node.name, known, otherwise="bodies have first(P), last(P), before(P, Q); call programs alone")
        raise scope.error(node, f"there is no function {node.name} in a body", fix, "NPI071")
    target = node.arguments[0] if len(node.arguments) == 1 else None
    if not isinstance(target, s.Name):
        raise scope.error(node, f"{node.name} takes one pointer", f"write {node.name}(P)", "NPI079")
    bound = lookup(target, scope)
    if bound is None or bound.type != POINTER:
        fix = f"use one of {', '.join(scope.face.pointers)}" if scope.face.pointers else "read a field by its name"
        raise scope.error(target, f"{target.text} is not a pointer", fix, "NPI079")
    pointer = pointer_of(bound, scope)
    field = scope.face.fields.get(f"{node.name}({pointer})")
    if field is None:
        message = f"{pointer} stands on row {scope.face.pointers[pointer]}, which has blanks and so no ends"
        raise scope.error(node, message, f"ask for a blank instead: not {pointer}", "NPI080")
    return TRUTH, Flag(field)


def resolve_order(node: s.Apply, scope: Scope) -> Operation:
    """How two pointers lie to each other, read from the field that the world declares for them."""
    names = []
    for target in node.arguments:
        bound = lookup(target, scope) if isinstance(target, s.Name) else None
        if bound is None or bound.type != POINTER:
            raise scope.error(target, "this is not a pointer", f"write {node.name}(P, Q)", "NPI079")
        names.append(pointer_of(bound, scope))
    if len(names) != 2:
        raise scope.error(node, f"{node.name} takes two pointers", f"write {node.name}(P, Q)", "NPI079")
    for pair, answers in ((names, ORDER), (names[::-1], ORDER[::-1])):
        field = scope.face.fields.get(f"order({', '.join(pair)})")
        if field is not None:
            answer = answers[ORDER.index(node.name)]
            return Operation("same", (Cell(field), Symbol(scope.face.ids[answer])), node.line, node.column)
    message = f"world {scope.face.spec.name} does not show the order of {' and '.join(names)}"
    raise scope.error(node, message, f"add to the world: order {', '.join(names)}", "NPI080")


def resolve_binary(node: s.Binary, scope: Scope) -> Typed:
    if node.operator in ("and", "or"):
        return TRUTH, Operation(node.operator, (truth(node.left, scope), truth(node.right, scope)))
    if node.operator in ("==", "!="):
        return TRUTH, equality(node, scope)
    operands = number(node.left, scope), number(node.right, scope)
    code = Operation(node.operator, operands, node.line, node.column)
    return (TRUTH if node.operator in ("<", "<=", ">", ">=") else NUMBER), code


def equality(node: s.Binary, scope: Scope) -> Operation:
    """Symbols are compared as they are (a blank is not 0), numbers as numbers."""
    (left_kind, left), (right_kind, right) = resolve(node.left, scope), resolve(node.right, scope)
    kinds = {left_kind, right_kind}
    if SYMBOL in kinds and (kinds == {SYMBOL} or isinstance(node.left, s.Number) or isinstance(node.right, s.Number)):
        same = Operation("same", (as_symbol(left, node.right, scope), as_symbol(right, node.left, scope)))
        check_places(left, right, node, scope)
        check_overlap(same, node, scope)
    elif kinds <= {NUMBER, SYMBOL}:
        same = Operation("==", (number(node.left, scope), number(node.right, scope)))
    elif kinds == {WORD}:
        same = Operation("same", (left, right))
    elif kinds == {TRUTH}:
        same = Operation("==", (left, right))
    else:
        message = f"a {left_kind} is compared with a {right_kind}"
        raise scope.error(node, message, "compare two cells, two numbers or two conditions", "NPI081")
    return same if node.operator == "==" else Operation("not", (same,))


def as_symbol(code: Code, other: s.Node, scope: Scope) -> Code:
    """A literal beside a cell is the symbol of that number."""
    if not isinstance(code, Constant):
        return code
    found = scope.face.ids.get(str(code.value))
    if found is None:
        message = f"no cell can hold {code.value}"
        raise scope.error(other, message, f"compare with one of {describe_symbols(scope.face.symbols)}", "NPI077")
    return Symbol(found)


def check_places(left: Code, right: Code, node: s.Binary, scope: Scope) -> None:
    """Refuse a comparison of two places: what is seen of them is that they are there, not which they are."""
    literal = any(isinstance(code, Symbol) for code in (left, right))
    if not literal and all(PLACE in symbols_of(code, scope) for code in (left, right)):
        message = "these hold places, and which ones is not seen"
        raise scope.error(node, message, "follow them, and ask same(P, Q)", "NPI082")


def check_overlap(same: Operation, node: s.Binary, scope: Scope) -> None:
    """Refuse a comparison that never holds."""
    left, right = (set(symbols_of(code, scope)) for code in same.operands)
    if not left & right:
        one, two = (describe_symbols(symbols_of(code, scope)) for code in same.operands)
        message = f"these can never be equal: {one} on the left, {two} on the right"
        raise scope.error(node, message, "compare with a symbol that the cell can hold", "NPI082")


def resolve_choice(node: s.Choice, scope: Scope) -> Typed:
    (kind, value), (other_kind, other) = resolve(node.value, scope), resolve(node.other, scope)
    if {kind, other_kind} == {NUMBER, SYMBOL}:
        kind, value, other = NUMBER, number(node.value, scope), number(node.other, scope)
    elif kind != other_kind:
        message = f"one side is a {kind}, the other a {other_kind}"
        raise scope.error(node, message, "give both sides the same kind", "NPI083")
    return kind, Operation("choice", (truth(node.condition, scope), value, other))


def symbols_of(code: Code, scope: Scope) -> tuple[str, ...]:
    """What a code of kind SYMBOL can be."""
    names = list(scope.face.ids)
    if isinstance(code, Cell):
        return scope.face.spec.fields[code.field].values
    if isinstance(code, Parameter):
        return tuple(names[token] for token in scope.slots[code.slot].tokens)
    if isinstance(code, Operation):
        return tuple(dict.fromkeys(name for part in code.operands[1:] for name in symbols_of(part, scope)))
    assert isinstance(code, Symbol), f"{code} is not a symbol"
    return (names[code.id],)


def number(node: s.Expression, scope: Scope) -> Code:
    """An expression as a number: a cell counts what it shows, a blank 0."""
    kind, code = resolve(node, scope)
    if kind == NUMBER:
        return code
    if kind != SYMBOL:
        raise scope.error(node, f"a {kind} stands where a number is needed", "use a cell or a number", "NPI084")
    symbols = [symbol for symbol in symbols_of(code, scope) if symbol != BLANK]
    strange = [symbol for symbol in symbols if number_of(symbol) is None]
    if strange and len(strange) < len(symbols):  # a condition before this may leave numbers alone
        return Operation("number", (code,), node.line, node.column)
    if strange or isinstance(node, s.Text | s.Blank):
        shown = strange[0] if strange else BLANK
        message = f"{shown} is not a number, and numbers are needed here"
        raise scope.error(node, message, "compare symbols with == or !=", "NPI085")
    return Operation("number", (code,))


def truth(node: s.Expression, scope: Scope) -> Code:
    """An expression as a condition: a cell holds when it is not blank."""
    kind, code = resolve(node, scope)
    if kind == TRUTH:
        return code
    if kind != SYMBOL:
        raise scope.error(node, f"a {kind} is not a condition", "compare it, for example with == or >", "NPI086")
    if BLANK not in symbols_of(code, scope):
        shown = node.text if isinstance(node, s.Name) else "this"
        message = f"{shown} is never blank, so as a condition it always holds"
        raise scope.error(node, message, f"compare its cell ({shown} > 0), or ask last({shown})", "NPI087")
    return Operation("not", (Operation("same", (code, Symbol(scope.face.ids[BLANK]))),))


def argument(node: s.Expression, scope: Scope, *, by_value: bool) -> Code:
    """An argument of a call as the code of a token; a bare pointer is itself, or ``by_value`` what its cell holds."""
    if isinstance(node, s.Name) and not by_value:
        bound = lookup(node, scope)
        if bound is not None and bound.type == POINTER:
            return code_of(bound)
    kind, code = resolve(node, scope)
    if kind == TRUTH:
        fix = "write 1 if … else 0, or branch with if"
        raise scope.error(node, "a truth value cannot be an argument", fix, "NPI076")
    return Operation("symbol", (code,)) if kind == NUMBER else code
