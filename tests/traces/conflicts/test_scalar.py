"""One pad in plain Python against the pad of tensors, and the teacher on it against the machine."""

import random
import subprocess
import sys
from itertools import product

import numpy as np
import pytest
import torch

import dsl
from envs.scratchpad.config import acts_of
from envs.scratchpad.scalar import SinglePad, plan_of
from envs.scratchpad.world import Scratchpad
from envs.spec import RETURN
from envs.stepper import Action
from tests.support.pads import PADS, random_layout
from tests.support.paths import ROOT
from traces.conflicts.explain import search
from traces.conflicts.scalar_teacher import SingleTeacher, Trouble, try_task


@pytest.mark.parametrize("name", PADS)
def test_what_is_legal_is_what_the_pad_of_tensors_takes(name: str) -> None:
    world, tokens = Scratchpad("w", PADS[name]), range(len(Scratchpad("w", PADS[name]).spec.tokens))
    calls = [(0, *call) for call in product(tokens, tokens, tokens)]
    legal = world.legal(Action(torch.tensor(calls)))
    assert {call[1:] for call, good in zip(calls, legal.tolist(), strict=True) if good} == set(acts_of(PADS[name]))


@pytest.mark.parametrize("name", PADS)
def test_a_single_pad_does_what_a_batch_of_one_does(name: str) -> None:
    config, chooser = PADS[name], random.Random(5)
    plan, world = plan_of(config), Scratchpad("w", config)
    for _ in range(12):
        layout = random_layout(config, chooser)
        single, state = SinglePad(plan, layout), world.reset([layout])
        for _ in range(60):
            assert single.seen == tuple(world.observe(state).fields_BF[0].tolist())
            assert single.read() == world.read(state)[0]
            call = chooser.choice(list(plan.acts))
            single.act(plan.acts[call])
            world.act(state, Action(torch.tensor([[0, *call]])), torch.tensor([True]))


@pytest.mark.parametrize(
    "path", ["addition", "max", "examples/brackets", "examples/binarysearch", "recursive/quicksort"]
)
def test_the_teacher_alone_sees_the_frames_that_the_machine_sees(path: str) -> None:
    programs = dsl.load(ROOT / "programs" / f"{path}.npi")
    task = programs.tasks[0]
    also = task.draw(4, 6, generator=np.random.default_rng(3), spread=True)
    single = try_task(programs, task, also, most=30, decisions=0, steps=5000, depth=10_000)
    machine = search(programs, task, most=30, seconds=0.0, also=also)
    assert (single.problems, single.sizes, single.frames) == (machine.problems, machine.sizes, machine.frames)
    assert single.frames > 5


TEXT = """world list is scratchpad:
    row A of 0..3
    pointer P on A

program GO(d: direction):
    while not last(P):
        ACT(P, d)

task go(items: list of 0..3):
    A = items
    run GO({direction})
    expect at(P) == len(items) - 1 and under(P) != 3
    train items of 1..3
"""


def first_trouble(direction: str) -> dict[str, object]:
    programs = dsl.loads(TEXT.replace("{direction}", direction))
    with pytest.raises(Trouble) as caught:
        try_task(programs, programs.tasks[0], (), most=100, decisions=100, steps=50, depth=10_000)
    return dict(caught.value.problem.values)


def test_the_first_problem_that_goes_wrong_is_named() -> None:
    assert first_trouble("RIGHT") == {"items": (3,)}  # the smallest that ends on a 3
    assert first_trouble("LEFT") == {"items": (3,)}
    assert dsl.loads(TEXT.replace("{direction}", "LEFT")).tasks[0].sizes == (1, 2, 3)


def test_a_run_without_end_is_trouble() -> None:
    text = TEXT.replace("{direction}", "LEFT").replace(" and under(P) != 3", "")
    programs = dsl.loads(text)
    with pytest.raises(Trouble) as caught:
        try_task(programs, programs.tasks[0], (), most=100, decisions=100, steps=50, depth=10_000)
    assert caught.value.problem.values == {"items": (0, 0)}


def test_frames_that_contradict_each_other_are_trouble() -> None:
    """A teacher that changes its mind between two runs of one problem."""
    programs = dsl.loads(TEXT.replace("{direction}", "RIGHT"))
    problem = programs.tasks[0].problem({"items": [0, 1, 2]})
    teacher = SingleTeacher(programs, 10_000)
    assert teacher.run(SinglePad(teacher.plan, problem.layout), problem, 50)
    (kind,) = teacher.kinds.values()
    first = SinglePad(teacher.plan, problem.layout).seen
    assert kind.known[0][first][0] != (RETURN, 0, 0, 0)
    kind.known[0][first] = ((RETURN, 0, 0, 0), 0)
    assert not teacher.run(SinglePad(teacher.plan, problem.layout), problem, 50)


def test_checking_needs_no_torch() -> None:
    """What makes ``npi check`` quick; red where something that it imports imports torch, networkx or rich."""
    script = (
        "import sys\nfrom npi.cli.main import main\n"
        "assert main(['check', *sys.argv[1:]]) == 0\n"
        "heavy = [name for name in ('torch', 'networkx', 'rich', 'matplotlib') if name in sys.modules]\n"
        "assert not heavy, heavy\n"
    )
    files = [str(path) for path in sorted((ROOT / "programs").glob("*.npi")) if not dsl.load(path).world.spec.rendered]
    done = subprocess.run([sys.executable, "-c", script, *files], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
