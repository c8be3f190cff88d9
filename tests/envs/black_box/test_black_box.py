"""Functions that are known by their values: what they promise every world, and what a query does, by second ways."""

from typing import Any

import pytest
import torch

from envs import make
from envs.black_box.world import BlackBox, BlackBoxState
from envs.conformance import check_world
from envs.episodic.trials import digits
from envs.spec import SpecError
from envs.stepper import Action
from envs.world import Scored

CONFIGS: list[dict[str, Any]] = [
    {},
    {"dimensions": 1, "steps": 7},
    {"dimensions": 5, "kernel": "matern52", "noise": 0.1},
    {"dimensions": 2, "kernel": "any", "spread": 3, "scale": 4, "noise": 0.1},
    {"function": "branin", "scale": 3},
    {"function": "goldstein_price", "dimensions": 2},
    {"function": "hartmann3", "perturbed": "no", "noise": 0.3},
    {"function": "hartmann6"},
    {"function": "repellers"},
    {"function": "bbob", "number": 3, "dimensions": 2},
    {"function": "bbob15", "log": "yes", "noise": 0.1},
    {"function": "bbob21", "dimensions": 5},
]


def made(config: dict[str, Any]) -> BlackBox:
    world: Any = make("black_box", "w", config)
    return world


def begun(world: BlackBox, *numbers: int) -> BlackBoxState:
    return world.begin(torch.tensor(numbers))


def queried(world: BlackBox, state: BlackBoxState, times: int = 1, **payload: torch.Tensor | None) -> None:
    for _ in range(times):
        world.act(state, Action(torch.zeros(state.batch, 4).long(), **payload), torch.ones(state.batch).bool())


def value(world: BlackBox, state: BlackBoxState) -> torch.Tensor:
    return world.score(state)["value"]


