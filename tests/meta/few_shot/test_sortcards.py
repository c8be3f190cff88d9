"""A program with a body that calls a learned one: cards are read, and what was read is sorted."""

import torch

from dsl import load
from dsl.teacher import shown_by
from envs.images.world import Images
from envs.spec import SLOTS
from meta.few_shot.core import FewShotCore
from meta.few_shot.network import FewShotConfig
from npi.jobs.learners import new_library
from npi.learners.core import LearnerProgramCore
from npi.learners.interface import TaskInput
from npi.learners.tasks import training_tasks
from npi.library.operations import hosting
from npi.running.evaluate import run_problems
from tests.support.paths import ROOT
from traces.machine.outcome import Status

TOOLS = ROOT / "programs" / "tools"


def test_cards_are_sorted_by_what_an_untrained_reader_says() -> None:
    """Second way: its network names all cards of a list at once, and Python sorts that. An episode is encoded once."""
    programs = load(TOOLS / "readcard.npi")
    reader = new_library(FewShotConfig(row=4, channels=8, set_hidden=8), training_tasks(programs), [programs], seed=1)
    assert isinstance(reader.core, LearnerProgramCore)
    net, cards = reader.core.net, programs.world
    assert isinstance(net, FewShotCore)
    assert isinstance(cards, Images)
    begun: list[int] = []
    begin = net.begin

    def counted(task, given=None):
        begun.append(len(task.row_BP))
        return begin(task, given)

    net.begin = counted  # type: ignore[method-assign]
    sorter = hosting(load(TOOLS / "sortcards.npi"), [reader])
    task = sorter.task("unseen")
    problems = task.draw(6, 5, generator=torch.Generator().manual_seed(0), spread=False)
    numbers = [tuple(problem.layout["EPISODE"]) for problem in problems]
    assert len({*numbers}) == len(problems)  # each has an episode of its own
    outcome = run_problems(shown_by(sorter), sorter, problems)
    readings = outcome.read(sorter.world)
    assert sum(begun) == len(problems)

    layouts = [{name: problem.layout[name] for name in ("EPISODE", "SPLIT", "PICTURES")} for problem in problems]
    episodes = cards.demonstrate(layouts, generator=torch.Generator())
    none_B3 = torch.zeros(len(problems), SLOTS, dtype=torch.int64)
    asked = TaskInput(cards.spec, 0, reader.memory.embeddings_NP.detach()[:1].expand(len(problems), -1), none_B3)
    with torch.no_grad():
        said_BT = net.unroll(asked, episodes, begin(asked, episodes.seen[0]))["log_BW"].argmax(2).T.tolist()
    wrong = 0
    for reading, said, status in zip(readings, said_BT, outcome.status_N.tolist(), strict=True):
        assert status == Status.DONE
        assert list(reading["ANSWERS"]) == said
        assert list(reading["A"]) == sorted(said)
        wrong += list(reading["LABELS"]) != said
    assert wrong > 0  # else nothing would tell what is read from what is right
