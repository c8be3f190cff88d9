"""Learners in the engine: training, rows beside a frozen core, and programs that call theirs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dsl import load, loads
from npi.cli.main import main
from npi.jobs.learners import train_learner
from npi.jobs.train import learn_into
from npi.learners import interface as registry
from npi.learners.core import LearnerProgramCore
from npi.learners.evaluate import evaluated, score_task
from npi.learners.interface import learner_of, register_learner
from npi.learners.objectives.on_policy import OnPolicy, OnPolicyTraining
from npi.learners.rollout import calls
from npi.learners.tasks import Problems, learner_for, training_tasks
from npi.library.library import Library
from npi.library.manifest import LibraryError
from npi.library.operations import add, joined, merge, pack
from npi.library.row_file import RowFile
from npi.proof.certificate import Certificate
from npi.proof.check_certificate import check
from npi.running.evaluate import score_sizes, solve
from npi.training.checkpoint import CheckpointError
from npi.training.ranks import ALONE
from npi.universal.core import SHIPPED
from tests.support.tape_programs import document
from tests.support.tiny_learner import LEARNER, Tiny, TinyCore
from traces.machine.lockstep import run

ARMS = """
world arms is bandit(arms: 2, steps: 40)

program EASY "Find the better arm":
    maximise reward over 20 steps
    core "tiny"

task easy(episode: number):
    EPISODE = digits(episode)
    FAMILY = ["easy"]
    run EASY
    expect TRIAL == [20]
    train episode of 8 digits
    test episode of 9 digits
"""

MEDIUM = """
use "arms.npi"

program MEDIUM "Find the better arm":
    maximise reward over 20 steps
    core "tiny"

task medium(episode: number):
    EPISODE = digits(episode)
    FAMILY = ["medium"]
    run MEDIUM
    expect TRIAL == [20]
    train episode of 8 digits
    test episode of 9 digits
"""

LUCKY = """
task lucky(episode: number):
    EPISODE = digits(episode)
    FAMILY = ["easy"]
    run EASY
    expect LAST == [1]
    test episode of 8 digits
"""

VISIT = """
use "arms.npi"

program VISIT "Explore, then go on until a pull pays":
    EASY
    while REWARD == 0:
        AGAIN

program AGAIN "Pull the same arm once more":
    if LAST == 1:
        PULL(1)
    else:
        PULL(2)

task visit(episode: number):
    EPISODE = digits(episode)
    FAMILY = ["easy"]
    run VISIT
    expect REWARD == [1]
    train episode of 8 digits
    test episode of 9 digits
"""

QUICK = OnPolicyTraining(
    updates=60, batch=64, rate=1e-2, check_every=20, problems=64, discount=0.5, final_discount=0.5, entropy=0.0
)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_REGISTERED", {})
    register_learner(LEARNER)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    three = ARMS.replace("arms: 2", "arms: 3").replace('    FAMILY = ["easy"]\n', "")
    for name, text in (("arms", ARMS), ("medium", MEDIUM), ("visit", VISIT), ("three", three)):
        (tmp_path / f"{name}.npi").write_text(text)
    return tmp_path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that has EASY."""
    folder = tmp_path_factory.mktemp("hosted")
    (folder / "arms.npi").write_text(ARMS)
    registry._REGISTERED.setdefault("tiny", LEARNER)
    train_learner([folder / "arms.npi"], out=folder / "library", training=QUICK)
    return folder / "library"


# --- program files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (" over 20 steps", "", "does not say how long it acts"),
        ('    core "tiny"\n', "", "does not say what learns it"),
        ('core "tiny"', 'core "tinny"', "no learner of kind 'tinny'.*did you mean 'tiny'"),
        ("maximise reward", "minimise loss", "does not learn to minimise loss; write maximise reward"),
        ("maximise reward", "maximise loss", "does not learn to maximise loss"),
        ("    train episode of 8 digits\n", "", "says sizes to train on"),
    ],
)
def test_files_that_cannot_be_learned_are_told_why(files: Path, old: str, new: str, told: str) -> None:
    (files / "arms.npi").write_text(ARMS.replace(old, new))
    programs = load(files / "arms.npi")
    with pytest.raises(ValueError, match=told):
        _ = learner_for(programs), training_tasks(programs)