@pytest.mark.parametrize("config", CONFIGS)
def test_they_keep_their_promises(config: dict[str, Any]) -> None:
    world = made(config)
    assert isinstance(world, Scored)
    layouts = [{}, {"EPISODE": digits(17)}, {"EPISODE": digits(10**17)}, {"EPISODE": [0, 1, 7]}]
    check_world(world, layouts, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("config", CONFIGS)
def test_gradients_are_those_of_finite_differences(config: dict[str, Any]) -> None:
    world = made(config)
    function, size = world.function, world.config.dimensions
    given_BG = function.draw(torch.arange(5)).double()
    point_BD = torch.rand(5, size, generator=torch.Generator().manual_seed(1)).double().requires_grad_()
    function.value(point_BD, given_BG).sum().backward()
    assert point_BD.grad is not None
    with torch.no_grad():
        for place in range(size):
            nudge_D = torch.zeros(size).double()
            nudge_D[place] = 1e-6
            ends = [function.value(point_BD + sign * nudge_D, given_BG) for sign in (1, -1)]
            torch.testing.assert_close(point_BD.grad[:, place], (ends[0] - ends[1]) / 2e-6, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("config", CONFIGS)
def test_problems_of_a_batch_are_those_one_by_one(config: dict[str, Any]) -> None:
    world, numbers = made(config), (3, 10**8, 41)
    together = begun(world, *numbers)
    queried(world, together, 2)
    for place, number in enumerate(numbers):
        alone = begun(world, number)
        queried(world, alone, 2)
        torch.testing.assert_close(alone.point_BD[0], together.point_BD[place])
        torch.testing.assert_close(alone.value_B[0], together.value_B[place], rtol=1e-5, atol=1e-5)
    assert len({round(v, 4) for v in together.value_B.tolist()}) == len(numbers)


def test_values_are_in_the_graph_until_they_are_detached() -> None:
    world = made({"dimensions": 2, "noise": 0.1})
    state = begun(world, 1, 2, 3)
    point_BD = torch.full((3, 2), 0.4, requires_grad=True)
    queried(world, state, payload_BX=point_BD)
    seen = world.observe(state).channels
    for found in (value(world, state), seen["value"], seen["point"]):
        assert isinstance(found, torch.Tensor)
        assert torch.autograd.grad(found.sum(), point_BD, retain_graph=True)[0].abs().min() > 0
    world.detach(state)
    assert not value(world, state).requires_grad
    assert not world.observe(state).channels["value"].requires_grad  # type: ignore[union-attr]
    with torch.no_grad():
        assert not value(world, state).requires_grad


def test_what_was_observed_stays_as_it_was() -> None:
    """Also where acts change the state in place."""
    world = made({})
    state = begun(world, 1, 2)
    queried(world, state)
    seen, score_B = world.observe(state).channels, value(world, state)
    before = {name: part.clone() for name, part in seen.items()}  # type: ignore[union-attr]
    queried(world, state)
    assert all(torch.equal(seen[name], part) for name, part in before.items())  # type: ignore[arg-type]
    assert not torch.equal(value(world, state), score_B)


def test_points_outside_are_moved_into_the_cube() -> None:
    world = made({"dimensions": 2})
    outside, inside = begun(world, 5), begun(world, 5)
    queried(world, outside, payload_BX=torch.tensor([[-0.5, 1.5]]))
    queried(world, inside, payload_BX=torch.tensor([[0.0, 1.0]]))
    assert torch.equal(outside.value_B, inside.value_B)
    assert outside.point_BD.tolist() == [[0.0, 1.0]]


def test_queries_without_a_point_fill_the_cube_evenly() -> None:
    """Each quarter of each axis has its share, and those who gave no point are asked there, others where they said."""
    world = made({"dimensions": 4, "steps": 200})
    state = begun(world, 7, 8)
    queried(world, state, 200)
    point_BTD = state.history_BTX[:, :, :4]
    share = torch.stack([((4 * point_BTD).floor() == quarter).float().mean(1) for quarter in range(4)])
    assert (share - 0.25).abs().max() < 0.02
    pairs = torch.stack([((2 * point_BTD).floor()[:, :, [0, 2]] == torch.tensor(c)).all(2).float().mean(1)
                         for c in ([0.0, 0], [0, 1], [1, 0], [1, 1])])  # fmt: skip
    assert (pairs - 0.25).abs().max() < 0.05
    mixed = begun(world, 7, 8)
    payload_BD = torch.full((2, 4), 0.3)
    queried(world, mixed, payload_BX=payload_BD, given_B=torch.tensor([False, True]))
    torch.testing.assert_close(mixed.point_BD, torch.stack([point_BTD[0, 0], payload_BD[1]]))


def test_fields_show_queries_gains_and_trends() -> None:
    world = made({"dimensions": 1, "steps": 3, "length_scale": 0.1})
    state = begun(world, 2)
    assert seen(world, state) == ("0", "0", "none")
    values: list[float] = []
    for turn, place in enumerate((0.1, 0.35, 0.6, 0.65, 0.9)):
        queried(world, state, payload_BX=torch.tensor([[place]]))
        now = value(world, state).item()
        trend = "better" if now < min([*values, float("inf")]) else "worse"
        values.append(now)
        gain = values[0] - min(values)
        level = sum(gain >= 2.0**power for power in range(-7, 17))
        assert seen(world, state) == (str(min(turn + 1, 3)), str(level), trend)
    assert {"better", "worse"} == {"better" if a == min(values[: i + 1]) else "worse" for i, a in enumerate(values)}


def seen(world: BlackBox, state: BlackBoxState) -> tuple[str, ...]:
    (row,) = world.observe(state).fields_BF.tolist()
    return tuple(field.values[number] for field, number in zip(world.spec.fields, row, strict=True))


def test_noise_is_seen_and_not_scored() -> None:
    world, plain = made({"noise": 0.5}), made({})
    state, still = begun(world, *range(500)), begun(plain, *range(500))
    errors = []
    for _ in range(4):
        queried(world, state)
        queried(plain, still)
        torch.testing.assert_close(value(world, state), value(plain, still))
        errors.append(state.value_B - value(world, state))
    error_TB = torch.stack(errors)
    assert error_TB.mean().item() == pytest.approx(0, abs=0.03)
    assert error_TB.std().item() == pytest.approx(0.5, rel=0.05)
    assert error_TB.corrcoef().fill_diagonal_(0).abs().max() < 0.15


def test_a_scale_is_drawn_for_each_problem() -> None:
    """Values are a + b f: b from 1/s to s, log-uniformly; a normal, s its standard deviation."""
    plain, scaled = made({}), made({"scale": 5})
    one, other = begun(plain, *range(400)), begun(scaled, *range(400))
    pairs = []
    for _ in range(2):
        queried(plain, one)
        queried(scaled, other)
        pairs.append((value(plain, one), value(scaled, other)))
    factor_B = (pairs[1][1] - pairs[0][1]) / (pairs[1][0] - pairs[0][0])
    offset_B = pairs[0][1] - other.factor_B * pairs[0][0]
    torch.testing.assert_close(factor_B.median(), other.factor_B.median(), rtol=0.01, atol=0)
    assert 0.2 <= other.factor_B.min() < 0.22
    assert 4.6 < other.factor_B.max() <= 5
    assert other.factor_B.log().mean().item() == pytest.approx(0, abs=0.15)
    assert offset_B.std().item() == pytest.approx(5, rel=0.1)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"function": "gq"}, "function of a black box is 'gq'"),
        ({"function": "bran"}, "did you mean 'branin'"),
        ({"function": "bbob"}, "number of a black box is 0; it can be 1 to 24"),
        ({"function": "bbob25"}, "function of a black box is 'bbob25'; did you mean 'bbob'"),
        ({"function": "bbob7", "number": 8}, "function of a black box is 'bbob7'"),
        ({"number": 8}, "number of a black box is 8; it is of bbob alone"),
        ({"function": "bbob7", "dimensions": 1}, "dimensions of a black box is 1; it can be 2 to 20"),
        ({"function": "hartmann6", "dimensions": 3}, "dimensions of a black box is 3; hartmann6 has 6: give that"),
        ({"function": "branin", "log": "yes"}, "log of a black box is of bbob"),
        ({"function": "branin", "perturbed": "maybe"}, "perturbed of a black box is 'maybe'"),
        ({"dimension": 3}, "a black box has no setting dimension; did you mean 'dimensions'"),
        ({"dimensions": 21}, "dimensions of a black box is 21; it can be 1 to 20"),
        ({"kernel": "matern"}, "kernel of a black box is 'matern'; did you mean"),
        ({"length_scale": 0}, "length_scale of a black box is 0.0; give a positive number"),
        ({"spread": 0.5}, "spread of a black box is 0.5; it can be 1 to"),
        ({"noise": -1}, "noise of a black box is -1"),
        ({"scale": 0}, "scale of a black box is 0"),
        ({"steps": 0}, "steps of a black box is 0"),
    ],
)
def test_wrong_settings_are_refused(config: dict[str, Any], told: str) -> None:
    with pytest.raises(SpecError, match=told):
        made(config)


