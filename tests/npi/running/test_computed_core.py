"""A discrete core computed in machine code against the core in torch: logits, decisions, and whole runs."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

import dsl
from dsl.program import ProgramSet
from envs.scratchpad.config import UNDER
from envs.stepper import Observation
from npi.core import gates
from npi.core.config import CoreConfig, TrainConfig
from npi.core.recurrent import recurrent
from npi.jobs.train import train_library
from npi.library.library import Library
from npi.running.computed_core import ComputedCore
from npi.running.core_stepper import CoreStepper
from npi.running.evaluate import run_problems
from npi.running.tabulated_core import TabulatedCore
from tests.support.paths import PROGRAMS
from tests.support.tiny import CORE, LSTM, SMALL, configurations, strip, trained, untrained
from traces.machine import compiled, compiled_kernel
from traces.machine.call_rules import call_rules
from traces.machine.lockstep import Budget, Status, run
from traces.recording.recorder import Recorder

pytestmark = pytest.mark.skipif(not compiled.available(), reason="numba is not installed")

FILES = {"add": "addition.npi", "sort": "bubblesort.npi"}
WIDE = CoreConfig(hidden=21, bits=9, row=11, key=7)
OPEN = replace(SMALL, gates=False)
CLEAR = 1e-3
"""Lead of a decision that rounding cannot turn."""


def programs_of(name: str) -> ProgramSet:
    return dsl.load(PROGRAMS / FILES[name])


def random_library(config: CoreConfig, seed: int = 0) -> Library:
    """Addition and sorting by random numbers, each row with random gates in each code."""
    library = untrained(config, *map(programs_of, FILES), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    shape = library.memory.gates_NF.shape
    with torch.no_grad():
        library.memory.gates_NF.copy_(torch.randint(2**gates.GATES, shape, generator=generator).float())
    return library


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Addition and sorting, learned."""
    paths = [PROGRAMS / file for file in FILES.values()]
    training = TrainConfig(seed=0, problems=64)
    out = tmp_path_factory.mktemp("solved") / "library"
    return train_library(paths, out=out, core=CoreConfig(hidden=64), training=training, device="cpu").library


def logits(core: CoreStepper, obs, program, arguments, code) -> dict[str, torch.Tensor]:
    """By torch: what the heads put out."""
    network, hidden = core.core, code[:, None]
    x_BX = core.encode(obs, program, arguments, hidden)
    second, bits = network.trunk.advance(x_BX, core.cond_NC[program], hidden)
    keys = network.key_logits(second, core.rows)[:, core.columns]
    tokens = network.adapter(core.world).argument_logits(second)
    return {"end": network.end_logits(second)[:, None], "bits": bits, "keys": keys, "tokens": tokens.flatten(1)}


def computed(core: CoreStepper, programs: ProgramSet, obs, program, arguments, code) -> tuple[np.ndarray, np.ndarray]:
    """By machine code, one after the other: decisions (call, next code), and the heads read off the second layer.

    The fields are those of a pad whose pointer f stands on a cell that holds field f.
    """
    world, fields = programs.world, obs.shape[1]
    decider = compiled.NativeNetwork(ComputedCore(core), world, call_rules(world, programs.table, torch.device("cpu")))
    network = decider.network
    *_, second_H, _, value_H = parts = decider.arguments()[len(compiled.Tables._fields) :][: compiled.NETWORK]
    without = [*parts[:7], *parts[-3:]]
    field_F3 = np.array([(UNDER, f, 0) for f in range(fields)])
    places, H = np.arange(fields), len(value_H) - 3
    heads = 1 + network.bits + len(programs.table) + 3 * len(programs.table.world.tokens)
    decided, found = [], []
    for b in range(len(obs)):
        cells = obs[b].numpy().astype(np.int16)
        callee, *tokens, _, after = compiled_kernel.compute(
            *without, int(program[b]), int(code[b]), tuple(arguments[b].tolist()), field_F3, cells, places, places,
            places, 1,
        )  # fmt: skip
        decided.append((callee, *tokens, after))
        found.append(network.row_XW[:heads, :H] @ second_H[:H] + network.row_XW[:heads, H])
    return np.array(decided), np.array(found)


