"""Questions about pictures: answers against plain Python, what is asked of what, and what a core learns by them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pytest
import torch

import dsl
from envs.spec import RETURN
from npi.core.config import CoreConfig, TrainConfig
from npi.jobs.train import new_library
from npi.training.dataset import Dataset
from npi.training.examples import Examples
from npi.training.forced import ForcedStates
from npi.training.frame_objective import FrameObjective
from npi.training.questions import PATIENCE, SETTLED, Questions, Turns
from npi.training.ranks import ALONE, Ranks
from tests.support.forced_states import forced
from tests.support.paths import PROGRAMS
from tests.support.tiny import Steps, objective_on
from traces.generation.generate import record_traces

CORE = CoreConfig(hidden=48, bits=2, row=12, key=8)


@cache
def goto() -> dsl.ProgramSet:
    """The programs of the paper's cars, with one car of small pictures in the world."""
    source = (PROGRAMS / "goto.npi").read_text()
    source = source.replace("seen: 500, unseen: 60, novel: 60", "seen: 3, unseen: 1, novel: 1, pixels: 24")
    return dsl.loads(source.replace("car < 500", "car < 3"))


@cache
def data(traces: int) -> Dataset:
    programs = goto()
    task = programs.task("goto")
    batch = record_traces(programs, task=task.name, traces={1: traces}, seed=5)
    return Dataset.from_batches([batch], programs, name="goto", source=programs.digest)


def objective(traces: int = 12, **changes) -> FrameObjective:
    config = TrainConfig(**({"questions": 7, "examples": 35, "check_every": 1000} | changes))
    return objective_on(new_library(CORE, [data(traces)], seed=1), [data(traces)], config)


def questions(found: FrameObjective) -> Questions:
    ((group,),) = forced(found).questions.values()
    return group


def names(found: FrameObjective) -> list[str]:
    return [info.name.rpartition(".")[2] for info in found.memory.infos]


def by_hand(name: str, azimuth: int, elevation: int, to: int, up: int) -> str:
    """What a program of goto.npi calls first, or next, where this is observed (indices)."""
    way = (to - azimuth) % 24
    return {
        "HGOTO": "LGOTO" if way > 12 else "RGOTO" if way else "",
        "LGOTO": "ACT LEFT" if way else "",
        "RGOTO": "ACT RIGHT" if way else "",
        "VGOTO": "UGOTO" if elevation < up else "DGOTO" if elevation > up else "",
        "UGOTO": "ACT UP" if elevation < up else "",
        "DGOTO": "ACT DOWN" if elevation > up else "",
    }[name]


def said(found: FrameObjective, examples: Examples) -> Iterator[tuple[str, list[int], str]]:
    """Program, observation and call of examples, in words."""
    rows, tokens = names(found), found.core.worlds[0].tokens
    for row, obs, (callee, token, *_) in zip(
        *(column.tolist() for column in (examples.row_E, examples.obs_EF, examples.call_E4)), strict=True
    ):
        call = "" if callee == RETURN else rows[callee] + (f" {tokens[token]}" if token else "")
        yield rows[row], obs, call


def test_every_question_about_every_picture_is_answered_as_by_hand() -> None:
    """Red where a picture, a place or a callee is another's."""
    found = objective()
    group = questions(found)
    U, Q = len(group.picture_UW), len(group.asked)
    every = group.answered(torch.arange(Q).repeat(U), torch.arange(U).repeat_interleave(Q))
    seen = Counter[str]()
    for name, (car, azimuth, elevation, to, up), call in said(found, every):
        assert [car, azimuth, elevation] in group.picture_UW.tolist()
        assert call == by_hand(name, azimuth, elevation, to, up), (name, azimuth, elevation, to, up)
        seen[name] += 1
    assert set(seen) == {"HGOTO", "LGOTO", "RGOTO", "VGOTO", "UGOTO", "DGOTO"}
    goes = every.call_E4[:, 0] != RETURN
    assert ((every.after_E > 0) == goes).all()
    loops = torch.tensor([name in ("LGOTO", "RGOTO", "UGOTO", "DGOTO") for name in names(found)])[every.row_E]
    assert (every.after_E[goes & loops] == 1).all(), "a loop comes back to its own place"


