"""What is fuzzed: each target takes a text and returns where all is well; any exception is a fault.

A text may be refused with a :class:`dsl.LanguageError`, which is caught here. Everything else that is raised, a run
that differs from the reference interpreter, and a text that takes long are faults.
"""

from __future__ import annotations

import random
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import torch

import dsl
from dsl.errors.error import OTHER, LanguageError, Source
from dsl.formatting.formatter import format_text
from dsl.formatting.printer import format_tree
from dsl.names.worlds import PAD
from dsl.program import Program, ProgramSet
from dsl.teacher import Teacher
from dsl.text.parse import parse, parse_all
from envs.spec import RETURN
from tests.support.pads import random_layout
from tests.support.paths import PROGRAMS
from tests.support.reference_interpreter import Event, OutOfSteps, interpret

Call = tuple[int, int, int]

STEPS = 60
"""Decisions of one run that are compared."""

MOST_ENTRIES = 50_000
"""Table entries of a program set whose teacher is run; larger ones take long to build and show nothing new."""


def parser(text: str) -> None:
    """A text is read, or refused with places and fixes; what is read is written and read back as it was."""
    found = parse_all(Source("text.npi", text))
    for error in found.errors:
        assert 1 <= error.line <= len(error.source.lines) + 1
        assert error.column >= 1
        assert error.message
        assert error.fix
        str(error)
    if not found.errors:
        assert parse(format_tree(found.tree)) == found.tree
        laid = format_text(text)
        assert parse(laid) == found.tree
        assert format_text(laid) == laid


def checker(text: str) -> None:
    """A text is checked, or refused; both ways to check it agree, and what is said of it can be said."""
    found = dsl.diagnose(text, path="text.npi", folder=folder())
    assert bool(found.errors) == (found.program_set is None)
    for remark in (*found.errors, *found.warnings):
        assert remark.code != OTHER
        assert remark.fix
        remark.text()


def teacher(text: str) -> None:
    """The teacher of a text that can be used decides as the reference interpreter does, on random small pads."""
    try:
        found = dsl.loads(text, path="text.npi", folder=folder())
    except LanguageError:
        return
    if found.world.spec.kind != PAD or any(program.signal is not None for program in found.programs):
        return  # no pad to run on, or no teacher
    if sum(len(node.next_M) for p in found.programs if p.table is not None for node in p.table.nodes) > MOST_ENTRIES:
        return
    chooser = random.Random(zlib.crc32(text.encode("utf-8", "replace")))
    made = dsl.compile_teacher(found)
    for program in chooser.sample(found.programs, min(2, len(found.programs))):
        compare(found, made, random_layout(found.world.config, chooser), program.id, random_arguments(program, chooser))
    for task in found.tasks[:1]:
        try:
            (problem,) = task.draw(2, 1, generator=torch.Generator().manual_seed(chooser.randrange(99)), spread=True)
            found.world.reset([problem.layout])
        except ValueError as error:
            if str(error).startswith(("task ", "instance 0: ")):
                return  # inputs that fit no row, or no condition
            raise
        _, reading = compare(found, made, problem.layout, problem.program, problem.arguments)
        task.expected(problem)
        if reading is not None:
            task.judge(problem, reading)
            task.result(reading)


def compare(
    found: ProgramSet,
    made: Teacher,
    layout: Mapping[str, Sequence[int]],
    program: int,
    arguments: Call = (0, 0, 0),
    limit: int = STEPS,
) -> tuple[list[Event], dict[str, list[int]] | None]:
    """Run both; the decisions, and what the world shows at the end, or None where the run was cut."""
    events, reading = drive(found, made, layout, program, arguments, limit)
    try:
        expected, pad = interpret(found, layout, program, arguments, limit=limit)
    except OutOfSteps as stopped:
        expected, pad = stopped.events, None
    assert events == expected, "the teacher decides otherwise than the text says"
    if pad is None:
        return events, None
    assert reading == pad.read(), "the pads differ at the end"
    return events, reading


def drive(
    found: ProgramSet,
    made: Teacher,
    layout: Mapping[str, Sequence[int]],
    program: int,
    arguments: Call,
    limit: int,
) -> tuple[list[Event], dict[str, list[int]]]:
    """What the teacher decides, with a stack of Python lists; and what the world shows at the end."""
    world = found.world
    state = world.reset([layout])
    stack = [(program, arguments, 0)]
    events: list[Event] = []
    while stack and len(events) < limit:
        running, given, hidden = stack.pop()
        seen = world.observe(state)
        decision = made.step(seen, torch.tensor([running]), torch.tensor([given]), torch.tensor([[hidden]]))
        callee, one, two, three = decision.call_B4[0].tolist()
        events.append(Event(len(stack), running, given, tuple(seen.fields_BF[0].tolist()), (callee, one, two, three)))
        if callee == RETURN:
            continue
        stack.append((running, given, int(decision.hidden_BH[0, 0])))
        if callee < found.table.primitives:
            assert bool(world.legal(decision.action)), "a call that the world refuses"
            world.act(state, decision.action, torch.tensor([True]))
        else:
            stack.append((callee, (one, two, three), 0))
    return events, world.read(state)[0]


def random_arguments(program: Program, chooser: random.Random) -> Call:
    tokens = [chooser.choice(slot.tokens) for slot in program.signature.slots]
    one, two, three = [*tokens, 0, 0, 0][:3]
    return one, two, three


@cache
def folder() -> Path:
    """A folder with a file to ``use``, one that uses itself, and one that is no text."""
    made = Path(tempfile.mkdtemp(prefix="npi-fuzz-"))
    sorting = PROGRAMS / "bubblesort.npi"
    (made / "bubblesort.npi").write_text(sorting.read_text(encoding="utf-8"), encoding="utf-8")
    (made / "circle.npi").write_text('use "circle.npi"\n', encoding="utf-8")
    (made / "bytes.npi").write_bytes(b"\xff\xfe")
    return made


TARGETS: Mapping[str, Callable[[str], None]] = {"parser": parser, "checker": checker, "teacher": teacher}