@pytest.mark.parametrize("config", [CoreConfig(), SMALL, WIDE, OPEN], ids=["default", "small", "nine bits", "no gates"])
@pytest.mark.parametrize("name", list(FILES))
def test_logits_and_decisions_in_random_configurations(name: str, config: CoreConfig) -> None:
    """Also in configurations that no run comes to, with gates that differ from code to code."""
    programs, library = programs_of(name), random_library(config)
    core = CoreStepper.of(library, programs.table)
    generator = torch.Generator().manual_seed(1)
    obs, program, arguments = configurations(programs.table, 300, generator=generator)
    code = torch.randint(2**config.bits + 1, (300,), generator=generator)
    code[:40] = 0
    with torch.no_grad():
        expected = logits(core, obs, program, arguments, code)
    decided, found = computed(core, programs, obs, program, arguments, code)
    np.testing.assert_allclose(found, torch.cat(list(expected.values()), 1).numpy(), atol=1e-4, rtol=1e-4)
    decision = core.step(Observation(obs), program, arguments, code[:, None])
    right = torch.cat([decision.call_B4, decision.hidden_BH], 1)
    returns = right[:, 0] < 0
    end, bits = expected["end"][:, 0].abs() > CLEAR, (expected["bits"].abs() > CLEAR).all(1)
    allowed = expected["keys"] + core.reach_NN[program]
    clear = end & (returns | (bits & (lead(allowed) > CLEAR)))
    tokens = expected["tokens"].unflatten(1, (3, -1)) + core.slots_N3V[right[:, 0].clamp(min=0)]
    clear &= returns | (lead(tokens) > CLEAR).all(1)
    assert clear.float().mean() > 0.9
    assert 0.05 < returns.float().mean() < 0.95
    right[returns, 1:], decided[returns.numpy(), 4] = torch.tensor([0, 0, 0, 0]), 0
    assert np.array_equal(decided[clear.numpy()], right[clear].numpy())


def lead(logits_BN: torch.Tensor) -> torch.Tensor:
    """By how much the largest leads."""
    two = functional.pad(logits_BN, (0, 1), value=-torch.inf).topk(2, -1).values
    return two[..., 0] - two[..., 1]


BUDGETS = [Budget(steps=400, depth=6), Budget(steps=37), Budget(steps=5000, depth=40), Budget(depth=9, stack_bytes=1)]


def assert_runs_alike(library: Library, programs: ProgramSet, problems, budget: Budget) -> torch.Tensor:
    """By machine code and in lockstep: status, steps, depth, refused calls and worlds; the statuses."""
    core = CoreStepper.of(library, programs.table)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "FIRST_MARK", 2**40)  # lockstep proves of no run that it never ends
        found = [run_problems(s, programs, problems, budget=budget) for s in (ComputedCore(core), core)]
    for what in ("status_N", "steps_N", "depth_N", "refused_N4"):
        assert torch.equal(getattr(found[0], what), getattr(found[1], what)), what
    assert found[0].read(programs.world) == found[1].read(programs.world)
    stopped = [
        None if f.stopped is None else [x if isinstance(x, int) else x.tolist() for x in f.stopped] for f in found
    ]
    if found[0].status_N.unique().tolist() == [Status.STEPS]:  # of several kinds, another instance may be noted
        assert stopped[0] == stopped[1]
    return found[0].status_N


@pytest.mark.parametrize("name", list(FILES))
def test_a_learned_core_runs_as_in_lockstep(solved: Library, name: str) -> None:
    programs = programs_of(name)
    problems = programs.task(name).draw(7, 24, generator=torch.Generator().manual_seed(3), spread=True)
    assert set(assert_runs_alike(solved, programs, problems, Budget()).tolist()) == {Status.DONE}
    for budget in BUDGETS[:2]:
        assert_runs_alike(solved, programs, problems, budget)
    outcome = run_problems(solved.stepper(programs.table, memo=False), programs, problems)
    readings = outcome.read(programs.world)
    assert all(programs.task(name).judge(p, r) for p, r in zip(problems, readings, strict=True))


def test_random_cores_run_as_in_lockstep() -> None:
    """They go wrong: too deep, too long, into the same call again and again."""
    statuses: set[int] = set()
    for seed in (0, 2, 5):
        for name in FILES:
            programs = programs_of(name)
            problems = programs.task(name).draw(6, 9, generator=torch.Generator().manual_seed(seed), spread=True)
            for budget in BUDGETS:
                library = random_library(replace(SMALL, bits=1 + seed), seed)
                statuses |= set(assert_runs_alike(library, programs, problems, budget).tolist())
    problems = strip().tasks[0].draw(6, 20, generator=torch.Generator().manual_seed(1), spread=True)
    for library in (trained(), untrained(CORE, seed=5), untrained(SMALL, seed=3)):
        statuses |= set(assert_runs_alike(library, strip(), problems, BUDGETS[0]).tolist())
    assert statuses >= {Status.DONE, Status.STEPS, Status.DEPTH}


