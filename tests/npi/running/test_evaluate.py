"""Results are judged by plain Python, and a run that does not end counts as wrong."""

import torch

from dsl import compile_teacher
from envs.spec import RETURN
from envs.stepper import Action, Decision
from npi.running import evaluate as module
from npi.running.evaluate import (
    Solved,
    bounded_budget,
    problem_counts,
    run_problems,
    score_sizes,
    solve,
    solve_bounded,
    validation_seed,
)
from npi.running.evaluate import test_seed as seed_of_tests
from tests.support.tiny import plain_end, strip, trained, turn
from traces.machine.lockstep import Budget, Status
from traces.machine.stopped import WATCHED


class Endless:
    """Calls MOVE(RIGHT) for ever, in every frame but MOVE's own."""

    width, dtype = 1, torch.int64

    def __init__(self) -> None:
        self.steps = 0
        self.move = [strip().table.id("MOVE"), strip().world.spec.token("RIGHT"), 0, 0]

    def step(self, seen, program_B, arguments_B3, hidden_BH, *, ended_B=None, draw=None) -> Decision:
        self.steps += 1
        call = torch.tensor(self.move).repeat(len(program_B), 1)
        call[program_B == self.move[0]] = torch.tensor([RETURN, 0, 0, 0])
        return Decision(Action(call), hidden_BH)


class Lazy(Endless):
    """Returns at once."""

    def step(self, seen, program_B, arguments_B3, hidden_BH, *, ended_B=None, draw=None) -> Decision:
        return Decision(Action(torch.tensor([[RETURN, 0, 0, 0]]).repeat(len(program_B), 1)), hidden_BH)


def problems(task, size: int, count: int, seed: int = 7):
    return task.draw(size, count, generator=torch.Generator().manual_seed(seed), spread=False)


def plain_steps(items: tuple[int, ...]) -> int:
    """Calls and returns of BOTH, counted by running it in plain Python."""
    at, steps = 0, 0

    def move(by: int) -> None:
        nonlocal at, steps
        at += by
        steps += 3  # MOVE, ACT, MOVE's return

    def scan() -> None:
        nonlocal steps
        while at < len(items) - 1:
            move(1)
        steps += 2

    def home() -> None:
        nonlocal steps
        while at > 0:
            move(-1)
        steps += 2

    home(), scan(), home()
    steps += 2  # ROUND
    scan(), home()
    steps += 2  # STAY
    while items[at] != 0 and at < len(items) - 1:
        move(1)
    return steps + 2 + 1  # ZERO, and BOTH's own return


def test_runs_are_judged_as_plain_python_does() -> None:
    """A library one of whose programs was replaced, so that some results are wrong."""
    library, task = trained(), strip().tasks[0]
    zero, scan = library.memory.index("strip.ZERO"), library.memory.index("strip.SCAN")
    found = [p for size in (1, 2, 3) for p in problems(task, size, 40)]
    stepper = library.stepper(strip().table)
    assert solve(stepper, strip(), task, found).right == (True,) * 120
    assert solve(stepper, strip(), task, found).steps == tuple(plain_steps(p.values["items"]) for p in found)
    with torch.no_grad():
        for numbers in (library.memory.embeddings_NP, library.memory.gates_NF):
            numbers[zero] = numbers[scan]
    solved = solve(library.stepper(strip().table), strip(), task, found)
    assert solved.status == (Status.DONE,) * 120
    right = [
        plain_end(p.values["items"], "both")[1] == len(p.values["items"]) - 1 or p.values["items"][-1] == 0
        for p in found
    ]
    assert list(solved.right) == right
    assert 0 < solved.count == sum(right) < 120


def test_a_result_that_is_right_by_chance_counts_only_where_the_run_ended() -> None:
    """In a list of one item the pointer is at the end from the start."""
    task = turn().tasks[0]
    found = problems(task, 1, 5)
    endless = solve(Endless(), turn(), task, found, budget=Budget(steps=50))
    assert endless == Solved((False,) * 5, (Status.STEPS,) * 5, (50,) * 5)
    assert solve(Lazy(), turn(), task, found) == Solved((True,) * 5, (Status.DONE,) * 5, (1,) * 5)
    assert solve(Lazy(), turn(), task, problems(task, 2, 5)).right == (False,) * 5


