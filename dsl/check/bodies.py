"""Statements of a body → steps: calls checked against signatures, ``for`` unrolled, variants made."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod

from dsl.check.names import NeedsVariant, argument, lookup, resolve, truth
from dsl.errors.error import Gather
from dsl.lowering.ir import Body, Code, Constant, Invoke, Leave, Loop, Parameter, Step, Symbol, Test, Variant
from dsl.names.scope import POINTER, SYMBOL, Bound, Scope, check_name
from dsl.names.worlds import describe_symbols
from dsl.text import syntax as s
from envs.scratchpad import actions
from envs.spec import NONE, SLOTS, Slot

MOST_VARIANTS = 4096
"""Pointer parameters whose cells are read multiply a body; beyond this it is refused."""

MOST_STATEMENTS = 50_000
"""Of a body with its ``for`` loops written out, and five times as many in all its variants."""


def resolve_body(program: s.Program, scope: Scope) -> Body:
    """The checked body of a program, in one variant for each pointer whose cell is read through a parameter."""
    assert not isinstance(program.body, s.Signal), "a signal is no body"
    found = Gather()
    size = written_out(program.body)
    if size > MOST_STATEMENTS:
        message = f"{program.name} has {size:,} statements where its for loops are written out"
        fix = f"at most {MOST_STATEMENTS:,} are possible; move the inner loops into a program, and call it"
        raise scope.error(program, message, fix, "NPI097")
    check_ends(program.body, scope, found)
    slots: list[int] = []
    while True:
        try:
            body = Body(tuple(slots), tuple(variants(program.body, slots, scope, found)))
            found.close()
            return body
        except NeedsVariant as need:
            slots.append(need.slot)
            count = prod(len(scope.slots[slot].tokens) for slot in slots)
            if count > MOST_VARIANTS or count * size > 5 * MOST_STATEMENTS:
                message = f"{program.name} reads cells through parameters that can be {count} combinations of pointers"
                raise scope.error(program, message, "narrow them: p: P1 or P2", "NPI095") from None


def written_out(statements: tuple[s.Statement, ...]) -> int:
    """How many statements a block has where its ``for`` loops are unrolled."""
    count = 0
    for statement in statements:
        if isinstance(statement, s.For):
            count += len(statement.items) * written_out(statement.body)
        elif isinstance(statement, s.If):
            count += 1 + sum(written_out(arm.body) for arm in statement.arms) + written_out(statement.otherwise)
        else:
            count += 1 + (written_out(statement.body) if isinstance(statement, s.While) else 0)
    return count


def variants(body: tuple[s.Statement, ...], slots: list[int], scope: Scope, found: Gather) -> Iterator[Variant]:
    for tokens in product(*(scope.slots[slot].tokens for slot in slots)):
        inner = scope
        for slot, token in zip(slots, tokens, strict=True):
            inner = inner.bind(scope.slots[slot].name, Bound(POINTER, token, None))
        yield Variant(tokens, block(body, inner, found))


def block(statements: tuple[s.Statement, ...], scope: Scope, found: Gather) -> tuple[Step, ...]:
    """The steps of a block; a statement with a mistake is entered in ``found`` and left out."""
    made: list[Step] = []
    for statement in statements:
        with found:
            made += steps(statement, scope, found)
    return tuple(made)


def steps(statement: s.Statement, scope: Scope, found: Gather) -> tuple[Step, ...]:
    if isinstance(statement, s.Call):
        return (invoke(statement, scope),)
    if isinstance(statement, s.If):
        return branch(statement.arms, statement.otherwise, scope, found)
    if isinstance(statement, s.While):
        return (loop(statement, scope, found),)
    if isinstance(statement, s.For):
        return unroll(statement, scope, found)
    return (Leave(),) if isinstance(statement, s.Return) else ()


def branch(
    arms: tuple[s.Arm, ...], otherwise: tuple[s.Statement, ...], scope: Scope, found: Gather
) -> tuple[Step, ...]:
    if not arms:
        return block(otherwise, scope, found)
    first = arms[0]
    condition = asked(first.condition, scope, found)
    yes, no = block(first.body, scope, found), branch(arms[1:], otherwise, scope, found)
    return (Test(condition, yes, no, first.line, first.column),)


def asked(condition: s.Expression, scope: Scope, found: Gather) -> Code:
    """The code of a condition; one with a mistake stands as a constant, so that its block is looked at."""
    with found:
        return truth(condition, scope)
    return Constant(0)


def loop(statement: s.While, scope: Scope, found: Gather) -> Loop:
    if not any(isinstance(node, s.Call | s.Return) for node in s.nodes(statement.body)):
        message = "this loop calls nothing, so what it asks never changes and it never ends"
        raise scope.error(statement, message, "call a program or ACT in its body, or use if", "NPI091")
    condition = asked(statement.condition, scope, found)
    return Loop(condition, block(statement.body, scope, found), statement.line, statement.column)


def unroll(statement: s.For, scope: Scope, found: Gather) -> tuple[Step, ...]:
    check_fresh(statement.variable, statement, scope)
    made: list[Step] = []
    for item in statement.items:
        if isinstance(item, s.Name):
            bound = lookup(item, scope)
        else:
            kind, code = resolve(item, scope)
            bound = Bound(SYMBOL, symbol_token(code, scope), None)
        if bound is None or (bound.token is None and bound.slot is None):
            message = "a for loop runs over names that are known"
            raise scope.error(item, message, "list pointers, words or symbols", "NPI094")
        made += block(statement.body, scope.bind(statement.variable, bound), found)
    return tuple(made)


def symbol_token(code: Code, scope: Scope) -> int | None:
    """The token of a literal; None for anything that is not known when the file is read."""
    if isinstance(code, Symbol):
        return code.id
    return scope.face.ids.get(str(code.value)) if isinstance(code, Constant) else None


def check_fresh(name: str, node: s.Node, scope: Scope) -> None:
    """Refuse a parameter or loop variable that hides another name."""
    check_name(name, node, "variable", scope.source)
    taken = name in scope.face.pointers or name in scope.bound or name in scope.face.words
    if taken or name in scope.face.cells:
        raise scope.error(node, f"{name} means something already", "choose another name", "NPI065")


def invoke(call: s.Call, scope: Scope) -> Invoke:
    """A call whose arguments fit the callee as far as can be told without looking at cells."""
    callee = scope.callee(call)
    signature = scope.callables[callee]
    primitive = callee < len(scope.face.spec.primitives)
    moves = primitive and not all(wants_symbol(slot, scope) for slot in signature.slots)
    check_arity(call, signature.slots, scope)
    codes: list[Code] = []
    for node, slot in zip(call.arguments, signature.slots, strict=False):
        by_value = bool(codes) and takes_symbol(codes[-1], scope) if moves else wants_symbol(slot, scope)
        code = argument(node, scope, by_value=by_value)
        check_argument(code, node, slot, call, scope)
        codes.append(code)
    codes += [Symbol(0)] * (SLOTS - len(codes))
    return Invoke(callee, tuple(codes), call.line, call.column)


def wants_symbol(slot: Slot, scope: Scope) -> bool:
    return not any(scope.face.spec.tokens[token] in scope.face.pointers for token in slot.tokens)


def takes_symbol(code: Code, scope: Scope) -> bool:
    """Whether this is an action of a pad that takes a symbol."""
    tokens = [scope.face.words.get(action.name) for action in actions.TABLE if action.operand == actions.SYMBOL]
    return isinstance(code, Symbol) and code.id in tokens


def check_arity(call: s.Call, slots: tuple[Slot, ...], scope: Scope) -> None:
    """The right number of arguments; a slot that allows no argument may be left out at the end."""
    needed = sum(1 for slot in slots if 0 not in slot.tokens)
    if needed <= len(call.arguments) <= len(slots):
        return
    takes = str(needed) if needed == len(slots) else f"{needed} to {len(slots)}"
    shape = f"{call.name}({', '.join(slot.name for slot in slots)})" if slots else call.name
    plural = "argument" if takes == "1" else "arguments"
    message = f"{call.name} takes {takes} {plural} and is given {len(call.arguments)}"
    raise scope.error(call, message, f"write {shape}", "NPI072")


def check_argument(code: Code, node: s.Expression, slot: Slot, call: s.Call, scope: Scope) -> None:
    """Refuse a known token that the slot does not allow; what depends on cells is checked by tabulating."""
    if isinstance(code, Symbol):
        tokens: tuple[int, ...] = (code.id,)
    elif isinstance(code, Parameter):
        tokens = scope.slots[code.slot].tokens
    else:
        return
    strange = [token for token in tokens if token not in slot.tokens]
    if strange:
        names = scope.face.spec.tokens
        shown = next(name for name, index in scope.face.ids.items() if index == strange[0])
        allowed = describe_symbols(tuple(names[token] for token in slot.tokens if names[token] != NONE))
        message = f"argument {slot.name} of {call.name} cannot be {shown}"
        raise scope.error(node, message, f"it can be {allowed}", "NPI073")


def check_ends(statements: tuple[s.Statement, ...], scope: Scope, found: Gather) -> bool:
    """Whether a block always returns; refuses the first statement behind that, which is never reached."""
    ended = False
    for statement in statements:
        if ended:
            message = "this is never reached: the program has returned"
            found.add(scope.error(statement, message, "remove it", "NPI093"))
            break
        if isinstance(statement, s.If):
            ends = [check_ends(arm.body, scope, found) for arm in statement.arms]
            ended = check_ends(statement.otherwise, scope, found) and all(ends) if statement.otherwise else False
        elif isinstance(statement, s.While | s.For):
            ended = check_ends(statement.body, scope, found) and isinstance(statement, s.For)
        else:
            ended = isinstance(statement, s.Return)
    return ended
