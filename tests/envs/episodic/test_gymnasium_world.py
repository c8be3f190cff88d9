"""Gymnasium environments as worlds: the kit, Gymnasium itself step by step, and what program files cannot name."""

import copy
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from dsl import LanguageError, loads
from envs import Action, Layout, SpecError, check_world, make
from envs.episodic.gymnasium_world import make_environment, scale, spaces_of, unscale
from envs.support.gym_names import VARIABLE, add_name, known_names
from npi.cli.main import main
from tests.support.gym_envs import Aim, Many

LAYOUTS: list[Layout] = [{"EPISODE": [1]}, {"EPISODE": [2, 3]}, {"EPISODE": [9] * 18}, {}]

CONFIGS: list[dict[str, Any]] = [
    {"id": "CartPole-v1"}, {"id": "CartPole-v1", "levels": 8, "steps": 5}, {"id": "FrozenLake-v1"},
    {"id": "Blackjack-v1"}, {"id": "Pendulum-v1"}, {"id": "Pendulum-v1", "levels": 5}, {"id": "Aim-v0"},
]  # fmt: skip


def named(config: dict[str, Any]) -> str:
    return " ".join(map(str, config.values()))


@pytest.fixture(autouse=True)
def no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")


@pytest.mark.parametrize("config", CONFIGS, ids=named)
@pytest.mark.parametrize("seed", range(2))
def test_gymnasium_conforms(config: dict[str, Any], seed: int) -> None:
    check_world(make("gymnasium", "arm", config), LAYOUTS, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("env_id", ["CartPole-v1", "FrozenLake-v1", "MountainCarContinuous-v0"])
def test_a_world_does_what_the_environment_does(env_id: str) -> None:
    world: Any = make("gymnasium", "arm", {"id": env_id})
    seeds = [3, 50, 700]
    state = world.reset([{"EPISODE": list(map(int, str(seed)))} for seed in seeds])
    plain = [gymnasium.make(env_id) for _ in seeds]
    seen = [env.reset(seed=seed)[0] for env, seed in zip(plain, seeds, strict=True)]
    live_B, generator = np.ones(3, bool), torch.Generator().manual_seed(0)
    discrete = isinstance(world.action_space, spaces.Discrete)
    for step in range(30):
        fields_BF, channels = world.observe(state)
        for b in range(3):
            if discrete and "observation" not in channels:
                assert fields_BF[b, 3] == seen[b]
            else:
                expected = scale(np.asarray(seen[b]), plain[b].observation_space)
                assert channels["observation"][b].tolist() == expected.tolist()
        assert world.ended(state).tolist() == (~live_B).tolist()
        count = int(world.action_space.n) if discrete else 0
        token_B = torch.randint(count, (3,), generator=generator) if discrete else torch.zeros(3, dtype=torch.int64)
        payload_B1 = None if discrete else 2 * torch.rand(3, 1, generator=generator) - 1
        call_B4 = torch.zeros(3, 4, dtype=torch.int64)
        call_B4[:, 1] = token_B + 1 if discrete else 0
        world.act(state, Action(call_B4, payload_B1), torch.ones(3, dtype=torch.bool))
        paid_B = world.score(state)["reward"]
        for b in np.flatnonzero(live_B):
            taken = int(token_B[b]) if discrete else payload_B1[b].numpy()  # type: ignore[index]
            seen[b], paid, ended, _, _ = plain[b].step(taken)
            assert paid_B[b] == np.float32(paid)
            assert world.observe(state).fields_BF[b, 0] == step + 1
            live_B[b] = not ended
    assert env_id.startswith("Mountain") or not live_B.all(), "some episode ends, so that ends are compared"


def test_numbers_between_bounds_are_scaled() -> None:
    box = spaces.Box(np.array([-2.0, 0.0, -np.inf]), np.array([4.0, 10.0, 5.0]), dtype=np.float64)
    numbers = np.array([1.0, 10.0, -70.0])
    assert scale(numbers, box).tolist() == [0.0, 1.0, -70.0]
    assert unscale(np.array([0.0, 1.0, -70.0]), box).tolist() == numbers.tolist()
    pixels = spaces.Box(0, 255, (2,), np.uint8)
    assert scale(np.array([0, 255], np.uint8), pixels).tolist() == [-1.0, 1.0]


def test_payloads_levels_and_names_by_hand() -> None:
    world: Any = make("gymnasium", "arm", {"id": "Aim-v0"})
    assert [(f.name, f.values) for f in world.spec.fields[1:]] == [("ENDED", ("no", "yes")), ("SIDE", ("-1", "0"))]
    assert [(c.name, c.low, c.high) for c in world.spec.channels] == [("paid", None, None), ("place", -1.0, 1.0)]
    call_14, everyone = torch.zeros(1, 4, dtype=torch.int64), torch.ones(1, dtype=torch.bool)
    for payload, taken in (([[0.5]], 2.5), (None, 1.0), ([[9.0]], 4.0)):
        state = world.reset([{"EPISODE": [5]}])
        place = 1.0 + 3.0 * float(world.observe(state).channels["place"])
        world.act(state, Action(call_14, None if payload is None else torch.tensor(payload)), everyone)
        assert float(world.score(state)["reward"]) == pytest.approx(-abs(taken - place), abs=1e-5)
    levels: Any = make("gymnasium", "arm", {"id": "Aim-v0", "levels": 3})
    state = levels.reset([{"EPISODE": [5]}])
    assert levels.spec.tokens == ("-", "0", "1", "2")
    place = 1.0 + 3.0 * float(levels.observe(state).channels["place"])
    assert int(levels.observe(state).fields_BF[0, 4]) == int((place + 2) / 2)
    levels.act(state, Action(torch.tensor([[0, 3, 0, 0]])), everyone)
    assert float(levels.score(state)["reward"]) == pytest.approx(-abs(4.0 - place), abs=1e-5)


BALANCE = """world cart is gymnasium(id: "CartPole-v1", levels: 21)

program BALANCE "Push to the side to which the pole falls":
    while ENDED == "no" and STEP < 60:
        if OBSERVATION3 + OBSERVATION4 > 20:
            ACT(1)
        else:
            ACT(0)

task balance:
    run BALANCE
    expect STEP == [60] and ENDED == ["no"]
    train
    test
"""


def test_a_program_with_a_body_balances_the_pole(tmp_path: Path) -> None:
    (tmp_path / "cart.npi").write_text(BALANCE)
    assert main(["check", str(tmp_path / "cart.npi")]) == 0
    assert main(["eval", "--teacher", str(tmp_path / "cart.npi"), "--count", "20"]) == 0
    (tmp_path / "fall.npi").write_text(BALANCE.replace("> 20", "< 20"))
    assert main(["check", str(tmp_path / "fall.npi")]) == 2


@pytest.mark.parametrize("env_id", ["os:Env-v0", "tests.support.gym_envs:Aim-v0", "arm", "../x-v0", ""])
def test_a_program_file_reaches_no_module(env_id: str) -> None:
    with pytest.raises(LanguageError, match=r"no id of a registered|has no id"):
        loads(BALANCE.replace("CartPole-v1", env_id))


def test_the_command_line_names_an_environment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = BALANCE.replace("CartPole-v1", "arm")
    (tmp_path / "arm.npi").write_text(text)
    assert main(["check", str(tmp_path / "arm.npi")]) == 2
    assert "npi --gym arm=package:Env-v0" in capsys.readouterr().err
    assert main(["--gym", "arm=tests.support.gym_envs:Aim-v0", "check", str(tmp_path / "arm.npi")]) == 2
    assert "OBSERVATION3" in capsys.readouterr().err  # it is Aim, which shows no such thing
    assert known_names() == {"arm": "tests.support.gym_envs:Aim-v0"}
    assert main(["--gym", "arm=CartPole-v1", "check", str(tmp_path / "arm.npi")]) == 0
    assert main(["--gym", "arm", "check", str(tmp_path / "arm.npi")]) == 2
    assert "write NAME=ID or NAME=package:ID" in capsys.readouterr().err
    with pytest.raises(ValueError, match="names no environment"):
        add_name("arm=a,b=c:X-v0")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"id": "CartPole-v77"}, "cannot make CartPole-v77: .*v77"),
        ({"id": "NoSuchThing-v0"}, "cannot make NoSuchThing-v0"),
        ({"id": "CartPole-v1", "levels": 1}, "levels of a gymnasium is 1"),
        ({"id": "CartPole-v1", "steps": 0}, "steps of a gymnasium is 0"),
        ({}, "has no id"),
        ({"id": "CartPole-v1", "render_mode": "human"}, "no setting render_mode"),
    ],
)
def test_wrong_settings_say_what_is_wrong(config: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        make("gymnasium", "arm", config)


BOX, FREE = spaces.Box(0, 1, (2,)), spaces.Box(-np.inf, np.inf, (1,))


@pytest.mark.parametrize(
    ("observed", "taken", "levels", "message"),
    [
        (spaces.Sequence(BOX), spaces.Discrete(2), 0, "observes discrete spaces and boxes"),
        (spaces.Text(3), spaces.Discrete(2), 0, "observes discrete spaces and boxes"),
        (BOX, spaces.Dict({"a": BOX}), 0, "takes actions of discrete spaces and boxes"),
        (BOX, spaces.MultiDiscrete([2] * 4), 0, "actions of 4 parts"),
        (BOX, spaces.Discrete(20_000), 0, "up to 20000 values"),
        (spaces.Discrete(20_000), spaces.Discrete(2), 0, "observes one of 20000 values"),
        (spaces.Box(0, 1, (65,)), spaces.Discrete(2), 4, "observes 65 numbers"),
        (BOX, FREE, 4, "actions without bounds"),
    ],
)
def test_other_spaces_are_refused(observed: Any, taken: Any, levels: int, message: str) -> None:
    gymnasium.register("Many-v0", lambda: Many(observed, taken))
    spaces_of.cache_clear()
    try:
        with pytest.raises(SpecError, match=message):
            make("gymnasium", "arm", {"id": "Many-v0", "levels": levels})
    finally:
        del gymnasium.registry["Many-v0"]


def test_actions_of_several_parts_are_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envs.episodic.gymnasium_world.make_environment", lambda _: Many(BOX, PAIR))
    for space, slots in ((PAIR := spaces.MultiDiscrete([2, 3], start=[0, 5]), [("0", "1"), ("5", "6", "7")]),):
        spaces_of.cache_clear()
        world: Any = make("gymnasium", "arm", {"id": "Pair-v0"})
        tokens = world.spec.tokens
        assert [tuple(tokens[t] for t in slot.tokens) for slot in world.spec.primitives[0].slots] == slots
        call = [tokens.index("1"), tokens.index("7")]
        assert world._taken(np.array(call), None).tolist() == [1, 7]
        assert world.legal(Action(torch.tensor([[0, *call, 0], [0, *call[::-1], 0]]))).tolist() == [True, False]
        assert space.contains(world._taken(np.array(call), None))
    spaces_of.cache_clear()


def test_environments_are_used_again_and_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    monkeypatch.setattr(
        "envs.episodic.gymnasium_world.make_environment",
        lambda env_id: made.append(make_environment(env_id)) or made[-1],
    )
    world: Any = make("gymnasium", "arm", {"id": "CartPole-v1"})
    for _ in range(3):
        state = world.reset(LAYOUTS)
        del state
    assert len(made) <= len(LAYOUTS) + 1  # one tells the spaces
    state = world.reset(LAYOUTS)
    world.close(state)
    assert state.envs == []


def test_an_environment_that_cannot_be_copied_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    world: Any = make("gymnasium", "arm", {"id": "Aim-v0"})
    state = world.reset(LAYOUTS)

    def refuse(self: Any, memo: Any) -> Any:
        raise TypeError("it lies in another process")

    monkeypatch.setattr(Aim, "__deepcopy__", refuse, raising=False)
    with pytest.raises(ValueError, match="cannot be copied: it lies in another process"):
        state.select(torch.tensor([0]))
    assert copy.deepcopy(gymnasium.make("CartPole-v1")) is not None


def test_gymnasium_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "envs.episodic.gymnasium_world")
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(SpecError, match=r"pip install 'npi-engine\[gym\]'"):
        make("gymnasium", "arm", {"id": "CartPole-v1"})
