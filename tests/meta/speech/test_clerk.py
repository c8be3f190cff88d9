"""Three learned tools under one program: a card is read, experiments answer what it asks, a voice says the answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dsl import load, loads
from dsl.program import ProgramSet
from dsl.teacher import shown_by
from envs.speech import utterances
from meta.few_shot.network import FewShotConfig
from meta.reinforcement.network import MetaRLConfig
from meta.speech.wavenet import WaveNetConfig
from npi.jobs.learners import new_library
from npi.learners.interface import LearnerConfig
from npi.learners.tasks import training_tasks
from npi.library.library import Library
from npi.library.operations import hosting
from npi.running.runs import Run, run_once
from tests.meta.speech.test_announce import NET, alone, read
from tests.support.paths import ROOT
from tests.support.tiny_drawings import tiny_drawings
from traces.recording.text import call_text

TOOLS = ROOT / "programs" / "tools"

QUESTIONS = ("HEAVIEST", "SECOND", "THIRD", "LIGHTEST")


def chance(config: LearnerConfig, programs: ProgramSet, seed: int) -> Library:
    return new_library(config, training_tasks(programs), [programs], seed=seed)


@pytest.fixture(scope="module")
def voice() -> Library:
    assert isinstance(NET, WaveNetConfig)
    return chance(NET, load(TOOLS / "say.npi"), 1)


@pytest.fixture(scope="module")
def office(voice: Library) -> ProgramSet:
    reader = chance(FewShotConfig(row=4, channels=8, set_hidden=8), load(TOOLS / "readplace.npi"), 2)
    experimenter = chance(MetaRLConfig(hidden=8), load(TOOLS / "ranks.npi"), 3)
    return hosting(load(TOOLS / "clerk.npi"), [reader, experimenter, voice])


def run(office: ProgramSet, cards: int, episode: int) -> Run:
    """With experiments that are drawn, so that an answer comes sooner or later, or never."""
    task = office.task("clerk")
    problem = task.problem({"episode": episode, "cards": cards})
    return run_once(shown_by(office), office, task, problem, seed=episode)


def calls(found: Run) -> list[tuple[str, str]]:
    """Names of callees and their arguments, in order; returns left out."""
    texts = [call_text(found.trace.table, event.call) for event in found.events if event.call[0] >= 0]
    return [(name, rest.rstrip(")")) for name, _, rest in (text.partition("(") for text in texts)]


def test_each_card_asks_its_question_and_the_answer_is_said(
    office: ProgramSet, voice: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the calls: what was read chooses the question; the answer is the word, whose sound is the voice's own."""
    monkeypatch.setattr(utterances, "word_frames", read)
    drawn = tiny_drawings(dict.fromkeys((f"a{n}" for n in range(10)), 5), size=64)
    monkeypatch.setattr("envs.images.world.drawings", lambda *given: drawn)
    asked = set()
    for episode in range(2):
        found = run(office, 3, episode)
        assert found.right
        made = calls(found)
        starts = [place for place, (name, _) in enumerate(made) if name == "READ"]
        assert len(starts) == 3
        for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(made)], strict=True)):
            card = made[start:end]
            ((_, label),) = [call for call in card if call[0] == "LABEL"]
            (question,) = [name for name, _ in card if name in QUESTIONS]
            answers = [said for name, said in card if name == "ANSWER"]
            ((_, word),) = [call for call in card if call[0] == "WORD"]
            assert question == QUESTIONS[int(label) - 1]
            assert word == (answers[-1] if answers else "0")
            assert found.reading["ANSWERS"][number] == int(label) - 1
            assert found.reading["SPOKEN"][number] == int(word)
            asked.add(question)
        (speech,) = found.heard
        wanted = np.concatenate([alone(voice, "say.SAY", word, episode) for word in speech.text.split()])
        assert speech.sound.sample_T.tobytes() == wanted.tobytes()
    assert len(asked) > 1


def test_the_task_of_one_card_is_judged_by_its_label(office: ProgramSet) -> None:
    task = office.task("question")
    problem = task.problem({"episode": 7})
    order = torch.tensor([2, 0, 3, 1])  # blocks from 0, the heaviest first
    for label in range(4):
        reading = {"ORDER": order.tolist(), "LABELS": [label], "SPOKEN": [1 + int(order[label])]}
        assert task.judge(problem, reading)
        assert not task.judge(problem, {**reading, "SPOKEN": [1 + int(order[(label + 1) % 4])]})


def test_a_cell_is_an_argument_of_other_worlds_by_its_value() -> None:
    """A pointer's name is its cell where a primitive takes symbols; in ACT it stays the pointer."""
    text = (
        "world pad is scratchpad:\n    row OUT of digit at left\n\nworld booth is utterances(words: digits)\n\n"
        "world desk joins pad, booth\n\nprogram SPEAK:\n    while OUT:\n        WORD(OUT)\n        SOUND\n"
        "        ACT(OUT, RIGHT)\n\ntask speak(a: number):\n    OUT = digits(a)\n    run SPEAK\n"
        "    expect SPOKEN == digits(a)\n    train a of 1..4 digits\n    test a of 8\n"
    )
    programs = loads(text)
    task = programs.task("speak")
    found = run_once(shown_by(programs), programs, task, task.problem({"a": 4071}))
    assert (found.right, found.reading["SPOKEN"]) == (True, [4, 0, 7, 1])
