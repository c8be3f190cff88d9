"""The universal core: plans against texts, rows against wiring, searches, proofs, and broken rows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import dsl
from dsl import compile_teacher
from dsl.formatting.printer import format_tree
from dsl.generator import stream, vocabulary_of
from dsl.program import Program, ProgramSet
from envs.stepper import Observation
from npi.jobs.train import learn_into
from npi.library.kinds import fingerprint
from npi.library.library import Library, LibraryError
from npi.library.wiring import seal
from npi.running.evaluate import solve
from npi.universal.code_search import LEAD, Search, SearchConfig
from npi.universal.core import SHIPPED, new_universal
from npi.universal.functions import Functions, deciding, hasty, oversize
from npi.universal.learn_rows import learn_universal
from npi.universal.network import CONDITIONINGS, Interpreter, InterpreterConfig, Proposer
from npi.universal.plan import describe, plan_of
from npi.universal.proof import prove
from npi.universal.rows import RowError, Tabulated, row_of, unpacked, wired, wiring_of
from npi.universal.training_stream import WORLDS, Pool, held_programs, vocabularies
from tests.support.paths import ROOT
from tests.support.universal_helpers import tables

SMALL = InterpreterConfig(hidden=32, layers=1, features=32, code=8)


def ideal(program: Program, programs: ProgramSet) -> Tabulated:
    """A row's tables as a core without fault would make them: straight from the plan."""
    return tables(plan_of(program, programs.table), programs)


def test_the_plan_of_add1_reads_as_a_person_would_write_it() -> None:
    programs = dsl.load(ROOT / "programs/addition.npi")
    assert describe(plan_of(programs.program("addition.ADD1"), programs.table), programs.table) == (
        "state 0 looks at IN1, IN2, CARRY\n"
        "    ACT(OUT, WRITE, …), then state 1\n"
        "state 1 looks at IN1, IN2, CARRY\n"
        "    return\n"
        "    addition.CARRY(), then state 2\n"
        "state 2 looks at nothing\n"
        "    return"
    )


def test_what_is_copied_is_no_choice() -> None:
    programs = dsl.load(ROOT / "programs/examples/hanoi.npi")
    plan = plan_of(programs.program("hanoi.HANOI"), programs.table)
    assert "hanoi.SMALLER([from], [over], [to])" in describe(plan, programs.table)
    assert [len(state.outcomes) for state in plan.states] == [2, 1, 1, 1]


@pytest.mark.parametrize("path", sorted((ROOT / "programs").glob("**/*.npi")), ids=lambda path: path.stem)
def test_plans_of_all_program_files_decide_as_their_texts(path: Path) -> None:
    programs = dsl.load(path)
    if programs.world.spec.rendered:
        with pytest.raises(ValueError, match="reads symbols only"):
            new_universal(SMALL, seed=0).core.learns_in(programs.world.spec)  # type: ignore[operator]
        return
    for program in programs.programs:
        if program.table is not None:
            assert prove(program, ideal(program, programs)).holds, program.name


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(sorted(WORLDS)), st.integers(1, 9))
def test_plans_of_random_programs_decide_as_their_texts_and_survive_wiring(seed: int, world: str, size: int) -> None:
    vocabulary = vocabulary_of(dsl.loads(WORLDS[world]))
    drawn = list(stream(vocabulary, {size: 3}, generator=np.random.default_rng(seed)))
    programs = dsl.loads(format_tree(vocabulary.file([one.tree for one in drawn])))
    for program in programs.programs:
        plan = plan_of(program, programs.table)
        again = wired(wiring_of(plan, programs.table), program.id, programs.table)
        assert [(s.inputs, s.outcomes) for s in again.states] == [(s.inputs, s.outcomes) for s in plan.states]
        if max(len(state.outcome_M) for state in plan.states) < 3000:
            assert prove(program, ideal(program, programs)).holds


def test_a_proof_finds_one_wrong_decision_among_many() -> None:
    programs = dsl.load(ROOT / "programs/addition.npi")
    program = programs.program("addition.ADD1")
    row = ideal(program, programs)
    row[0][2][137, 3] = row[0][2][136, 3] + 1
    found = prove(program, row)
    assert (found.wrong, found.holds) == (1, False)
    assert "IN1 = " in found.where


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_gradients_of_codes_are_those_of_finite_differences(conditioning: str) -> None:
    generator = torch.Generator().manual_seed(0)
    net = Interpreter(replace(SMALL, conditioning=conditioning), generator=generator).double()
    net.words.digits = net.words.digits.double()
    seen = torch.randint(0, 11, (2, 3, SMALL.inputs), generator=generator)
    code = torch.randn(2, SMALL.code, generator=generator, dtype=torch.float64, requires_grad=True)
    gain = torch.randn(2, SMALL.features, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda c, g: net(seen, c, g), (code, gain), atol=1e-4)


