"""Captured steps against plain ones: on the CPU by a tape under the rules of a CUDA graph, on CUDA by graphs."""

import pytest
import torch

from dsl import ProgramSet, compile_teacher, load
from envs.stepper import Stepper
from envs.support.capture_check import HostError, tape
from npi.core.config import CoreConfig
from npi.library.library import Library
from tests.support.paths import PROGRAMS
from traces.machine.cuda_graphs import Stretches
from traces.machine.lockstep import Budget, run
from traces.machine.outcome import Chunk
from traces.recording.recorder import Recorder

MORE = ("bubblesort.npi", "examples/mergesort.npi")
FILES = ["addition.npi", "recursive/quicksort.npi", *(pytest.param(name, marks=pytest.mark.thorough) for name in MORE)]
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def problems(programs: ProgramSet, sizes: list[int]):
    task = programs.tasks[0]
    generator = torch.Generator().manual_seed(3)
    return [p for size in sizes for p in task.draw(size, 3, generator=generator, spread=False)]


def everything(stepper: Stepper, programs: ProgramSet, sizes: list[int], *, device: str = "cpu", **settings):
    drawn = problems(programs, sizes)
    state = programs.world.reset([p.layout for p in drawn], device=device)
    recorder = Recorder(programs.table)
    outcome = run(
        stepper,
        programs.world,
        state,
        programs.table,
        torch.tensor([p.program for p in drawn]),
        torch.tensor([list(p.arguments) for p in drawn]),
        recorder=recorder,
        compiled=False,
        **settings,
    )
    columns = (outcome.status_N, outcome.steps_N, outcome.depth_N, outcome.refused_N4)
    batch = recorder.batch()
    return [c.tolist() for c in columns], outcome.read(programs.world), batch.obs.tolist(), batch.calls.tolist()


@pytest.mark.parametrize("file", FILES)
def test_replayed_steps_of_a_teacher_are_its_steps(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Stretches] = []
    monkeypatch.setattr("traces.machine.lockstep.Stretches", lambda *a: made.append(Stretches(*a)) or made[-1])
    programs = load(PROGRAMS / file)
    teacher = compile_teacher(programs)
    plain = everything(teacher, programs, [1, 7, 13])
    assert everything(teacher, programs, [1, 7, 13], capture=tape) == plain
    assert made[-1].replayed > 3


@pytest.mark.parametrize("kind", ["discrete", "lstm"])
def test_replayed_steps_of_a_core_are_its_steps(kind: str) -> None:
    programs = load(PROGRAMS / "addition.npi")
    library = Library.create(CoreConfig(kind=kind, hidden=17), [programs.table], sets=[programs], seed=5)
    stepper = library.stepper(programs.table, memo=False)
    budget = Budget(steps=70, depth=9)
    plain = everything(stepper, programs, [2, 3], budget=budget, check_every=4)
    assert everything(stepper, programs, [2, 3], budget=budget, check_every=4, capture=tape) == plain


def test_the_host_is_not_asked_within_a_stretch() -> None:
    x = torch.zeros(3)
    for work in (lambda: x.sum().item(), lambda: x.nonzero(), lambda: torch.tensor([1.0]), lambda: x[x > 0]):
        with pytest.raises(HostError):
            tape(work)


def test_a_tape_replays_on_the_same_memory() -> None:
    x, y = torch.tensor([1.0, 2.0]), torch.zeros(2)

    def work() -> torch.Tensor:
        y.add_(x)
        return (y * 2)[1:]

    result, replay = tape(work)
    assert result.tolist() == [4.0]
    x.fill_(10.0)
    replay()
    assert (y.tolist(), result.tolist()) == ([11.0, 12.0], [24.0])


def test_new_memory_is_not_replayed() -> None:
    done: list[int] = []
    chunk = Chunk(*(torch.zeros(1, 1) for _ in range(3)), None)

    class Counted:
        def spend(self, acts: int) -> None:
            done.append(-acts)

    def advance(state, stack, steps):
        done.append(steps)
        return chunk

    def capture(work):
        return work(), lambda: done.append(0)

    stretches: Stretches = Stretches(advance, capture)
    for moved in (True, False, False, False, True, False):
        stretches.next(Counted(), None, 5, moved=moved)
    assert done == [5, 5, -5, 0, -5, 0, 5, 5]
    stretches.next(Counted(), None, 3, moved=False)
    assert done[-1] == 3
    assert stretches.replayed == 2


@CUDA
@pytest.mark.parametrize("file", FILES)
def test_graphs_on_cuda_do_what_the_cpu_does(file: str) -> None:
    programs = load(PROGRAMS / file)
    teacher = compile_teacher(programs)
    there = type(teacher)(teacher.table, teacher.tables.to("cuda"), hops=teacher.hops)
    assert everything(there, programs, [1, 7, 13], device="cuda") == everything(teacher, programs, [1, 7, 13])
