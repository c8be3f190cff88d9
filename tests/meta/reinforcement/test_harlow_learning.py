"""Harlow's task, learned from reward: the eye, the memory of things, rules by turns, and a training from nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import dsl
from envs.cars.world import Cars
from envs.episodic.bandit import Bandit
from envs.episodic.harlow import RULES, Harlow
from envs.spec import Channel, Field
from envs.stepper import Action
from envs.world import Episodes
from meta.baselines.agent import calls
from meta.baselines.agent import rollout as run_agent
from meta.baselines.harlow import ObjectStayer
from meta.reinforcement.config import MetaRLConfig
from meta.reinforcement.learner import LEARNER
from meta.reinforcement.network import ActorCritic
from meta.reinforcement.object_memory import KEY, VALUE, Recall, places
from meta.reinforcement.program_files.harlow_rules import Rule, program_file, turned
from npi.jobs.learners import train_learner
from npi.learners.conformance import check_learner
from npi.learners.interface import TaskInput
from npi.learners.objectives.on_policy import OnPolicyTraining
from npi.learners.rollout import GeneratorDraw, rollout
from npi.learners.rollout import play as run_program

B, K, ROW, HIDDEN = 5, 7, 3, 11
WORLDS = [{"reach": 2, "fixation": 1}, {"bits": 5, "seen": 16, "pixels": 8}]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def core(world: Harlow, seed: int = 0) -> ActorCritic:
    return LEARNER.core(MetaRLConfig(row=ROW, hidden=HIDDEN), [world.spec], generator=generator(seed))


def recall_of(net: ActorCritic) -> Recall:
    return net.worlds[0].objects


def task_of(world: Harlow, rows: int = B) -> TaskInput:
    row_BP = torch.randn(rows, ROW, generator=generator(1))
    return TaskInput(world.spec, 0, row_BP, torch.zeros(rows, 3, dtype=torch.int64))


def rolled(net: ActorCritic, world: Harlow, task: TaskInput, *, first: int = 0) -> Episodes:
    """K steps of episodes first, first + 1, …"""
    episode_B = first + torch.arange(len(task.row_BP))
    none_B = torch.zeros_like(episode_B)
    state = world.begin(episode_B, none_B, none_B)
    draw = GeneratorDraw(generator(2), len(episode_B), torch.arange(len(episode_B)))
    with torch.no_grad():
        return rollout(net, world, state, task, net.begin(task), K, draw=draw)[0]


# --- what is looked at -----------------------------------------------------------------------------------------------


def test_places_are_alike_things_in_view() -> None:
    spec = Harlow("w", {"bits": 3, "seen": 4}).spec
    assert [[spec.fields[i].name for i in place.columns] for place in places(spec)] == [
        ["LEFT1", "LEFT2", "LEFT3"],
        ["RIGHT1", "RIGHT2", "RIGHT3"],
    ]
    pictured = Harlow("w", {"bits": 3, "seen": 4, "pixels": 8}).spec
    assert [place.picture for place in places(pictured)] == list(pictured.channels)
    left, right = pictured.channels
    assert places(replace(pictured, channels=(left, replace(right, shape=(8, 9, 3))))) == ()
    assert places(Bandit("w", {}).spec) == ()
    many = tuple(Field(f"{side}{n}", ("none", "0", "1")) for side in ("LEFT", "RIGHT") for n in range(40))
    assert places(replace(spec, fields=many)) == ()
    assert places(Cars("w", {"seen": 2, "unseen": 1, "novel": 1}).spec) == ()


@pytest.mark.parametrize("config", WORLDS)
def test_the_same_thing_has_the_same_key_at_both_sides(config: dict[str, Any]) -> None:
    """Episode by episode, the keys change places when the objects do; all are of length 1."""
    world = Harlow("w", {**config, "fixation": 0, "reach": 1})
    recall = recall_of(core(world))
    state = world.begin(torch.arange(40), torch.zeros(40).long(), torch.zeros(40).long())
    before_BLD, swapped_B = recall.keys(world.observe(state).fields_BF), world._swapped(state)
    world.act(state, Action(calls(torch.ones(40).long())), torch.ones(40, dtype=torch.bool))
    after_BLD, moved_B = recall.keys(world.observe(state).fields_BF), world._swapped(state) != swapped_B
    assert 5 < int(moved_B.sum()) < 35
    assert torch.equal(torch.where(moved_B[:, None, None], after_BLD.flip(1), after_BLD), before_BLD)
    assert torch.allclose(before_BLD.norm(dim=2), torch.ones(40, 2))


@pytest.mark.parametrize("config", WORLDS)
def test_keys_of_different_things_begin_at_about_right_angles(config: dict[str, Any]) -> None:
    world = Harlow("w", {**config, "fixation": 0, "reach": 1})
    state = world.begin(torch.arange(300), torch.zeros(300).long(), torch.zeros(300).long())
    left_BD, right_BD = recall_of(core(world)).keys(world.observe(state).fields_BF).detach().unbind(1)
    assert abs(float((left_BD * right_BD).sum(1).mean())) < 0.25


@pytest.mark.parametrize("config", WORLDS)
def test_nothing_in_view_has_no_key(config: dict[str, Any]) -> None:
    world = Harlow("w", {**config, "reach": 2, "fixation": 1})
    state = world.begin(torch.arange(3), torch.zeros(3).long(), torch.zeros(3).long())
    assert not bool(recall_of(core(world)).keys(world.observe(state).fields_BF).any())


def test_keys_that_are_kept_follow_the_eye() -> None:
    world = Harlow("w", {"pixels": 8})
    recall = recall_of(core(world))
    obs_BF = world.observe(world.begin(torch.arange(9), torch.zeros(9).long(), torch.zeros(9).long())).fields_BF
    learned = recall.keys(obs_BF)
    with torch.no_grad():
        assert torch.allclose(recall.keys(obs_BF[:4]), learned[:4], atol=1e-6)
        assert torch.allclose(recall.keys(obs_BF), learned, atol=1e-6)
        next(recall.eye.parameters()).mul_(-1)
        assert not torch.allclose(recall.keys(obs_BF), learned, atol=1e-2)


# --- what is known of it ---------------------------------------------------------------------------------------------


def test_the_memory_is_the_delta_rule() -> None:
    """Step by step with plain loops: what was in view before is written, then what is in view now is read."""
    world = Harlow("w", {"bits": 4, "seen": 8})
    recall, task = recall_of(core(world)), task_of(world)
    episodes = rolled(core(world), world, task)
    obs_KBF = torch.stack([seen.fields_BF for seen in episodes.seen[:-1]])
    plain_KBH = torch.randn(K, B, HIDDEN, generator=generator(4))
    carried_BM = torch.zeros(B, recall.numbers)
    found_KBH, after_BM = recall(obs_KBF, plain_KBH, task.row_BP, carried_BM)
    factor_BH, summand_BH = recall.condition(task.row_BP).chunk(2, 1)
    for b in range(B):
        known_VD, before_LD = torch.zeros(VALUE, KEY), torch.zeros(2, KEY)
        for k in range(K):
            written_VD = known_VD.clone()
            for place, key_D in enumerate(before_LD):
                note_H = torch.relu((plain_KBH[k, b] + recall.place_LH[place]) * (1 + factor_BH[b]) + summand_BH[b])
                told_X = recall.write(note_H)
                written_VD += told_X[-1].sigmoid() * torch.outer(told_X[:-1] - known_VD @ key_D, key_D)
            known_VD, before_LD = written_VD, recall.keys(obs_KBF[k])[b]
            read_H = recall.read(torch.cat([known_VD @ key_D for key_D in before_LD]))
            torch.testing.assert_close(found_KBH[k, b], read_H)
        torch.testing.assert_close(after_BM[b], torch.cat([known_VD.flatten(), before_LD.flatten()]))


@pytest.mark.parametrize("config", WORLDS)
def test_unrolled_at_once_it_is_its_steps(config: dict[str, Any]) -> None:
    world = Harlow("w", config)
    net, task = core(world), task_of(world)
    episodes = rolled(net, world, task)
    assert net.hidden_size(world.spec) == 2 * HIDDEN + (VALUE + 2) * KEY
    for name in ("value", "log_likelihood"):
        torch.testing.assert_close(net.unroll(task, episodes, net.begin(task))[name], episodes.extras[name])


@pytest.mark.parametrize("config", WORLDS)
def test_gradient_reaches_the_row_and_every_parameter_of_the_core(config: dict[str, Any]) -> None:
    world = Harlow("w", {**config, "reach": 1, "fixation": 0})
    net, task = core(world), task_of(world)
    task.row_BP.requires_grad_()
    sum(part.sum() for part in net.unroll(task, rolled(net, world, task), net.begin(task)).values()).backward()
    assert task.row_BP.grad is not None
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name


@pytest.mark.parametrize("settings", ["reach: 2, fixation: 1", "bits: 5, seen: 16, pixels: 8"])
def test_the_learner_keeps_its_promises_where_objects_are_recognised(settings: str) -> None:
    check_learner(LEARNER, dsl.loads(SMALL.replace("bits: 8, seen: 128", settings), path="pick.npi"))


def test_what_cannot_be_looked_at_is_told() -> None:
    spec = Harlow("w", {"pixels": 8}).spec
    LEARNER.admit(spec)
    with pytest.raises(ValueError, match="object_memory: 0 cannot encode"):
        LEARNER.core(MetaRLConfig(object_memory=0), [spec], generator=generator())
    with pytest.raises(ValueError, match="encode only several of one size"):
        LEARNER.admit(replace(spec, channels=(Channel("ONE", (8, 8, 3), fields=("LEFT1",)),)))


# --- rules by turns --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "turns"), [("avoid", (1, 1, 1, 1, 1)), ("alternate", (1, 0, 1, 0, 1)), ("object", (0, 0, 0, 0, 0))]
)
def test_turns_make_the_rules_that_have_names(rule: str, turns: tuple[int, ...]) -> None:
    """The same episodes, played alike, go alike."""
    world, rights = Harlow("w", {}), []
    for layout in ({"RULE": [RULES.index(rule)]}, {"TURNS": [0, *turns]}):
        state = world.reset([{"EPISODE": [n], **layout} for n in range(10)])
        run_agent(world, ObjectStayer(world.spec, generator=generator(5)), state, 6)
        rights.append(state.right_BT)
    assert torch.equal(*rights)


def test_turns_that_cannot_be_are_told() -> None:
    world = Harlow("w", {})
    assert world.read(world.reset([{"TURNS": [0, 1]}]))[0]["TURNS"] == [0, 1, 0, 0, 0, 0]
    for laid in ([0] * 7, [2]):
        with pytest.raises(ValueError, match=r"instance 0: TURNS is .*; give at most 6 numbers, 0 or 1 each"):
            world.reset([{"TURNS": laid}])


def test_a_file_of_many_rules_lays_out_each() -> None:
    rules = [Rule("side"), *turned("object", 3)]
    programs = dsl.loads(program_file(rules, trials=3), path="rules.npi")
    assert [p.name for p in programs.programs] == [
        "rules.SIDE", "rules.OBJECT_SS", "rules.OBJECT_SO", "rules.OBJECT_OS", "rules.OBJECT_OO",
    ]  # fmt: skip
    (drawn,) = programs.tasks[2].draw(9, 1, generator=np.random.default_rng(0), spread=False)
    assert (drawn.layout["RULE"], drawn.layout["TURNS"]) == ([0], [0, 0, 1])


# --- training --------------------------------------------------------------------------------------------------------

SMALL = """world table is harlow(trials: 4, bits: 8, seen: 128)