def test_products_are_in_half_precision_only_where_that_is_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor without AVX-512 takes ten times as long for them; red where all are asked for them."""
    for capability, dtype in (("AVX2", torch.float32), ("AVX512", torch.bfloat16)):
        monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda capability=capability: capability)
        with hasty("cpu"):
            assert (torch.ones(2, 3) @ torch.ones(3, 5)).dtype == dtype
        with hasty("cpu", enabled=False):
            assert (torch.ones(2, 3) @ torch.ones(3, 5)).dtype == torch.float32


def test_a_search_finds_codes_even_beside_a_core_that_learned_nothing() -> None:
    """Its gains alone make a linear reader of random features: enough for `last`, too little for sums of digits."""
    generator = torch.Generator().manual_seed(0)
    net, proposer = Interpreter(SMALL, generator=generator), Proposer(SMALL, generator=generator)
    programs = dsl.load(ROOT / "programs/addition.npi")
    states = [s for p in programs.programs for s in plan_of(p, programs.table).states if deciding(s)]
    simple = dsl.load(ROOT / "programs/bubblesort.npi")
    simple_states = [plan_of(simple.program("bubblesort.RESET"), simple.table).states[1]]
    before = {name: part.clone() for name, part in net.state_dict().items()}
    found = Search(net, proposer, Functions(simple_states, SMALL.inputs), SearchConfig(updates=100)).run()
    assert found.right_N.all()
    hard = Search(net, proposer, Functions(states, SMALL.inputs), SearchConfig(updates=40, starts=1)).run()
    assert not hard.right_N.all()
    every = torch.arange(len(states))
    wrong = Functions(states, SMALL.inputs).wrong(net, every, hard.code_NC, hard.gain_NG, lead=LEAD)
    assert [len(one) for one in wrong] == [len(one) for one in hard.wrong]
    assert all(torch.equal(part, before[name]) for name, part in net.state_dict().items())


def test_a_row_with_another_wiring_or_width_is_refused() -> None:
    wiring = [{"looks": [["field", "A"]], "does": [[None], ["ACT", [], 0]]}]
    row_P = row_of(wiring, torch.zeros(1, SMALL.code), torch.zeros(1, SMALL.features), SMALL)
    assert len(row_P) == SMALL.row
    assert unpacked(row_P, wiring, SMALL)[0].shape == (SMALL.states, SMALL.code)
    other = [{"looks": [["field", "B"]], "does": [[None], ["ACT", [], 0]]}]
    assert seal(wiring) != seal(other)
    with pytest.raises(RowError, match="another wiring"):
        unpacked(row_P, other, SMALL)
    with pytest.raises(RowError, match="numbers"):
        unpacked(row_P[:-1], wiring, SMALL)


def test_wiring_that_names_what_is_not_there_is_refused() -> None:
    programs = dsl.load(ROOT / "programs/bubblesort.npi")
    program = programs.program("bubblesort.RESET")
    wiring = wiring_of(plan_of(program, programs.table), programs.table)
    wiring[0]["does"][0] = ["bubblesort.NOWHERE", [], 0]
    with pytest.raises(RowError, match="NOWHERE"):
        wired(wiring, program.id, programs.table)


def test_what_does_not_fit_is_told() -> None:
    programs = dsl.load(ROOT / "programs/examples/gcd.npi")
    plan = plan_of(programs.program("gcd.CUT"), programs.table)
    assert oversize(plan, InterpreterConfig()) is None
    assert "room for 2" in (oversize(plan, InterpreterConfig(states=2)) or "")
    assert "the core sees 1" in (oversize(plan, InterpreterConfig(inputs=1)) or "")
    assert "the core has 3" in (oversize(plan, InterpreterConfig(outcomes=3)) or "")


def test_a_pool_counts_functions_and_not_names() -> None:
    world = WORLDS["digits"]
    text = (
        "program ONE:\n    while IN1 > IN2:\n        ACT(IN1, LEFT)\n"
        "program TWO:\n    while CARRY > OUT:\n        ACT(OUT, RIGHT)\n"
    )
    programs = dsl.loads(world + text)
    pool = Pool(InterpreterConfig())
    for program in programs.programs:
        pool.add(plan_of(program, programs.table))
    assert (len(pool.states), pool.counts) == (1, [2])


# --- with the core that comes with the engine ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("universal") / "library"
    found = learn_into(folder, [ROOT / "programs/max.npi"], device="cpu")
    assert found.solved
    assert found.before.core == found.after.core
    return folder


def test_a_new_library_learns_max_and_sorts_far_beyond(learned: Path) -> None:
    library = Library.open(learned)
    programs, task = library.task("max.max")
    problems = task.draw(60, 20, generator=torch.Generator().manual_seed(5), spread=True)
    solved = solve(library.stepper(programs.table), programs, task, problems)
    assert solved.count == 20
    assert library.core.digest() == Library.open(SHIPPED).core.digest()


def test_its_stepper_decides_as_the_teacher_in_random_situations(learned: Path) -> None:
    library = Library.open(learned)
    programs, _ = library.task("max.max")
    core, teacher = library.stepper(programs.table), compile_teacher(programs)
    generator = torch.Generator().manual_seed(0)
    table = programs.table
    program_B = torch.randint(table.primitives, len(table), (500,), generator=generator)
    columns = [torch.randint(field.size, (500,), generator=generator) for field in table.world.fields]
    none = torch.zeros(500, 3, dtype=torch.int64)
    start = torch.zeros(500, 1, dtype=torch.int64)
    mine = core.step(Observation(torch.stack(columns, 1)), program_B, none, start)
    theirs = teacher.step(Observation(torch.stack(columns, 1)), program_B, none, start)
    assert torch.equal(mine.call_B4, theirs.call_B4)


def test_a_second_file_changes_nothing_of_the_first(learned: Path, tmp_path: Path) -> None:
    before = Library.open(learned)
    out = tmp_path / "both"
    found = learn_into(learned, [ROOT / "programs/examples/compare.npi"], out=out, device="cpu")
    assert found.solved
    assert found.unchanged
    after = Library.open(out)
    count = len(before.memory)
    assert len(after.core.worlds) == 2
    assert after.core.digest() == before.core.digest()
    assert torch.equal(after.memory.embeddings_NP[:count], before.memory.embeddings_NP)
    assert fingerprint(after.core, after.memory, count) == fingerprint(before.core, before.memory, count)


def test_a_row_that_was_tampered_with_does_not_run(learned: Path) -> None:
    library = Library.open(learned)
    programs, _ = library.task("max.max")
    with torch.no_grad():
        library.memory.embeddings_NP[2, 0] += 1
    with pytest.raises(RowError, match="another wiring"):
        library.stepper(programs.table)


def test_nothing_is_kept_of_a_row_that_is_not_right(tmp_path: Path) -> None:
    library = new_universal(SMALL, seed=0)
    library.save(tmp_path / "weak")
    found = learn_into(
        tmp_path / "weak", [ROOT / "programs/addition.npi"], config=SearchConfig(updates=20, starts=1), device="cpu"
    )
    assert not found.solved
    assert "addition.ADD1" in found.wrong
    place = next(i for i, note in enumerate(found.notes) if note.startswith("addition.ADD1 is wrong in "))
    first = found.notes[place + 1]
    assert first.startswith("  state 0 sees IN1 = ")
    assert " is right" in first
    assert any("looks at 3 things in 242 configurations: let a program that ADD1 calls" in note for note in found.notes)
    assert not len(Library.open(tmp_path / "weak").memory)


def test_other_cores_do_not_learn_rows_this_way(tmp_path: Path) -> None:
    from npi.core.config import CoreConfig
    from npi.training.dataset import Dataset

    programs = dsl.load(ROOT / "programs/bubblesort.npi")
    dataset = Dataset.from_programs(programs, traces=1, seed=0)
    library = Library.create(CoreConfig(), [programs.table])
    with pytest.raises(LibraryError, match="rows of universal ones"):
        learn_universal(library, [dataset])


def test_training_streams_have_no_program_that_is_held_out() -> None:
    vocabulary = vocabularies({"bits": WORLDS["bits"]})["bits"]
    held = {program.hash for program in held_programs(vocabulary, each=6, sizes=[2, 3])}
    assert len(held) == 12
    drawn = stream(vocabulary, {2: 40, 3: 40}, generator=np.random.default_rng(0), exclude=held)
    assert not held & {program.hash for program in drawn}