def test_questions_and_pictures_are_those_of_the_examples() -> None:
    """Each example that reads a picture is one of the questions about one of the pictures; no other car is shown."""
    found = objective()
    group, (every,) = questions(found), forced(found).examples.values()
    asked = {(row, code, *obs, *arguments) for row, code, obs, arguments in zip(
        *(c.tolist() for c in (group.asked.row_E, group.asked.code_E, group.asked.obs_EF, group.asked.arguments_E3)),
        strict=True,
    )}  # fmt: skip
    expected, pictures = set(), set()
    for row, code, obs, arguments, reads in zip(
        *(c.tolist() for c in (every.row_E, every.code_E, every.obs_EF, every.arguments_E3)),
        every.seen_EI[:, :3].any(1).tolist(),
        strict=True,
    ):
        if reads:
            expected.add((row, code, 0, 0, 0, *obs[3:], *arguments))
            pictures.add(tuple(obs[:3]))
    assert asked == expected
    assert len(group.asked) == len(expected)
    assert set(map(tuple, group.picture_UW.tolist())) == pictures
    assert {car for car, _, _ in pictures} <= {0, 1, 2}
    rest = every.take((~forced(found).covered_E).nonzero()[:, 0])
    assert {name for name, _, _ in said(found, rest)} == {"GOTO", "HGOTO", "VGOTO"}, "before they return they read none"
    assert not rest.seen_EI[:, :3].any()


def test_a_draw_asks_each_picture_different_questions_of_every_program() -> None:
    group, generator = questions(objective(40)), torch.Generator().manual_seed(3)
    before, seen = torch.random.get_rng_state(), Counter[int]()
    for _ in range(300):
        drawn = group.draw(3, 7, 99, generator=generator)
        assert len(drawn) == 21
        for u in range(3):
            mine = drawn.take(torch.arange(7 * u, 7 * u + 7))
            assert len(mine.obs_EF[:, :3].unique(dim=0)) == 1, "one picture"
            keys = torch.cat([mine.row_E[:, None], mine.code_E[:, None], mine.obs_EF], 1)
            assert len(keys.unique(dim=0)) == 7
        seen.update(drawn.row_E.tolist())
    assert torch.equal(torch.random.get_rng_state(), before)
    size = Counter(group.asked.row_E.tolist())
    few, many = min(size, key=size.__getitem__), max(size, key=size.__getitem__)
    assert size[many] > 3 * size[few]
    assert seen[many] / size[many] < 0.8 * seen[few] / size[few], "a program of few questions is asked them more often"
    assert len(group.draw(2, 10**6, 99, generator=generator)) == 2 * len(group.asked), "all where there are fewer"


def test_without_questions_or_a_text_pictures_are_asked_what_traces_show() -> None:
    none = forced(objective(questions=0))
    assert not none.covered_E.any()
    assert none.questions == {0: []}
    found = objective()
    silent = forced(found)
    find = found.finders[0]
    found.finders = [lambda frames: replace(find(frames), decide=None)]
    silent.use(found._sources())
    assert not silent.covered_E.any()
    ((loss,),) = silent.losses(0, ALONE)
    assert torch.isfinite(loss.value)


def test_ranks_share_the_pictures_of_an_update() -> None:
    """Their losses and gradients add up to those of one process, and each knows what all found wrong."""

    class Two(Ranks):
        """One of two processes, of which the other finds nothing wrong."""

        def sum(self, numbers: torch.Tensor) -> torch.Tensor:
            return numbers

    values = []
    for ranks in (ALONE, Two(0, 2), Two(1, 2)):
        losses = next(iter(forced(objective()).losses(0, ranks)))
        values.append([float(loss.value.detach()) for loss in losses])
    one, first, second = values
    assert len(one) == 2
    assert [a + b for a, b in zip(first, second, strict=True)] == pytest.approx(one, rel=1e-5)
    assert min(first[1], second[1]) > 0.2 * one[1]


