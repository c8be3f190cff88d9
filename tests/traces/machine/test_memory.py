"""What runs leave behind: nothing that grows with their number."""

import gc
import tracemalloc
import weakref

import torch

import dsl
from npi.running.evaluate import run_problems
from traces.machine import call_rules

TEXT = """world pad is scratchpad:
    row A, {rows} of digit

program GO:
    while A > 0:
        ACT(A, WRITE, A - 1)

task go(a: digit):
    A = [a]
    run GO
    expect under(A) == 0
    train
"""


def once(number: int) -> weakref.ref:
    """Run a program in a world that no other has; what decided, to see whether it stays."""
    programs = dsl.loads(TEXT.format(rows=f"ROW{number}"))
    stepper = dsl.compile_teacher(programs)
    problems = programs.tasks[0].draw(1, 2, generator=torch.Generator().manual_seed(1), spread=True)
    run_problems(stepper, programs, problems)
    return weakref.ref(stepper)


def test_steppers_and_worlds_that_are_gone_leave_nothing() -> None:
    """Red where a table of the machine is kept for every world that ran: some 70 kB a world."""
    many = call_rules.MAX_CACHED + 4
    once(0)
    tracemalloc.start()
    try:
        steppers = [once(number) for number in range(many)]
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        steppers += [once(number) for number in range(many, 2 * many)]
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [ref() for ref in steppers] == [None] * len(steppers)
    assert (after - before) / many < 4000, "bytes a stepper"