def test_kinds_are_taken_once() -> None:
    with pytest.raises(ValueError, match="registered already"):
        register_learner(Tiny())
    assert learner_of("tiny") is LEARNER


# --- training --------------------------------------------------------------------------------------------------------


def test_training_finds_the_better_arm(trained: Path) -> None:
    library = Library.open(trained)
    programs, task = library.task("easy")
    learned = score_task(library, programs, task, count=400).scores["reward"].mean
    fresh = LearnerProgramCore(library.core.config, library.core.worlds, generator=torch.Generator().manual_seed(5))
    untrained = score_task(Library(fresh, library.memory, library.sets), programs, task, count=400)
    assert learned > 14.5  # the oracle: 18
    assert untrained.scores["reward"].mean < 12
    assert library.history[-1]["curve"][-1]["update"] == QUICK.updates


def test_a_run_that_is_stopped_goes_on_to_the_same_numbers(files: Path) -> None:
    paths, training = [files / "arms.npi", files / "medium.npi"], replace(QUICK, updates=12, check_every=4)
    whole = train_learner(paths, out=files / "whole", training=training)
    asked: list[int] = []
    stop = lambda: bool(asked.append(0)) or len(asked) == 7  # noqa: E731
    part = train_learner(paths, out=files / "parts", training=training, stop=stop)
    assert not part.ended
    assert not (files / "parts").exists()
    rest = train_learner(paths, out=files / "parts", training=training)
    assert rest.resumed
    assert rest.library.core.digest() == whole.library.core.digest()
    assert rest.library.rows_digest() == whole.library.rows_digest()
    assert rest.library.history[-1]["curve"] == whole.library.history[-1]["curve"]
    assert not (files / "parts.training").exists()


def test_a_stopped_run_goes_on_with_more_updates(files: Path) -> None:
    training, seen = replace(QUICK, updates=6, check_every=4), list[int]()
    train_learner(
        [files / "arms.npi"], out=files / "l", training=training, stop=lambda: bool(seen.append(0)) or len(seen) > 3
    )
    told = Library.open(files / "l.training").history[-1]
    assert told["updates"] == 3
    rest = train_learner([files / "arms.npi"], out=files / "l", training=replace(training, updates=9))
    assert (rest.resumed, rest.report.update) == (True, 9)
    assert not (files / "l.training").exists()


def test_a_damaged_or_other_state_is_told(files: Path) -> None:
    training = replace(QUICK, updates=8, check_every=2)
    train_learner([files / "arms.npi"], out=files / "l", training=training, stop=lambda: True)
    with pytest.raises(CheckpointError, match="other settings"):
        train_learner([files / "arms.npi"], out=files / "l", training=replace(training, batch=8))
    state = files / "l.training" / "checkpoint.safetensors"
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="--fresh"):
        train_learner([files / "arms.npi"], out=files / "l", training=training)
    assert train_learner([files / "arms.npi"], out=files / "l", training=training, fresh=True).ended


def test_a_loss_that_is_no_number_is_told(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OnPolicy, "loss", lambda self, unrolled, *more: unrolled["value"].sum() * float("nan"))
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        train_learner([files / "arms.npi"], out=files / "l", training=QUICK)


