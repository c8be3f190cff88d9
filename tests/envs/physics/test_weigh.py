"""The program that sorts blocks by asking, with scripted experiments in place of learned ones: the order is right where
the answers are, and what is written down are the answers where they are not."""

from itertools import permutations

import pytest
import torch

from dsl import load, loads
from dsl.program import ProgramSet
from dsl.teacher import shown_by
from envs.physics.blocks import ANSWER, POKE
from envs.physics.questions import RightAnswers, questions
from envs.spec import RETURN, SLOTS
from envs.stepper import Action, Decision, Draw, Observation
from meta.reinforcement.config import MetaRLConfig
from meta.reinforcement.program_files.block_questions import program_file, training_questions
from npi.jobs.learners import new_library
from npi.learners.tasks import learner_for, training_tasks
from npi.library.operations import hosting
from npi.running.evaluate import run_problems
from tests.support.paths import PROGRAMS
from traces.machine.lockstep import Status

QUESTIONS = ("ranks.HEAVIEST", "ranks.SECOND", "ranks.THIRD", "ranks.LIGHTEST")


class Scripted:
    """Pokes all four blocks and answers by their heights, then returns (implements ``Stepper``).

    Args:
        places: for each question in order, the place by mass that it answers for.
    """

    width, dtype = 5, torch.float32  # the steps so far, and the height of each block after its poke

    def __init__(self, programs: ProgramSet, places: tuple[int, ...]) -> None:
        spec = programs.world.spec
        self.token_N = torch.tensor([spec.token(str(1 + n)) for n in range(4)])
        self.place_N = torch.zeros(len(programs.table), dtype=torch.int64)
        self.place_N[[programs.table.id(name) for name in QUESTIONS]] = torch.tensor(places)

    def step(
        self,
        seen: Observation,
        program_B: torch.Tensor,
        arguments_B3: torch.Tensor,
        hidden_BH: torch.Tensor,
        *,
        ended_B: torch.Tensor | None = None,
        draw: Draw | None = None,
    ) -> Decision:
        count_B, after_BH = hidden_BH[:, 0].long(), hidden_BH.clone()
        height_BN = seen.channels["heights"]
        assert isinstance(height_BN, torch.Tensor)
        poked_BN = torch.arange(4) == count_B[:, None] - 1
        after_BH[:, 1:] = torch.where(poked_BN, height_BN, hidden_BH[:, 1:])
        order_BN = after_BH[:, 1:].argsort(dim=1)  # the heaviest rises least
        answer_B = order_BN.gather(1, self.place_N[program_B][:, None])[:, 0]
        block_B = torch.where(count_B < 4, count_B.clamp(max=3), answer_B)
        call_B4 = torch.zeros(len(count_B), 1 + SLOTS, dtype=torch.int64)
        call_B4[:, 0] = torch.where(count_B < 4, POKE, torch.where(count_B == 4, ANSWER, RETURN))
        call_B4[:, 1] = torch.where(count_B <= 4, self.token_N[block_B], 0)
        after_BH[:, 0] += 1
        return Decision(Action(call_B4), after_BH)


@pytest.mark.parametrize("places", [(0, 1, 2, 3), (1, 0, 2, 3), (3, 3, 2, 0)])
def test_the_order_is_right_where_the_answers_are(places: tuple[int, ...]) -> None:
    programs = load(PROGRAMS / "tools" / "weigh.npi")
    hosted = programs.hosting(Scripted(programs, places))
    task = hosted.task("weigh")
    problems = task.draw(9, 20, generator=torch.Generator().manual_seed(2), spread=False)
    outcome = run_problems(shown_by(hosted), hosted, problems)
    assert outcome.status_N.tolist() == [Status.DONE] * 20
    row = hosted.world.spec.field("P")
    for problem, reading in zip(problems, outcome.read(hosted.world), strict=True):
        names = [hosted.world.spec.fields[row].values[symbol] for symbol in reading["A"]]
        order = [str(1 + block) for block in reading["ORDER"]]
        assert names == [order[place] for place in places]
        assert task.judge(problem, reading) == (places == (0, 1, 2, 3))


def test_an_untrained_core_is_asked_by_the_program_and_makes_all_of_its_calls() -> None:
    """Red where primitives of setup, which learners do not call, keep a core from serving a part of joined worlds."""
    ranks = load(PROGRAMS / "tools" / "ranks.npi")
    library = new_library(MetaRLConfig(hidden=8, row=4), training_tasks(ranks), [ranks], seed=0)
    hosted = hosting(load(PROGRAMS / "tools" / "weigh.npi"), [library])
    problems = hosted.task("weigh").draw(9, 6, generator=torch.Generator().manual_seed(2), spread=False)
    outcome = run_problems(shown_by(hosted), hosted, problems)
    assert outcome.status_N.tolist() == [Status.DONE] * 6
    readings = outcome.read(hosted.world)
    assert all(sorted(reading["ORDER"]) == [0, 1, 2, 3] for reading in readings)
    assert all(len(reading["A"]) <= 4 for reading in readings)


def test_questions_of_training_leave_out_those_that_are_held_out() -> None:
    asked = [question.name for question in training_questions()]
    programs = loads(program_file(training_questions()), path="questions.npi")
    assert len(asked) == len(set(asked)) == len(programs.signals) == len(programs.tasks) == 47
    learner_for(programs)


def test_no_question_of_training_is_a_held_out_one_by_another_name() -> None:
    """By the answers to all orders of the masses: such as heaviest of 1 2, which is place of 1 among 1 2."""
    order_BN = torch.tensor(list(permutations([0.3, 0.5, 0.8, 1.2])))
    right, zero_B = RightAnswers(4, torch.device("cpu")), torch.zeros(24, dtype=torch.int64)
    every = [question.name for question in questions(4)]
    answers = {name: tuple(right(zero_B + n, order_BN, zero_B).tolist()) for n, name in enumerate(every)}
    held = {"lightest", "second heaviest", "third heaviest", "heaviest", "place of 1", "place of 1 among 1 2"}
    assert answers["heaviest of 1 2"] == answers["place of 1 among 1 2"]
    assert not {answers[name] for name in held} & {answers[question.name] for question in training_questions()}