def unseen_wrong(found: FrameObjective) -> float:
    """The share of wrong answers about pictures of the traces that the traces do not ask about."""
    asking = objective(12)
    group, (every,) = questions(asking), forced(asking).examples.values()
    U, Q = len(group.picture_UW), len(group.asked)
    asked = group.answered(torch.arange(Q).repeat(U), torch.arange(U).repeat_interleave(Q))
    known = {tuple(row) for row in torch.cat([every.row_E[:, None], every.code_E[:, None], every.obs_EF], 1).tolist()}
    keys = torch.cat([asked.row_E[:, None], asked.code_E[:, None], asked.obs_EF], 1).tolist()
    new = torch.tensor([tuple(key) not in known for key in keys])
    supervision = found.supervision
    assert isinstance(supervision, ForcedStates)
    with torch.no_grad():
        _, wrong = supervision._decided(0, asked.take(new.nonzero()[:, 0]))
    return float(wrong.float().mean())


def test_what_traces_do_not_ask_is_learned() -> None:
    """From 12 traces: without questions a core errs in a third of what they do not show of the same pictures."""
    wrong = {}
    for count in (0, 24):
        found = objective(questions=count, examples=1440, updates=300, decay=300, rate=5e-3)
        Steps(found).take(300)
        wrong[count] = unseen_wrong(found)
    assert wrong[24] < 0.2 < 0.33 < wrong[0], wrong


def test_questions_come_little_by_little() -> None:
    """Places begin with one question each, of the same target where they have it; then twice as many, in time."""
    group = questions(objective(40))
    place_2 = torch.stack([group.asked.row_E, group.asked.code_E], 1)
    for place in place_2.unique(dim=0):
        mine = (place_2 == place).all(1)
        assert sorted(group.turn_Q[mine].tolist()) == list(range(int(mine.sum())))
    generator = torch.Generator().manual_seed(2)
    for turns in (1, 2, 4):
        drawn = group.draw(5, 10**6, turns, generator=generator)
        asked = torch.cat([drawn.row_E[:, None], drawn.code_E[:, None], drawn.obs_EF[:, 3:]], 1).unique(dim=0)
        counts = Counter(map(tuple, asked[:, :2].tolist()))
        assert set(counts.values()) <= set(range(1, turns + 1))
        assert max(counts.values()) == turns

    turns, seen = Turns(), []
    for wrong in [0.5] * 5 + [0.05] * 7 + [0.3] * (PATIENCE - 2) + [0.05] * SETTLED:
        turns.note(wrong)
        seen.append(turns.count)
    assert [seen.index(n) + 1 for n in (1, 2, 4)] == [1, SETTLED, SETTLED + PATIENCE]
    assert seen[-1] == 8, "not before the running share can follow"


def test_turns_are_kept_with_the_state() -> None:
    first, second = objective(), objective()
    Steps(first).take(3)
    forced(first).turns = Turns(4, 17)
    forced(second).load_state_dict(forced(first).state_dict())
    assert forced(second).turns == Turns(4, 17)
    losses = [next(iter(forced(found).losses(3, ALONE))) for found in (first, second)]
    draws = [forced(found).generator.get_state() for found in (first, second)]
    assert torch.equal(*draws)
    assert [len(some) for some in losses] == [2, 2]


def test_a_check_looks_at_few_pictures_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """At all only where the others were right; red where everything is encoded at every check."""
    monkeypatch.setattr("npi.training.forced.FIRST", 16)
    supervision, looked = forced(objective(40)), []
    rows = supervision.row_E.tolist()

    def scores(index_D: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        looked.append(index_D.tolist())
        return torch.zeros(len(index_D)), torch.zeros(len(index_D), dtype=torch.bool) | bad

    supervision._scores = scores  # type: ignore[method-assign]
    supervision.wrong_E = torch.zeros(len(rows), dtype=torch.bool)
    bad = True
    assert not supervision.check(ALONE)[1]
    assert len(looked) == 1
    assert max(Counter(rows[e] for e in looked[0]).values()) == 2
    supervision.wrong_E = torch.zeros(len(rows), dtype=torch.bool)
    bad, looked[:] = False, []
    assert supervision.check(ALONE) == ({}, True)
    assert len(looked[0]) < len(looked[1]) < len(looked[2]) == len(rows)
