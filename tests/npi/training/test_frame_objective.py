"""Training: it learns a small program in a second, a broken one does not, and it repeats itself to the bit."""

from dataclasses import replace

import pytest
import torch

import npi
from dsl import loads
from npi.core.config import FORCED, LEARNED, CoreConfig, TrainConfig
from npi.jobs.run import checkpoint_path
from npi.jobs.train import gather, pick_device, train_library
from npi.library.library import Library
from npi.running.core_stepper import CoreStepper
from npi.running.evaluate import run_problems
from npi.training.dataset import Dataset
from npi.training.forced import ForcedStates
from npi.training.frame_objective import FrameObjective, place
from npi.training.loop import fit
from npi.training.loss import frame_loss, take_share
from npi.training.supervision import learning_rate_share
from npi.training.unrolled import UnrolledFrames
from npi.training.validation import TaskValidator, Validation
from tests.support.tiny import (
    CORE,
    LSTM,
    SMALL,
    STATES,
    STRIP,
    Steps,
    dataset,
    forcing,
    make_objective,
    objective_on,
    plain_end,
    solved,
    strip,
    tape,
    trained,
    training,
    untrained,
)
from traces.generation.generate import record_problems
from traces.machine.lockstep import Budget, Status
from traces.recording.unique_frames import unique_frames

BOTH = pytest.mark.parametrize("states", STATES)
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def unrolled(objective: FrameObjective) -> UnrolledFrames:
    assert isinstance(objective.supervision, UnrolledFrames)
    return objective.supervision


def state(objective: FrameObjective) -> tuple[str, str]:
    return objective.core.digest(), objective.library.rows_digest()


def problems(size: int, count: int, seed: int = 99):
    return strip().tasks[0].draw(size, count, generator=torch.Generator().manual_seed(seed), spread=False)


def plain_right(library: Library, found) -> list[bool]:
    """Whether the core leaves behind what plain Python says, problem by problem."""
    stepper = CoreStepper(library.core, library.memory, library.rows(strip().table), world=0, table=strip().table)
    outcome = run_problems(stepper, strip(), found, budget=Budget(steps=2000))
    right = []
    for problem, status, reading in zip(found, outcome.status_N.tolist(), outcome.read(strip().world), strict=True):
        items, at = plain_end(problem.values["items"], "both")
        right.append(status == Status.DONE and reading["A"] == items and reading["at(P)"] == [at])
    return right


@BOTH
def test_a_small_program_is_learned_and_carries_beyond_its_training_sizes(states: str) -> None:
    """Trained on lists of 1 to 4 items; judged in plain Python, the place of the pointer included."""
    library = trained(states)
    for size in (1, 4, 9, 60):
        assert all(plain_right(library, problems(size, 50))), size


def test_the_published_core_is_learned_too() -> None:
    config = training(cut=0, noise=0.0, rate=1e-2, stretch=1.0)
    objective = make_objective(config, core=LSTM)
    assert solved(objective)
    assert all(plain_right(objective.library, [p for size in (1, 2, 3, 4) for p in problems(size, 20)]))


@BOTH
def test_a_core_that_hardly_moves_learns_nothing(states: str) -> None:
    objective = make_objective(STATES[states](rate=1e-9, updates=140))
    progress = fit(objective, objective.schedule)
    assert (progress.solved, progress.update) == (False, 140)
    assert objective.wrong
    assert sum(plain_right(objective.library, problems(3, 20))) < 15  # some need nothing to be done


def test_shuffled_calls_cannot_be_learned() -> None:
    found = dataset(strip())
    order = torch.randperm(found.frames.steps, generator=torch.Generator().manual_seed(0))
    broken = replace(found.frames, call_S4=found.frames.call_S4[order])
    library, config = untrained(CORE), training(updates=140)
    objective = FrameObjective(library, [broken], config)
    assert not solved(objective)
    assert sum(objective.wrong.values()) > len(broken) / 4


@BOTH
def test_training_ends_at_a_clean_check_only(states: str) -> None:
    objective = make_objective(STATES[states]())
    seen = []
    progress = fit(
        objective, objective.schedule, report=lambda p: seen.append((p.update, p.solved, dict(objective.wrong)))
    )
    *before, last = seen
    assert last[1]
    assert not any(solved for _, solved, _ in before)
    assert last[0] % 20 == 0
    assert last[2] == {}
    assert [u for u, _, _ in seen] == list(range(1, last[0] + 1))
    report = objective.report(progress)
    assert report.validation == Validation(8, 8)
    assert report.validation.passed
    assert report.errors.keys() == {f"strip.{n}" for n in "MOVE SCAN HOME STAY ROUND ZERO BOTH".split()}
    assert max(report.errors.values()) < 0.3
    assert report.seconds > 0