def test_a_drawing_shows_values_and_points() -> None:
    """Each query has its mark: the best, the last, and others; in two dimensions where they were asked."""
    world = made({"dimensions": 2, "length_scale": 0.1})
    state = begun(world, 1, 4)
    assert world.draw(state, 1) == "no query yet"
    queried(world, state, 12)
    values = state.history_BTX[1, :12, 2].tolist()
    best = values.index(min(values))
    head, *lines = world.draw(state, 1).splitlines()
    assert head == f"query 12: {values[-1]:.4g}; best {min(values):.4g} at query {best + 1}"
    plot, title, square = lines[:12], lines[12], lines[13:]
    assert title == "points, the second coordinate upwards"
    assert all(len(line) == 11 + 12 for line in plot)
    assert [line[11 + best] for line in plot] == [" "] * 11 + ["*"]
    for column, value in enumerate(values):
        (row,) = (i for i, line in enumerate(plot) if line[11 + column] != " ")
        assert row == 11 - round((value - min(values)) / (max(values) - min(values)) * 11)
    x, y = state.history_BTX[1, best, :2].tolist()
    assert square[11 - round(y * 11)][11 + round(x * 39)] == "*"
    one = made({"dimensions": 1, "steps": 5})
    state = begun(one, 1)
    queried(one, state, 9)
    assert "values by point, 0 to 1" in one.draw(state)
    assert "points" not in made({}).draw(begun(made({}), 1))