@pytest.mark.parametrize(
    ("call", "ends"), [("OUT LEFT -", Status.STEPS), ("IN1 WRITE 7", Status.STEPS), ("IN1 LEFT 7", Status.ILLEGAL)]
)
def test_one_act_for_ever(call: str, ends: Status) -> None:
    """To the left until the storage has grown again and again, a digit written again and again, and what is refused."""
    programs, library = programs_of("add"), random_library(SMALL)
    tokens = torch.tensor([programs.world.spec.token(token) for token in call.split()])
    core = recurrent(library.core)
    arguments = core.adapter(library.world(programs.world.spec)).arguments
    with torch.no_grad():
        core.end.bias.fill_(-1000)
        library.memory.keys_NK[library.rows(programs.table)[0]] = 1000 * core.find.bias
        arguments.bias.view(3, -1)[torch.arange(3), tokens] = 1000
    problems = programs.task("add").draw(3, 5, generator=torch.Generator().manual_seed(0), spread=True)
    assert set(assert_runs_alike(library, programs, problems, Budget(steps=700)).tolist()) == {ends}
    without = run_problems(library.stepper(programs.table, memo=False), programs, problems).status_N
    assert set(without.tolist()) == {Status.ENDLESS if ends == Status.STEPS else ends}


def test_a_recorded_run_has_the_same_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "RECORDED", 11)
    problems = strip().tasks[0].draw(4, 5, generator=torch.Generator().manual_seed(2), spread=True)
    program = torch.tensor([p.program for p in problems])
    core, batches = CoreStepper.of(trained(), strip().table), []
    for stepper in (ComputedCore(core), core):
        state, recorder = strip().world.reset([p.layout for p in problems]), Recorder(strip().table)
        run(stepper, strip().world, state, strip().table, program, torch.zeros(5, 3).long(), recorder=recorder)
        batches.append(recorder.batch().columns())
    for what, column in batches[0].items():
        assert np.array_equal(column, batches[1][what]), what


@pytest.mark.parametrize("tables", [False, True])
def test_threads_share_a_batch_and_change_nothing(tables: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    core = CoreStepper.of(trained(), strip().table)
    problems = strip().tasks[0].draw(9, 61, generator=torch.Generator().manual_seed(2), spread=True)
    parts, inner, outcomes = [], compiled_kernel.advance, []

    def counted(*given):
        parts[-1].append(len(given[-11 - 8]))
        return inner(*given)

    monkeypatch.setattr(compiled_kernel, "advance", counted)
    for threads in (1, 3):
        parts.append([])
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        stepper = TabulatedCore(core) if tables else ComputedCore(core)
        outcomes.append(run_problems(stepper, strip(), problems, budget=Budget(steps=150)))
    assert set(parts[0]) == {61}
    assert sum(parts[1][:7]) == 61
    assert max(parts[1]) < 61
    for what in ("status_N", "steps_N", "depth_N"):
        assert torch.equal(getattr(outcomes[0], what), getattr(outcomes[1], what))
    assert outcomes[0].read(strip().world) == outcomes[1].read(strip().world)


def test_which_cores_are_computed_in_machine_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Discrete ones without a memo; torch decides in lockstep, and where machine code is not to be used."""
    library, state = trained(), strip().world.reset([{"A": [1]}])
    stepper = library.stepper(strip().table, memo=False)
    assert isinstance(stepper, ComputedCore)
    assert compiled.applies(stepper, strip().world, state, None)
    assert not compiled.applies(stepper.stepper, strip().world, state, None)
    assert isinstance(untrained(LSTM).stepper(strip().table, memo=False), CoreStepper)
    with pytest.raises(ValueError, match="not discrete"):
        ComputedCore(CoreStepper.of(untrained(LSTM), strip().table))
    problems = strip().tasks[0].draw(3, 2, generator=torch.Generator().manual_seed(2), spread=True)
    lockstep = run_problems(stepper, strip(), problems, compiled=False)
    monkeypatch.setattr(recurrent(library.core).trunk, "step", None)
    assert torch.equal(run_problems(stepper, strip(), problems).steps_N, lockstep.steps_N)


@pytest.mark.parametrize("kind", [TabulatedCore, ComputedCore])
def test_what_machine_code_reads_goes_with_the_stepper(kind: type) -> None:
    stepper = kind(CoreStepper.of(trained(), strip().table))
    problems = strip().tasks[0].draw(3, 2, generator=torch.Generator().manual_seed(2), spread=True)
    run_problems(stepper, strip(), problems)
    kept = weakref.ref(compiled._NATIVE[stepper])
    del stepper
    gc.collect()
    assert kept() is None
