"""The machine in machine code against the machine in lockstep, on random tables, random pads and the program files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import dsl
from envs.scratchpad.world import PadConfig, Scratchpad
from envs.spec import GO_ON, RETURN, SLOTS, UNKNOWN, ProgramTable, Signature, Slot
from envs.stepper import Action, Decision
from envs.steppers.decision_tables import DecisionTables, TableStepper, positions
from tests.support.pads import MIXED, PADS, SORTING
from tests.support.paths import PROGRAMS
from traces.machine import compiled
from traces.machine.lockstep import Budget, Outcome, Status, run
from traces.recording.recorder import Recorder, TraceBatch

pytestmark = pytest.mark.skipif(not compiled.available(), reason="numba is not installed")

CODES = 3


class RandomTables(TableStepper):
    """Programs that look at one or two fields and an argument and do whatever; filled as they are met, or at once."""

    def __init__(self, config: PadConfig, seed: int, *, lazy: bool, bad: float) -> None:
        rng = np.random.default_rng(seed)
        spec = Scratchpad("pad", config).spec
        pointers = tuple(range(config.first_pointer, config.first_pointer + len(config.pointers)))
        takes = Signature("TAKES", (Slot("p", pointers),), "")
        programs = (Signature("FIRST", (), ""), Signature("SECOND", (), ""), takes)
        table = ProgramTable(spec, programs, ((0, 1, 2, 3),) * 3)
        fields = [f.size for f in spec.fields]
        strides = np.zeros((len(programs) * CODES, len(fields) + SLOTS), np.int64)
        sizes = []
        for node in range(len(strides)):
            size = 1
            chosen = rng.choice(len(fields), min(2, len(fields)), replace=False).tolist()
            for place in [*chosen, *([len(fields)] if node // CODES == 2 else [])]:
                strides[node, place] = size
                size *= fields[place] if place < len(fields) else len(pointers)
            sizes.append(size)
        base = np.cumsum([0, *sizes])
        entries = self._entries_of(rng, spec, pointers, int(base[-1]), bad)
        for node in range(len(strides)):  # a node may send on to a later one of its program, once
            own = entries[base[node] : base[node + 1]]
            if node % CODES < CODES - 1:
                onward = rng.random(len(own)) < 0.2
                own[onward] = [GO_ON, 0, 0, 0, CODES - 1]
        self.whole = torch.from_numpy(entries)
        tables = DecisionTables(
            first_C=torch.tensor([0] * table.primitives + [CODES * n for n in range(len(programs))]),
            base_N=torch.from_numpy(base[:-1].copy()),
            stride_NF=torch.from_numpy(strides[:, :-SLOTS].copy()),
            stride_N3=torch.from_numpy(strides[:, -SLOTS:].copy()),
            position_C3V=torch.from_numpy(positions(table)),
            entry_M5=self.whole.clone(),
        )
        if lazy:
            tables.entry_M5[:, 0] = UNKNOWN
        super().__init__(table, tables, hops=2)

    @staticmethod
    def _entries_of(rng, spec, pointers, count: int, bad: float) -> np.ndarray:
        kind = rng.random(count)
        entries = np.zeros((count, 5), np.int64)
        entries[:, 4] = rng.integers(0, CODES, count)
        slots = spec.primitives[0].slots
        for i in range(count):
            if kind[i] < 0.12:
                entries[i, 0] = RETURN
            elif kind[i] < 0.3:
                callee = int(rng.integers(1, 4))
                entries[i, :2] = callee, int(rng.choice(pointers)) if callee == 3 else 0
            elif kind[i] < 1 - bad:
                while True:  # a legal act, by trying
                    call = [0, *(int(rng.choice(s.tokens)) for s in slots)]
                    if SCRATCH[spec.digest].legal(Action(torch.tensor([call])))[0]:
                        break
                entries[i, :4] = call
            else:
                entries[i, :4] = rng.integers(-4, 30, 4)
                entries[i, 0] = rng.choice([0, 1, 3, 9])
        return entries

    def fill(self, node_B: np.ndarray, entry_B: np.ndarray) -> None:
        assert (entry_B >= 0).all()
        entry = torch.from_numpy(entry_B)
        assert bool((self.tables.entry_M5[entry, 0] == UNKNOWN).all())
        self.tables.entry_M5[entry] = self.whole[entry]
        self.version += 1


SCRATCH = {world.spec.digest: world for world in (Scratchpad("pad", config) for config in PADS.values())}


def layouts(config: PadConfig, seed: int, count: int) -> list[dict[str, list[int]]]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        width = int(rng.integers(1, 6))
        found.append(
            {
                row.name: rng.integers(0, width if row.places else len(row.symbols), width).tolist()
                for row in config.rows
            }
        )
    return found


def outcome(stepper, world, laid, budget: Budget, *, lockstep: bool) -> tuple[Outcome, TraceBatch]:
    state, recorder = world.reset(laid), Recorder(stepper.table)
    program = torch.full((len(laid),), stepper.table.primitives)
    with pytest.MonkeyPatch.context() as patch:
        if lockstep:
            patch.setattr(compiled, "applies", lambda *_: False)
        found = run(
            stepper, world, state, stepper.table, program, torch.zeros(len(laid), SLOTS, dtype=torch.int64),
            budget=budget, recorder=recorder,
        )  # fmt: skip
    return found, recorder.batch()


def assert_same(one: tuple[Outcome, TraceBatch], two: tuple[Outcome, TraceBatch], world) -> None:
    for name in ("status_N", "steps_N", "depth_N", "refused_N4"):
        assert getattr(one[0], name).tolist() == getattr(two[0], name).tolist(), name
    assert one[0].read(world) == two[0].read(world)
    for name, column in one[1].columns().items():
        assert np.array_equal(column, two[1].columns()[name]), name


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from(sorted(PADS)), st.integers(0, 10**6), st.integers(1, 7), st.integers(1, 250), st.integers(1, 30),
    st.booleans(), st.sampled_from([0.0, 0.02, 0.2]),
)  # fmt: skip
def test_random_tables_run_alike(pad, seed, instances, steps, depth, lazy, bad) -> None:
    """Every status, step, refusal, final state and recorded step is the same; entries are filled once each."""
    config = PADS[pad]
    world, laid = Scratchpad("pad", config), layouts(config, seed, instances)
    budget = Budget(steps=steps, depth=depth)
    whole = RandomTables(config, seed, lazy=False, bad=bad)
    expected = outcome(whole, world, laid, budget, lockstep=True)
    found = outcome(RandomTables(config, seed, lazy=lazy, bad=bad), world, laid, budget, lockstep=False)
    assert_same(found, expected, world)


TAUGHT = sorted(path for path in PROGRAMS.rglob("*.npi") if path.parent.name not in ("learning", "tools"))


@pytest.mark.parametrize("path", TAUGHT, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_every_program_runs_alike(path: Path) -> None:
    """Teachers of the program files, on problems of their tasks, with and without room for what they do."""
    programs = dsl.load(path)
    for task in programs.tasks:
        generator = torch.Generator().manual_seed(1)
        problems = [p for size in task.sizes[:3] for p in task.draw(size, 4, generator=generator, spread=True)]
        for budget in (Budget(), Budget(steps=23, depth=3)):
            found = []
            for lockstep in (False, True):
                recorder = Recorder(programs.table)
                with pytest.MonkeyPatch.context() as patch:
                    if lockstep:
                        patch.setattr(compiled, "applies", lambda *_: False)
                    done = run(
                        dsl.compile_teacher(programs), programs.world,
                        programs.world.reset([p.layout for p in problems]), programs.table,
                        torch.tensor([p.program for p in problems]),
                        torch.tensor([list(p.arguments) for p in problems]), budget=budget, recorder=recorder,
                    )  # fmt: skip
                found.append((done, recorder.batch()))
            assert_same(*found, programs.world)
            assert budget.steps is not None or set(found[0][0].status_N.tolist()) == {Status.DONE}


def test_long_records_are_handed_over_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "RECORDED", 7)
    world, laid = Scratchpad("pad", MIXED), layouts(MIXED, 3, 5)
    stepper, budget = RandomTables(MIXED, 3, lazy=True, bad=0.0), Budget(steps=90)
    assert_same(
        outcome(stepper, world, laid, budget, lockstep=False),
        outcome(RandomTables(MIXED, 3, lazy=False, bad=0.0), world, laid, budget, lockstep=True),
        world,
    )


def test_a_state_can_go_on_in_lockstep_after_a_native_run() -> None:
    """The storage of a pad that was run natively has room made before the next act."""
    programs = dsl.load(PROGRAMS / "addition.npi")
    (problem,) = programs.tasks[0].draw(9, 1, generator=torch.Generator().manual_seed(0), spread=False)
    state = programs.world.reset([problem.layout])
    run(
        dsl.compile_teacher(programs), programs.world, state, programs.table,
        torch.tensor([problem.program]), torch.tensor([list(problem.arguments)]),
    )  # fmt: skip
    left = programs.table.world.tokens.index("LEFT")
    pointer = programs.table.world.tokens.index("OUT")
    for _ in range(200):
        programs.world.act(state, Action(torch.tensor([[0, pointer, left, 0]])), torch.tensor([True]))
    assert programs.world.read(state)[0]["at(OUT)"][0] < -190


def test_what_is_no_table_or_watched_step_by_step_runs_in_lockstep() -> None:
    programs = dsl.load(PROGRAMS / "addition.npi")
    teacher, state = dsl.compile_teacher(programs), programs.world.reset([{"IN1": [1]}])
    assert compiled.applies(teacher, programs.world, state, None)
    assert compiled.applies(teacher, programs.world, state, Recorder(programs.table))

    class Other:
        width, dtype = 1, torch.int64

        def step(self, *situation: torch.Tensor, ended_B: object = None, draw: object = None) -> Decision:
            return teacher.step(*situation)

        def begin(self, *_: torch.Tensor) -> None: ...

    assert not compiled.applies(Other(), programs.world, state, None)
    assert not compiled.applies(teacher, programs.world, state, Other())
    assert not compiled.applies(teacher, object(), state, None)


def test_a_whole_table_that_is_left_is_an_error() -> None:
    """A program text decides every declared situation; only a world that lies can lead out of it."""
    stepper = RandomTables(SORTING, 0, lazy=False, bad=0.0)
    with pytest.raises(ValueError, match="outside the world's declaration"):
        TableStepper.fill(stepper, np.array([0]), np.array([-1]))