def test_an_optimiser_step_is_the_sum_over_worlds(files: Path) -> None:
    """Two worlds, one of two segments and one of one: both are in the first step, one in the second."""
    (files / "three.npi").write_text((files / "three.npi").read_text().replace("over 20", "over 10"))
    tasks = [task for name in ("arms", "three") for task in training_tasks(load(files / f"{name}.npi"))]
    worlds = [task.world.spec for task in tasks]
    core = LEARNER.core(LEARNER.config(), worlds[:1], generator=torch.Generator().manual_seed(0))
    training = replace(QUICK, truncation=10, batch=4)
    objective = LEARNER.objective(core, torch.zeros(2, 4), Problems(tuple(tasks), (0, 1)), training)
    reached = []
    for losses in objective.losses(0, ALONE):
        grads = [torch.autograd.grad(loss.value, objective.rows_NP)[0].abs().sum(1) > 0 for loss in losses]
        reached.append([grad.tolist() for grad in grads])
    assert reached == [[[True, False], [False, True]], [[True, False]]]


def test_rows_side_by_side_are_judged_apart(files: Path) -> None:
    (task,) = training_tasks(load(files / "arms.npi"))
    core = LEARNER.core(LEARNER.config(), [task.world.spec], generator=torch.Generator().manual_seed(0))
    row_P = torch.randn(4, generator=torch.Generator().manual_seed(1))
    rows_NP = torch.stack([row_P, -row_P, row_P])
    objective = LEARNER.objective(core, rows_NP, Problems((task,), (0,), copies=3), QUICK)
    first, other, again = objective.row_scores(5, 64).tolist()
    assert first == again != other


# --- rows ------------------------------------------------------------------------------------------------------------


def test_a_new_row_changes_nothing_else(trained: Path, files: Path) -> None:
    found = learn_into(trained, [files / "medium.npi"], out=files / "more")
    assert found.unchanged
    assert found.rows == ("medium.MEDIUM",)
    assert found.scores["medium.MEDIUM"].learned >= found.scores["medium.MEDIUM"].mean - 1
    before, after = Library.open(trained), Library.open(files / "more")
    assert after.core.digest() == before.core.digest()
    assert torch.equal(after.memory.embeddings_NP[:1], before.memory.embeddings_NP)
    programs, task = before.task("easy")
    old, new = (next(iter(evaluated(one, programs, task, count=50))).episodes for one in (before, after))
    assert torch.equal(old.scores["reward"], new.scores["reward"])
    with pytest.raises(LibraryError, match="has all of these programs already"):
        learn_into(files / "more", [files / "medium.npi"])


def test_rows_go_from_library_to_library(trained: Path, files: Path) -> None:
    learn_into(trained, [files / "medium.npi"], out=files / "more")
    pack(Library.open(files / "more"), ["medium.MEDIUM"]).save(files / "medium.rows")
    other = Library.open(trained)
    added = add(other, [RowFile.open(files / "medium.rows")])
    assert "medium.MEDIUM" in {info.name for info in added.library.memory.infos}
    train_learner([files / "arms.npi"], out=files / "third", training=replace(QUICK, updates=1, seed=3))
    with pytest.raises(LibraryError, match="for another core"):
        add(Library.open(files / "third"), [RowFile.open(files / "medium.rows")])


def test_worlds_that_a_core_never_saw_are_refused(trained: Path, files: Path) -> None:
    with pytest.raises(ValueError, match="has never seen world arms"):
        learn_into(trained, [files / "three.npi"])


# --- on the machine --------------------------------------------------------------------------------------------------


def test_the_machine_does_what_a_rollout_does(trained: Path) -> None:
    library = Library.open(trained)
    programs, task = library.task("easy")
    played = next(iter(evaluated(library, programs, task, count=20)))
    state = programs.world.reset([p.layout for p in played.problems])
    first = torch.tensor([p.program for p in played.problems])
    outcome = run(
        library.stepper(programs.table), programs.world, state, programs.table, first, torch.zeros(20, 3).long()
    )
    assert outcome.steps_N.tolist() == [21] * 20
    pulled = [reading["LAST"] for reading in outcome.read(programs.world)]
    assert pulled == [[int(token)] for token in calls(played.episodes)[-1, :, 1]]