@BOTH
def test_a_solved_core_that_fails_its_tasks_is_not_solved_and_learns_their_frames(states: str) -> None:
    """Frames of longer lists come back from the validator and join the others; two clean checks end training."""
    config = STATES[states](rate=1e-6, warmup=0, clean=2)
    library = trained(states)
    more = record_problems(strip(), strip().tasks[0], problems(7, 3))
    answers = iter([Validation(3, 2, (unique_frames([more]),)), Validation(3, 3), Validation(3, 3)])
    turns = []

    def validate(turn: int) -> Validation:
        turns.append(turn)
        return next(answers)

    objective = objective_on(library, [dataset(strip())], config, validate=validate)
    supervision, known = objective.supervision, {row: 0.01 * row for row in objective.supervision.errors}
    if isinstance(supervision, UnrolledFrames):
        for group in supervision.curriculum.groups:
            group.error = known[group.row]
    elif isinstance(supervision, ForcedStates):
        supervision.errors, before = dict(known), len(supervision.row_E)
    objective.evaluate(0)
    assert (objective.clean, len(objective.found)) == (0, 1)
    assert supervision.errors == known
    if isinstance(supervision, UnrolledFrames):
        assert len(supervision.curriculum.sources) == 2
        assert int(supervision.curriculum.sources[1].frames.length_M.max()) == 7
    elif isinstance(supervision, ForcedStates):
        assert len(supervision.row_E) == before  # longer lists show no other steps
    assert not objective.evaluate(0).solved
    Steps(objective).take()
    assert objective.evaluate(1).solved
    assert turns == [0, 0, 1]


def test_wrong_frames_become_the_hard_ones(monkeypatch) -> None:
    objective = make_objective(training())
    Steps(objective).take(30)
    curriculum = unrolled(objective).curriculum
    monkeypatch.setattr("npi.training.unrolled.FIRST", 5)
    found = objective.evaluate(30)
    few = sum(objective.wrong.values())
    assert few == len(curriculum.hard[0]) > 0
    assert max(objective.wrong.values()) <= 5
    assert found.scores == objective.wrong
    monkeypatch.setattr("npi.training.unrolled.FIRST", 10_000)
    objective.evaluate(30)
    assert sum(objective.wrong.values()) == len(curriculum.hard[0]) > few
    assert objective.validation is None  # tasks are run by a core that has every frame right only


def test_the_last_frames_are_looked_at_before_training_ends(monkeypatch) -> None:
    """Right on the first frames of each program and wrong on a later one: not solved."""
    library = trained(LEARNED)
    frames = dataset(strip()).frames
    home = strip().table.id("HOME")
    last = int((frames.program_M == home).nonzero()[-1])
    calls = frames.call_S4.clone()
    step = int(frames.start_M[last])
    calls[step] = torch.tensor([strip().table.id("ROUND"), 0, 0, 0], dtype=torch.int32)
    objective = FrameObjective(library, [frames], training())
    unrolled(objective).curriculum.sources[0] = place(library, replace(frames, call_S4=calls))
    monkeypatch.setattr("npi.training.unrolled.FIRST", 1)
    assert not objective.evaluate(1).solved
    assert objective.wrong == {"strip.HOME": 1}
    assert unrolled(objective).curriculum.hard[0].tolist() == [last]


@pytest.mark.parametrize(
    ("states", "config"), [(FORCED, SMALL), (LEARNED, SMALL), (LEARNED, LSTM)], ids=["forced", "learned", "lstm"]
)
def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(states: str, config: CoreConfig) -> None:
    def after(seed: int) -> tuple[str, str]:
        objective = make_objective(STATES[states](seed=seed, examples=20), core=config)
        Steps(objective).take(6)
        return state(objective)

    torch.manual_seed(1)
    one = after(0)
    torch.manual_seed(2)
    assert after(0) == one
    assert after(1)[0] != one[0]
    assert after(1)[1] != one[1]


