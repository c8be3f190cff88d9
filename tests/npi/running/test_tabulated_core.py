"""Decisions looked up in place of computed: the memo, tables that fill, and libraries compiled to one file."""

import json
import math
from pathlib import Path

import pytest
import torch

from envs.stepper import Observation
from npi.cli.main import main
from npi.library.library import Library, LibraryError
from npi.program_memory import OPEN
from npi.running import tabulated_core
from npi.running.compiled_library import CompiledLibrary
from npi.running.computed_core import ComputedCore
from npi.running.core_stepper import CoreStepper, MemoisedStepper
from npi.running.evaluate import run_problems
from npi.running.tabulated_core import TabulatedCore
from tests.support.tiny import CORE, LSTM, SMALL, configurations, strip, tape, trained, untrained
from traces.machine import compiled
from traces.machine.lockstep import Budget


class Counted:
    """A stepper that counts how often, and about how many configurations, it is asked."""

    def __init__(self, stepper) -> None:
        self.stepper, self.width, self.dtype = stepper, stepper.width, stepper.dtype
        self.asked: list[tuple[int, ...]] = []

    def step(self, seen, program, arguments, hidden, *, ended_B=None, draw=None):
        self.asked += [tuple(r) for r in torch.cat([program[:, None], arguments, hidden, seen.fields_BF], 1).tolist()]
        return self.stepper.step(seen, program, arguments, hidden)


@pytest.mark.parametrize("limit", [4_000_000, 200, 1])
def test_memo_decides_as_the_core_does_also_when_its_table_overflows(limit: int) -> None:
    """Red when two configurations share a key, or the table is looked up after it began anew."""
    library, table = trained(), strip().table
    plain = CoreStepper.of(library, table)
    counted = Counted(plain)
    memo = MemoisedStepper(counted, table, codes=33, limit=limit)
    generator = torch.Generator().manual_seed(0)
    largest = 0
    for _ in range(30):
        obs, program, arguments = configurations(table, 67, generator=generator)
        hidden = torch.randint(33, (67, 1), generator=generator)
        one, two = (
            plain.step(Observation(obs), program, arguments, hidden),
            memo.step(Observation(obs), program, arguments, hidden),
        )
        assert torch.equal(one.call_B4, two.call_B4)
        assert torch.equal(one.hidden_BH, two.hidden_BH)
        largest = max(largest, len(memo.keys))
    assert largest <= limit + 1 + 67
    if limit == 4_000_000:
        assert len(counted.asked) == len(set(counted.asked))  # each configuration once
        again = len(counted.asked)
        memo.step(Observation(obs), program, arguments, hidden)
        assert len(counted.asked) == again


def test_the_library_looks_up_discrete_cores_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """In tables where a program's fields have few combinations, in a memo where they have many."""
    assert isinstance(untrained(SMALL).stepper(strip().table), TabulatedCore)
    assert isinstance(untrained(SMALL).stepper(strip().table, memo=False), ComputedCore)
    assert isinstance(untrained(LSTM).stepper(strip().table), CoreStepper)
    monkeypatch.setattr(tabulated_core, "MAX_ENTRIES", 2)
    assert isinstance(untrained(SMALL).stepper(strip().table), MemoisedStepper)


def test_what_cannot_be_looked_up_is_refused() -> None:
    with pytest.raises(ValueError, match="one int64 state code"):
        MemoisedStepper(untrained(LSTM).stepper(strip().table), strip().table, codes=33)
    with pytest.raises(ValueError, match="63 bits"):
        MemoisedStepper(CoreStepper.of(untrained(SMALL), strip().table), strip().table, codes=2**60)
    assert MemoisedStepper.fits([2**31, 2**30])
    assert not MemoisedStepper.fits([2**31, 2**31])