def test_random_actions_follow_the_seed(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a core draws its actions, the machine's seed says which; without a seed it takes the likeliest."""
    monkeypatch.setattr(TinyCore, "samples", True)
    library = Library.open(trained)
    programs, task = library.task("easy")
    for parameter in library.core.net.head.parameters():
        torch.nn.init.zeros_(parameter)  # every arm is as likely
    stepper, arguments_B3 = library.stepper(programs.table), torch.zeros(50, 3).long()

    def pulled(seed: int | None) -> list[list[int]]:
        state = programs.world.reset([{"EPISODE": [1]}] * 50)
        first_B = torch.full((50,), task.program)
        outcome = run(stepper, programs.world, state, programs.table, first_B, arguments_B3, seed=seed)
        return [reading["LAST"] for reading in outcome.read(programs.world)]

    likeliest, one, again, other = (pulled(seed) for seed in (None, 1, 1, 2))
    assert likeliest == [likeliest[0]] * 50
    assert one == again != other
    assert len({tuple(last) for last in one}) == 2
    lucky = loads(ARMS + LUCKY)
    scores = [next(score_sizes(stepper, lucky, lucky.task("lucky"), name="l", sizes=[8], seed=s)) for s in (1, 1, 2)]
    assert scores[0].right == scores[1].right != scores[2].right
    assert all(300 < score.right < 700 for score in scores), "one of two arms, of 1,000 episodes"


def test_programs_with_bodies_call_what_was_learned(trained: Path, files: Path, capsys: Any) -> None:
    visit, out = str(files / "visit.npi"), str(files / "visits")
    assert main(["train", visit, "--out", out]) == 2
    assert "nothing that was learned runs it here" in capsys.readouterr().err
    assert main(["train", visit, "--out", out, "--host", str(trained), "--certify"]) == 0
    library = Library.open(out)
    assert [info.name for info in library.memory.infos if not info.primitive] == [
        "arms.EASY", "visit.VISIT", "visit.AGAIN",
    ]  # fmt: skip
    assert main(["eval", "visit", "--library", out, "--count", "200", "--json"]) == 0
    capsys.readouterr()
    assert main(["run", "visit", "123456789", "--library", out, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["right"]
    certificate = str(files / "visit.certificate")
    assert main(["certify", "--library", out, "--out", certificate]) == 0
    assert main(["certify", "--library", out, "--check", certificate]) == 0
    assert main(["certify", "EASY", "--library", out]) == 2
    assert "learned from a signal" in capsys.readouterr().err
    proved = Certificate.open(certificate)
    (file,) = proved.files
    visited = next(program for program in file.programs if program.name == "visit.VISIT")
    for left_out in range(len(visited.configurations)):  # any answer of EASY is covered, also one that it never gives
        kept = [place for place in range(len(visited.configurations)) if place != left_out]
        less = replace(visited, configurations=visited.configurations[kept])
        programs = tuple(less if program is visited else program for program in file.programs)
        findings = check(replace(proved, files=(replace(file, programs=programs),)), library)
        assert [finding.program for finding in findings if finding.fault] == ["visit.VISIT"]
    (host,) = Path(out).glob("host-*")
    part = next(host.glob("core-*"))
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(LibraryError, match="changed or cut off"):
        Library.open(out)


def test_a_universal_core_learns_programs_that_call_what_was_learned(trained: Path, files: Path, capsys: Any) -> None:
    """Its rows are read off the text and proved, whatever the program that they call does."""
    visit, out = str(files / "visit.npi"), str(files / "universal")
    assert main(["learn", visit, "--library", out]) == 2
    assert "nothing that was learned runs it here" in capsys.readouterr().err
    assert main(["learn", visit, "--library", out, "--host", str(trained)]) == 0
    library = Library.open(out)
    assert [info.name for info in library.memory.infos] == ["visit.VISIT", "visit.AGAIN"]
    assert main(["certify", "--library", out]) == 0
    (score,) = document(capsys, "eval", "visit", "--library", out, "--count", "100")
    assert score["right"] == 100  # type: ignore[index]
    pack(library, ["visit.VISIT"]).save(files / "visit.rows")
    packed = RowFile.open(files / "visit.rows")
    with pytest.raises(LibraryError, match=r"names what is not here \(arms\.EASY\)"):
        add(Library.open(SHIPPED), [packed])
    shipped = Library.open(SHIPPED)
    shipped.hosts.append(Library.open(trained))
    for other in (add(shipped, [packed]), merge(Library.open(SHIPPED), library), merge(library, shipped)):
        programs, task = other.library.task("visit")
        problems = task.draw(9, 20, generator=torch.Generator().manual_seed(0), spread=False)
        assert solve(other.library.stepper(programs.table), programs, task, problems).count == 20
        assert len(other.library.hosts) == 1


def test_hosts_that_would_stand_for_each_other_are_refused(trained: Path, files: Path) -> None:
    train_learner([files / "arms.npi"], out=files / "other", training=replace(QUICK, updates=1, seed=3))
    learn_into(trained, [files / "medium.npi"], config=replace(QUICK, updates=1), out=files / "more")
    host, other, more = map(Library.open, (trained, files / "other", files / "more"))
    assert joined([host], [host]) == [host]
    assert joined([host], [more]) == [host, more]
    assert joined([more], [host]) == [more]
    with pytest.raises(LibraryError, match=r"different rows of arms\.EASY"):
        joined([host], [other])


# --- the command line ------------------------------------------------------------------------------------------------


def test_the_same_verbs_serve_learners(trained: Path, files: Path, capsys: Any) -> None:
    out = str(files / "library")
    words = ["train", str(files / "arms.npi"), "--out", out, "--updates", "3", "--set", "batch=8", "--set", "hidden=5"]
    made = document(capsys, *words)
    assert (made["updates"], made["interrupted"]) == (3, False)
    assert Library.open(out).core.config.to_json()["hidden"] == 5
    more = str(files / "more")
    learned = document(
        capsys, "learn", str(files / "medium.npi"), "--library", str(trained), "--out", more, "--updates", "2"
    )
    assert learned["unchanged"]
    assert learned["rows"] == ["medium.MEDIUM"]
    (score,) = document(capsys, "eval", "medium", "--library", more, "--count", "30")
    assert (score["task"], score["count"], score["right"]) == ("medium.medium", 30, 30)  # type: ignore[index]
    assert document(capsys, "run", "medium", "7", "--library", more)["right"]
    assert main(["library", "list", more]) == 0
    assert "medium.MEDIUM" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--set", "help"], "settings of 'tiny', with their usual values: row=4, hidden=16; seed=0"),
        (["--set", "hiden=3"], "no setting 'hiden'"),
        (["--set", "updates"], "write NAME=VALUE"),
        (["--set", "updates=many"], "updates is a whole number"),
        (["--updates", "0"], "greater than or equal to 1"),
        (["--set", "row=1000000000"], "core setting row must be at least 1 and at most 16384, it is 1000000000"),
        (["--set", "batch=100000000"], "batch must be at least 1 and at most 1000000"),
    ],
)
def test_wrong_settings_are_told(files: Path, capsys: Any, words: list[str], told: str) -> None:
    assert main(["train", str(files / "arms.npi"), "--out", str(files / "l"), *words]) == 2
    assert told in " ".join(capsys.readouterr().err.split())


def test_what_cannot_be_is_refused(trained: Path, files: Path, capsys: Any) -> None:
    adding = "programs/addition.npi"
    for words, told in (
        (["train", str(files / "arms.npi"), adding, "--out", str(files / "l")], "train them one after the other"),
        (["learn", adding, "--library", str(trained)], "learner"),
        (["certify", "--library", str(trained)], "signal"),
        (["compile", "--library", str(trained), "--out", str(files / "c")], "cannot be compiled"),
        (["train", adding, "--set", "hidden=3"], "--set does not apply to programs with bodies"),
    ):
        assert main(words) == 2, words
        assert told in capsys.readouterr().err, words