def test_nothing_touches_the_global_generator() -> None:
    before = torch.random.get_rng_state()
    assert not solved(make_objective(training(updates=22)))
    assert not solved(make_objective(forcing(updates=12, check_every=6, examples=20)))
    assert not solved(make_objective(training(updates=2, cut=0), core=LSTM))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_first_updates_are_those_of_a_loop_written_out() -> None:
    """Frames of the curriculum, their loss backward, a norm of one, AdamW (NPI section 4.1)."""
    objective, second = (make_objective(training(), validated=False) for _ in range(2))
    other = unrolled(second)
    parameters = [*other.core.parameters(), other.memory.keys_NK, other.memory.embeddings_NP]
    adamw = torch.optim.AdamW(parameters, betas=(0.9, 0.98), weight_decay=1e-4)
    losses = []
    for update in range(12):
        adamw.param_groups[0]["lr"] = 3e-3 * min(1.0, (update + 1) / 50) * (1 - update / 300)
        drawn = take_share(other.curriculum.draw(generator=other.generator))
        loss, wrong_B = frame_loss(other.core, other.memory, other.rules, drawn, noise=0.5, generator=other.noise)
        adamw.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        adamw.step()
        other.curriculum.note(drawn.program_D, wrong_B)
        losses.append(loss.item())
    assert Steps(objective).take(12) == pytest.approx(losses, rel=1e-5)
    assert losses[-1] < losses[0]


@BOTH
def test_half_precision_gives_other_numbers_from_the_same_weights(states: str) -> None:
    losses = []
    for precision in ("float32", "bfloat16"):
        losses += Steps(make_objective(STATES[states](precision=precision), validated=False)).take()
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


@BOTH
def test_half_precision_learns_too(states: str) -> None:
    objective = make_objective(STATES[states](precision="bfloat16"), validated=False)
    assert solved(objective)
    assert next(objective.core.parameters()).dtype == torch.float32


# --- schedule and groups ----------------------------------------------------------------------------------------


def test_the_learning_rate_warms_up_once_and_falls_in_cycles() -> None:
    config = TrainConfig(warmup=4, decay=100)
    found = [2 * learning_rate_share(config, u) for u in (0, 1, 3, 50, 94, 95, 99, 100, 150, 199, 200)]
    assert found == pytest.approx([2 * 0.25 * 1.0, 2 * 0.5 * 0.99, 2 * 0.97, 1.0, 0.12, 0.1, 0.1, 2.0, 1.0, 0.1, 2.0])
    assert learning_rate_share(replace(config, warmup=0), 0) == 1.0


@BOTH
def test_weights_keys_and_embeddings_are_descended_and_gates_are_not(states: str) -> None:
    objective = make_objective(STATES[states](), validated=False)
    memory = objective.memory
    before = {
        name: part.detach().clone() for name, part in [*memory.named_parameters(), *objective.core.named_parameters()]
    }
    Steps(objective).take()
    after = {**dict(memory.named_parameters()), **dict(objective.core.named_parameters())}
    assert [name for name in before if torch.equal(before[name], after[name])] == ["gates_NF"]


# --- validation on the machine --------------------------------------------------------------------------------------


def test_validation_counts_what_plain_python_counts() -> None:
    """With SCAN in the place of ZERO, a list comes out right where its last item is zero, or none is."""
    library, config = trained(), training(problems=40, stretch=1.0)
    validator = TaskValidator(library, [strip()], config)
    drawn = validator.problems(strip(), 0, 3)
    assert validator(3) == Validation(40, 40)
    zero, scan = library.memory.index("strip.ZERO"), library.memory.index("strip.SCAN")
    with torch.no_grad():
        for numbers in (library.memory.embeddings_NP, library.memory.gates_NF):
            numbers[zero] = numbers[scan]
    found = validator(3)
    right = [0 not in p.values["items"] or p.values["items"][-1] == 0 for p in drawn]
    assert (found.problems, found.solved) == (40, sum(right))
    assert 0 < sum(right) < 40
    (failed,) = found.frames
    wrong = [p for p, r in zip(drawn, right, strict=True) if not r]
    assert torch.equal(failed.obs_SF, unique_frames([record_problems(strip(), strip().tasks[0], wrong)]).obs_SF)


def test_validation_problems_follow_from_seed_and_turn_and_reach_as_far_as_asked() -> None:
    library = untrained(SMALL)

    def values(turn: int = 0, **changes) -> list[tuple[int, ...]]:
        validator = TaskValidator(library, [strip()], training(**({"stretch": 1.0, "problems": 40} | changes)))
        return [p.values["items"] for p in validator.problems(strip(), 0, turn)]

    assert values() == values()
    assert values(seed=1) != values()
    assert values(turn=1) != values()
    lengths = [len(v) for v in values(stretch=3.0)]
    assert lengths.count(12) == 20
    assert {n for n in lengths if n != 12} == set(strip().tasks[0].train_sizes)