def allowed_configurations(count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Random observations of the strip, programs, and arguments that their signatures allow."""
    obs, program, arguments = configurations(strip().table, count, generator=generator)
    for b, callee in enumerate(program.tolist()):
        slots = [slot.tokens for slot in strip().table.signatures[callee].slots]
        given = [tokens[int(a) % len(tokens)] for tokens, a in zip(slots, arguments[b], strict=False)]
        arguments[b] = torch.tensor(given + [0] * (3 - len(given)))
    return obs, program, arguments


@pytest.mark.parametrize("whole", [2**13, 1])
@pytest.mark.parametrize("trained_", [True, False])
def test_tables_decide_as_the_core_does(whole: int, trained_: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Step by step in random configurations, whether a node is filled at once or entry by entry."""
    monkeypatch.setattr(tabulated_core, "MAX_EAGER_ENTRIES", whole)
    library, table = trained() if trained_ else untrained(CORE), strip().table
    plain = CoreStepper.of(library, table)
    tables, generator = TabulatedCore(plain), torch.Generator().manual_seed(0)
    for _ in range(20):
        obs, program, arguments = allowed_configurations(67, generator)
        hidden = torch.randint(33, (67, 1), generator=generator)
        one, two = (
            plain.step(Observation(obs), program, arguments, hidden),
            tables.step(Observation(obs), program, arguments, hidden),
        )
        assert torch.equal(one.call_B4, two.call_B4)
        assert torch.equal(one.hidden_BH, two.hidden_BH)


@pytest.mark.parametrize("in_lockstep", [True, False])
def test_tables_run_as_the_core_does(in_lockstep: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also an untrained core, which goes wrong in every way: the same outcomes, refusals and readings."""
    if in_lockstep:
        monkeypatch.setattr(compiled, "applies", lambda *_: False)
    for library in (trained(), untrained(SMALL, seed=3), untrained(CORE, seed=5)):
        plain = CoreStepper.of(library, strip().table)
        problems = strip().tasks[0].draw(6, 20, generator=torch.Generator().manual_seed(1), spread=True)
        budget = Budget(steps=120, depth=7)
        found = [run_problems(s, strip(), problems, budget=budget) for s in (plain, TabulatedCore(plain))]
        for name in ("status_N", "steps_N", "depth_N", "refused_N4"):
            assert torch.equal(getattr(found[0], name), getattr(found[1], name)), name
        assert found[0].read(strip().world) == found[1].read(strip().world)


def test_a_field_behind_a_closed_gate_is_no_part_of_a_table() -> None:
    library = untrained(SMALL)
    row = library.memory.index("strip.ZERO")
    place = strip().table.id("ZERO") - strip().table.primitives
    with torch.no_grad():
        library.memory.gates_NF[row, 2] = OPEN - 2  # in code 2 alone, the first field
    core = CoreStepper.of(library, strip().table)
    blocks = TabulatedCore(core).blocks.reshape(-1, library.core.codes)[place].tolist()
    whole = math.prod(field.size for field in strip().table.world.fields)
    assert blocks == [whole, whole, whole // 3, *[whole] * 6]


def test_what_is_no_table_is_refused() -> None:
    core = untrained(LSTM).stepper(strip().table)
    assert isinstance(core, CoreStepper)
    with pytest.raises(ValueError, match="not tabulated"):
        TabulatedCore(core)


# --- compiled libraries ---------------------------------------------------------------------------------------------


def test_a_compiled_library_runs_as_its_core_does_from_the_file_alone(tmp_path: Path) -> None:
    library = trained()
    CompiledLibrary.of(library).save(tmp_path / "strip.npic")
    opened = CompiledLibrary.open(tmp_path / "strip.npic")
    assert opened.about["core"] == library.core.digest()
    programs, task = opened.task("both")
    assert (programs.digest, task.name) == (strip().digest, "both")
    problems = task.draw(9, 50, generator=torch.Generator().manual_seed(2), spread=True)
    plain = CoreStepper.of(library, strip().table)
    one = run_problems(opened.stepper(programs.table), programs, problems)
    two = run_problems(plain, strip(), problems)
    assert torch.equal(one.steps_N, two.steps_N)
    assert one.read(programs.world) == two.read(strip().world)
    assert all(task.judge(p, r) for p, r in zip(problems, one.read(programs.world), strict=True))


def test_a_compiled_table_is_whole_and_holds_the_cores_decisions() -> None:
    """Every entry of every node, asked of the core again one by one; an untrained core's are as good as any."""
    library = untrained(SMALL, seed=4)
    core = CoreStepper.of(library, strip().table)
    full = TabulatedCore(core)
    full.fill_all()
    nodes = (full.tables.base_N >= 0).nonzero()[:, 0].tolist()
    assert len(nodes) >= 7
    before, generator = full.version, torch.Generator().manual_seed(0)
    for _ in range(200):
        obs, program, arguments = allowed_configurations(1, generator)
        own = [n for n in nodes if n // full.codes == int(program) - strip().table.primitives]
        code = own[int(torch.randint(len(own), (1,), generator=generator))] % full.codes
        hidden = torch.tensor([[code]])
        one, two = (
            core.step(Observation(obs), program, arguments, hidden),
            full.step(Observation(obs), program, arguments, hidden),
        )
        assert torch.equal(one.call_B4, two.call_B4)
    assert full.version == before, "something had to be filled"


def test_what_cannot_be_compiled_says_so(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="cannot be compiled"):
        CompiledLibrary.of(Library(untrained(LSTM).core, untrained(LSTM).memory, [strip()]))
    CompiledLibrary.of(trained()).save(tmp_path / "a.npic")
    data = bytearray((tmp_path / "a.npic").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "b.npic").write_bytes(bytes(data))
    (tmp_path / "c.npic").write_bytes(bytes(data[: len(data) // 2]))
    for name in "bc":
        with pytest.raises(ValueError, match=r"changed or cut off|damaged"):
            CompiledLibrary.open(tmp_path / f"{name}.npic")
    compiled = CompiledLibrary.of(trained())
    with pytest.raises(LibraryError, match="not among those"):
        compiled.stepper(tape().table)
    with pytest.raises(LibraryError, match="no task 'bath'; did you mean 'both'"):
        compiled.task("bath")


def test_the_command_line_compiles_runs_and_measures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file stands in place of the folder where programs run, and is refused where rows are learned or proved."""
    trained().save(tmp_path / "library")
    library, file = str(tmp_path / "library"), str(tmp_path / "library.npic")
    assert main(["compile", "--library", library, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["file"] == file
    assert said["bytes"] == Path(file).stat().st_size
    assert main(["run", "both", "2,0,1", "--library", file, "--quiet"]) == 0
    by_file = capsys.readouterr().out
    assert main(["run", "both", "2,0,1", "--library", library, "--quiet"]) == 0
    assert by_file == capsys.readouterr().out
    assert main(["eval", "--library", file, "--count", "5", "--json"]) == 0
    assert {score["right"] for score in json.loads(capsys.readouterr().out)} == {5}
    for words in (["certify"], ["learn", "x.npi"], ["compile"]):
        assert main([*words, "--library", file]) == 2, words
        assert "npi: " in capsys.readouterr().err
