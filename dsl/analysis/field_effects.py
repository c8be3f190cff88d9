"""Which observation fields a program can change, itself or through what it calls."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from dsl.lowering.ir import Code, Invoke, Loop, Parameter, Step, Symbol, Test
from dsl.names.worlds import PAD, Face
from dsl.program import Program
from envs.scratchpad.actions import TABLE

Target = int | str | None
"""The pointer that an effect concerns: its token, ``"slot N"`` for the one in an argument, None for any."""

Effect = tuple[str, Target]
"""What happens (:data:`MOVE`, :data:`WRITE` or, to anything, :data:`ALL`), and to which pointer."""

MOVE, WRITE, ALL = "move", "write", "all"

KINDS: Mapping[str, tuple[str, ...]] = {action.name: (MOVE,) if action.moves else (WRITE,) for action in TABLE}
"""What actions of a pad do; an unknown one may do anything to its pointer and its row."""


class Effects:
    """The effects of every program of a set: the smallest ones that hold for all bodies at once.

    They are what could happen; arguments are taken for what they are, and cells for anything. Programs with a signal
    in place of a body may do everything.
    """

    def __init__(self, programs: Sequence[Program]) -> None:
        self.effects: dict[int, set[Effect]] = {program.id: set() for program in programs}
        self.shown: dict[Effect, set[int]] = {}
        calls = {program.id: [*distinct_calls(program)] for program in programs}
        callers: dict[int, set[int]] = {}
        for number, made in calls.items():
            for call in made:
                callers.setdefault(call.callee, set()).add(number)
        by_id = {program.id: program for program in programs}
        waiting = dict.fromkeys(calls)
        while waiting:
            number = next(iter(waiting))
            del waiting[number]
            before = len(self.effects[number])
            program = by_id[number]
            if program.signal is not None:
                self.effects[number].add((ALL, None))
            for call in calls[number]:
                self.effects[number] |= self.of_call(call, program)
            if len(self.effects[number]) > before:
                waiting.update(dict.fromkeys(callers.get(number, ())))

    def of_call(self, call: Invoke, program: Program) -> set[Effect]:
        """The effects of one call in a program's body."""
        face = program.scope.face
        if call.callee >= len(face.spec.primitives):
            return {(kind, passed(target, call)) for kind, target in self.effects.get(call.callee, {(ALL, None)})}
        if face.spec.kind != PAD:
            return {(ALL, None)}
        action = call.arguments[1]
        name = face.spec.tokens[action.id] if isinstance(action, Symbol) else ""
        return {(kind, target_of(call.arguments[0])) for kind in KINDS.get(name, (MOVE, WRITE))}

    def of_steps(self, steps: Sequence[Step], program: Program) -> set[int]:
        """The observation fields that a block can change."""
        found: set[Effect] = set()
        for call in calls_in(steps):
            found |= self.of_call(call, program)
        return {field for effect in found for field in self.fields(effect, program)}

    def fields(self, effect: Effect, program: Program) -> set[int]:
        """:func:`fields_of`, worked out once for each pointer."""
        if isinstance(effect[1], str):
            return fields_of(effect, program)
        if effect not in self.shown:
            self.shown[effect] = fields_of(effect, program)
        return self.shown[effect]


def distinct_calls(program: Program) -> set[Invoke]:
    """The calls of a body in all its variants; an argument that a variant fixes stands for its parameter again."""
    found: set[Invoke] = set()
    for variant in program.body.variants if program.body is not None else ():
        slots = program.body.slots if program.body is not None else ()
        fixed = {Symbol(token): Parameter(slot) for slot, token in zip(slots, variant.tokens, strict=True)}
        for call in calls_in(variant.steps):
            arguments = tuple(fixed.get(a, a) if isinstance(a, Symbol) else a for a in call.arguments)
            found.add(Invoke(call.callee, arguments, 0, 0))
            if len(program.body.variants if program.body else ()) == 1:
                found.add(Invoke(call.callee, call.arguments, 0, 0))
    return found


def calls_in(steps: Sequence[Step]) -> list[Invoke]:
    found: list[Invoke] = []
    for step in steps:
        if isinstance(step, Invoke):
            found.append(step)
        elif isinstance(step, Test):
            found += [*calls_in(step.yes), *calls_in(step.no)]
        elif isinstance(step, Loop):
            found += calls_in(step.body)
    return found


def target_of(code: Code) -> Target:
    if isinstance(code, Symbol):
        return code.id
    return f"slot {code.slot}" if isinstance(code, Parameter) else None


def passed(target: Target, call: Invoke) -> Target:
    """A callee's target, in the words of its caller."""
    return target_of(call.arguments[int(target.removeprefix("slot "))]) if isinstance(target, str) else target


def fields_of(effect: Effect, program: Program) -> set[int]:
    """The fields that show what an effect changes."""
    kind, target = effect
    face = program.scope.face
    if kind == ALL:
        return set(range(len(face.spec.fields)))
    if isinstance(target, int):
        names = {face.spec.tokens[target]}
    elif isinstance(target, str):
        names = {face.spec.tokens[t] for t in program.signature.slots[int(target.removeprefix("slot "))].tokens}
    else:
        names = set(face.pointers)
    found = set()
    for name in names & set(face.pointers):
        beside = {p for p, row in face.pointers.items() if row == face.pointers[name]}
        found |= shown(face, {name}, edges=True) if kind == MOVE else shown(face, beside, edges=False)
    return found


def shown(face: Face, pointers: set[str], *, edges: bool) -> set[int]:
    """The fields that show something of these pointers; with ``edges`` also where they stand."""
    found = set()
    for name, index in face.fields.items():
        mentioned = set(re.findall(r"\w+", name.partition("(")[2])) if edges else set()
        if name in pointers or mentioned & pointers:
            found.add(index)
    return found
