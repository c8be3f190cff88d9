"""What a core holds likely along a run: bars by hand, a line for each action, and nothing where nothing concludes."""

from dataclasses import replace

import torch

from dsl import load, loads
from envs.physics.blocks import Blocks
from meta.reinforcement.config import MetaRLConfig
from npi.jobs.learners import new_library
from npi.learners.beliefs import beliefs, line
from npi.learners.tasks import training_tasks
from npi.library.library import Library
from npi.running.run_page import takes_of
from npi.running.runs import Run, run_once
from tests.support.paths import PROGRAMS
from traces.viewing.states import TextStates

HEAVIER = PROGRAMS / "learning" / "heavier.npi"

ARMS = """world arms is bandit(arms: 2)

program EXPLORE "Find the better arm":
    maximise reward over 3 steps
    core "meta-rl"

task explore:
    run EXPLORE
    expect TRIAL == [3]
    train
    test
"""


def untrained(programs) -> Library:
    return new_library(MetaRLConfig(hidden=8), training_tasks(programs), [programs], seed=3)


def run_of(programs, library: Library, task: str) -> tuple[Run, tuple[str, ...]]:
    stepper, found = library.stepper(programs.table), programs.task(task)
    problem = found.parse(["12345678"])
    return run_once(stepper, programs, found, problem), beliefs(stepper, programs, problem)


def test_bars_are_shares_among_the_calls_that_conclude() -> None:
    spec = Blocks("table", {}).spec
    call_A4 = torch.tensor([[1, 1, 0, 0], [1, 2, 0, 0], [1, 3, 0, 0]])
    found = line(spec, call_A4, torch.tensor([0.1, 0.05, 0.05]))
    assert found == "1 ▄  2 ▂  3 ▂  goes on 80 %"
    assert line(spec, call_A4, torch.zeros(3)) == "1    2    3    goes on 100 %"


def test_there_is_a_line_before_each_action_of_a_run() -> None:
    programs = load(HEAVIER)
    run, lines = run_of(programs, untrained(programs), "patient3")
    actions = sum(event.call[0] >= 0 for event in run.events)
    assert len(lines) == actions > 0
    assert all(text.startswith("1 ") and text.endswith(" %") for text in lines)


def test_a_page_shows_them_with_the_states() -> None:
    programs = load(HEAVIER)
    run, _ = run_of(programs, untrained(programs), "patient3")
    (take,), notes = takes_of(replace(run, beside=("before the first", "before the second")))
    assert notes == []
    assert isinstance(take.states, TextStates)
    assert take.states.texts[take.states.lines[-1]] == "before the first"
    assert ("before the second" in take.states.texts) == (run.steps > 2)


def test_worlds_in_which_nothing_concludes_have_none() -> None:
    programs = loads(ARMS, path="arms.npi")
    assert run_of(programs, untrained(programs), "explore")[1] == ()