def test_a_task_without_training_sizes_is_only_for_tests() -> None:
    """Nothing of it is traced or validated; a file that says no training sizes at all names the line to add."""
    extra = STRIP[STRIP.index("task both") :].replace("task both", "task more").replace("train items of 1..4", "")
    both = loads(STRIP + extra, path="strip.npi")
    assert [t.train_sizes for t in both.tasks] == [(1, 2, 3, 4), ()]
    assert Dataset.from_programs(both, traces=8, seed=0).traces == dataset(strip()).traces
    assert TaskValidator(untrained(SMALL), [both], training())(0).problems == 8
    none = loads(STRIP.replace("train items of 1..4", ""), path="strip.npi")
    with pytest.raises(ValueError, match=r"strip.npi says no sizes to train on.* task both, such as: train items of"):
        Dataset.from_programs(none, traces=8, seed=0)


# --- whole jobs -----------------------------------------------------------------------------------------------------


@BOTH
def test_train_library_from_a_file_to_a_folder(states: str, tmp_path) -> None:
    (tmp_path / "strip.npi").write_text(STRIP)
    updates = []
    result = train_library(
        [tmp_path / "strip.npi"],
        out=tmp_path / "out",
        core=CORE,
        training=STATES[states](),
        traces=8,
        device="cpu",
        report=lambda r: updates.append(r.update),
    )
    assert result.solved
    assert not result.resumed
    assert updates == list(range(1, result.report.update + 1))
    assert not checkpoint_path(tmp_path / "out").exists()
    library = npi.Library.open(tmp_path / "out")
    assert all(plain_right(library, problems(9, 20)))
    (entry,) = library.history
    assert (entry["trained"], entry["solved"], entry["updates"]) == (["strip.npi"], True, result.report.update)
    assert entry["settings"] == STATES[states]().to_json()


@BOTH
def test_one_core_learns_programs_of_two_worlds(states: str) -> None:
    library = untrained(CORE, strip(), tape())
    config, both = STATES[states](stretch=1.0), [dataset(strip()), dataset(tape())]
    assert solved(objective_on(library, both, config, validate=TaskValidator(library, library.sets, config)))
    assert all(plain_right(library, problems(4, 20)))
    problem = tape().tasks[0].problem({"a": 5})
    (reading,) = run_problems(library.stepper(tape().table), tape(), [problem]).read(tape().world)
    assert reading["T"] == []


def test_material_that_is_none() -> None:
    with pytest.raises(ValueError, match="no task, so there is nothing to trace"):
        Dataset.from_programs(replace(strip(), tasks=()), traces=1, seed=0)
    with pytest.raises(FileNotFoundError, match="no such program file or folder"):
        gather(["nowhere.npi"], traces=1, seed=0)
    with pytest.raises(ValueError, match="nothing to learn from"):
        gather([], traces=1, seed=0)


def test_devices_by_name() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(ValueError, match="'quantum' is not known"):
        pick_device("quantum")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="no CUDA device"):
            pick_device("cuda")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"updates": 0}, "updates must be"),
        ({"rate": 0.0}, "must be positive"),
        ({"precision": "half"}, "'half'"),
        ({"states": "found"}, "'found'"),
        ({"examples": 0}, "examples must be"),
    ],
)
def test_settings_that_make_no_training_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainConfig(**change)


def test_settings_that_suit_an_lstm() -> None:
    config = TrainConfig.for_core(CoreConfig.published(), rate=5e-4)
    assert (config.noise, config.rate) == (0.0, 5e-4)
    assert (config.states, config.warmup, config.check_every) == (LEARNED, 50, 250)
    assert TrainConfig.for_core(CORE) == TrainConfig()
    assert TrainConfig().states == FORCED
    slowly = TrainConfig.for_core(CORE, states=LEARNED, warmup=7)
    assert (slowly.states, slowly.warmup, slowly.check_every) == (LEARNED, 7, 100)


@CUDA
@BOTH
def test_training_on_cuda(states: str) -> None:
    library, config = untrained(CORE), STATES[states]()
    library.core.to("cuda")
    library.memory.to("cuda")
    validate = TaskValidator(library, library.sets, config)
    assert solved(objective_on(library, [dataset(strip())], config, validate=validate))