program PICK "Find out which object pays, and choose it wherever it lies":
    maximise reward over 4 steps
    core "meta-rl"

task pick(episode: number):
    EPISODE = digits(episode)
    run PICK
    expect TRIAL == [4] and sum(RIGHT) >= 3
    train episode of 6 digits
    test episode of 7 digits
"""


@pytest.mark.parametrize("seen_as", ["codes", pytest.param("pictures", marks=pytest.mark.thorough)])
def test_harlows_task_is_learned_from_nothing(seen_as: str, tmp_path: Path) -> None:
    """The first choice is a guess; afterwards an untrained core guesses, too, and a trained one knows, with objects
    that it never met."""
    text = SMALL if seen_as == "codes" else SMALL.replace("seen: 128", "seen: 128, pixels: 8")
    path = tmp_path / "pick.npi"
    path.write_text(text)
    world = dsl.load(path).world

    def right(net: Any, row_P: torch.Tensor) -> torch.Tensor:
        state = world.begin(10**7 + torch.arange(600), torch.ones(600).long(), torch.zeros(600).long())
        arguments_B3 = torch.zeros(600, 3, dtype=torch.int64)
        run_program(net, world, state, TaskInput(world.spec, 0, row_P.detach().expand(600, -1), arguments_B3), 4)
        return (state.right_BT == 2).double().mean(0)

    config, training = MetaRLConfig(hidden=32), OnPolicyTraining(updates=120, batch=96, rate=5e-3, check_every=60)
    untrained = LEARNER.core(config, [world.spec], generator=generator())
    assert float(right(untrained, torch.zeros(8))[1:].max()) < 0.65
    library = train_learner([path], out=tmp_path / "pick", config=config, training=training).library
    first, *later = right(library.core.net, library.memory.embeddings_NP[0]).tolist()
    assert 0.4 < first < 0.6
    assert min(later) > 0.95