def test_a_run_that_does_not_end_is_wrong_and_does_not_hang(monkeypatch) -> None:
    """The budget follows from the teacher: a few hundred steps, not ten million."""
    task, stepper = turn().tasks[0], Endless()
    found = solve_bounded(stepper, turn(), task, problems(task, 3, 4), free=100)
    assert found.right == (False,) * 4
    assert set(found.status) == {Status.STEPS}
    assert stepper.steps < 300
    monkeypatch.setattr(module, "FREE_STEPS", 1000)
    stepper = Endless()
    (score,) = score_sizes(stepper, turn(), task, name="turn.turn", sizes=[2], seed=0, count=lambda size: 3)
    assert (score.right, score.count, score.accuracy, score.steps) == (0, 3, 0.0, 1000)
    assert stepper.steps == 1000 + WATCHED // 10  # and on, to see which program does not end


def test_what_takes_long_because_it_must_is_not_cut_off() -> None:
    """With hardly any free steps, every run is taken up again with the teacher's budget, and comes out right."""
    task, teacher = strip().tasks[0], compile_teacher(strip())
    found = problems(task, 2, 3) + problems(task, 9, 3)
    whole = solve(teacher, strip(), task, found)
    assert solve_bounded(teacher, strip(), task, found, free=1) == whole
    between = sorted(whole.steps)[2] + 20
    assert min(whole.steps) < between < max(whole.steps)
    assert solve_bounded(teacher, strip(), task, found, free=between) == whole
    assert whole.count == 6


def test_a_budget_leaves_a_right_run_room() -> None:
    assert bounded_budget([5, 90, 7]) == Budget(steps=106)


def test_batches_of_any_size_give_the_same(monkeypatch) -> None:
    task, stepper = strip().tasks[0], trained().stepper(strip().table)
    found = [p for size in (5, 1, 3) for p in problems(task, size, 5)]
    whole = solve(stepper, strip(), task, found)
    sizes = []

    def counted(*args, **settings):
        sizes.append(len(args[2]))
        return run_problems(*args, **settings)

    monkeypatch.setattr(module, "MAX_BATCH", 4)
    monkeypatch.setattr(module, "run_problems", counted)
    assert solve(stepper, strip(), task, found) == whole
    assert sizes == [4, 4, 4, 3]


def test_scores_by_size() -> None:
    task, stepper = strip().tasks[0], trained().stepper(strip().table)
    asked = []

    def count(size: int) -> int:
        asked.append(size)
        return 10 * size

    scores = list(score_sizes(stepper, strip(), task, name="strip.both", sizes=[3, 9], seed=1, count=count))
    assert asked == [3, 9]
    assert [(s.task, s.size, s.trained, s.right, s.count, s.accuracy) for s in scores] == [
        ("strip.both", 3, True, 30, 30, 1.0),
        ("strip.both", 9, False, 90, 90, 1.0),
    ]
    generator = torch.Generator().manual_seed(seed_of_tests(1, "strip.both", 9))
    drawn = task.draw(9, 90, generator=generator, spread=False)
    assert scores[1].steps == sum(plain_steps(p.values["items"]) for p in drawn) / 90
    again = list(score_sizes(stepper, strip(), task, name="strip.both", sizes=[9], seed=1, count=count))
    assert again[0].steps == scores[1].steps
    other = list(score_sizes(stepper, strip(), task, name="strip.both", sizes=[9], seed=2, count=count))
    assert other[0].steps != scores[1].steps


def test_how_many_problems_of_a_size() -> None:
    assert [problem_counts(s) for s in (1, 20, 21, 100, 101, 200, 201, 1000, 1001, 10**5)] == [
        1000, 1000, 100, 100, 20, 20, 10, 10, 3, 3
    ]  # fmt: skip


def test_seeds_of_tests_and_validation_never_meet() -> None:
    seeds = [seed_of_tests(s, name, size) for s in range(3) for name in ("a.x", "a.y") for size in range(5)]
    seeds += [
        validation_seed(s, d, task, turn)
        for s in range(3)
        for d in ("f0", "f1")
        for task in (0, 1)
        for turn in range(5)
    ]
    assert len(set(seeds)) == len(seeds) == 90
    assert min(seeds) >= 0
    assert max(seeds) < 2**63
    assert seed_of_tests(0, "add", 10) == seed_of_tests(0, "add", 10)
