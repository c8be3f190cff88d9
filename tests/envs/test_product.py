"""Products of worlds: what they promise every world, and each part against the same part alone."""

from typing import Any

import pytest
import torch

from envs import make
from envs.conformance import check_world
from envs.episodic.trials import digits
from envs.product import Product
from envs.spec import RETURN, SpecError
from envs.stepper import Action
from tests.support.pads import SORTING

CARDS = {"kind": "bandit", "name": "cards", "config": {}}
PAD = {"kind": "scratchpad", "name": "pad", "config": SORTING.to_json()}
STEPS = {"kind": "two_step", "name": "steps", "config": {}}
BOWL = {"kind": "optimisee", "name": "bowl", "config": {"dimensions": 3}}


def joined(*parts: dict[str, Any]) -> Product:
    return make("product", "desk", {"parts": list(parts)})


LAID = {
    "cards": [{"EPISODE": digits(n)} for n in (3, 141, 59)],
    "pad": [{"A": [3, 1, 2]}, {"A": [9]}, {"A": [0, 5, 5, 1]}],
    "steps": [{"steps.EPISODE": digits(n)} for n in (3, 141, 59)],
    "bowl": [{"bowl.EPISODE": digits(n)} for n in (2, 71, 82)],
}


@pytest.mark.parametrize(
    ("parts", "laid"),
    [
        ((CARDS, PAD), ("cards", "pad")),
        ((PAD, STEPS, CARDS), ("pad", "steps")),
        ((BOWL, PAD), ("pad",)),
    ],
)
def test_they_keep_their_promises(parts: tuple[dict[str, Any], ...], laid: tuple[str, ...]) -> None:
    layouts = [{name: row for part in laid for name, row in LAID[part][n].items()} for n in range(3)]
    check_world(joined(*parts), layouts, generator=torch.Generator().manual_seed(4))


def test_each_part_does_what_it_does_alone() -> None:
    desk, cards, pad = joined(CARDS, PAD), make(**CARDS), make(**PAD)
    layouts = [{**LAID["cards"][n], **LAID["pad"][n]} for n in range(3)]
    together, one, two = desk.reset(layouts), cards.reset(LAID["cards"]), pad.reset(LAID["pad"])
    everyone = torch.ones(3, dtype=torch.bool)
    generator = torch.Generator().manual_seed(0)
    for turn in range(40):
        number, world, state = (0, cards, one) if turn % 3 == 0 else (1, pad, two)
        own = Action(legal_calls(world)[torch.randint(len(legal_calls(world)), (3,), generator=generator)])
        whole = desk.whole_action(number, own)
        assert desk.legal(whole).all()
        desk.act(together, whole, everyone)
        world.act(state, own, everyone)
        seen = desk.observe(together)
        for part, (alone, at) in enumerate(((cards, one), (pad, two))):
            assert torch.equal(desk.part_observation(part, seen).fields_BF, alone.observe(at).fields_BF)
    for reading, *parts in zip(desk.read(together), cards.read(one), pad.read(two), strict=True):
        assert reading == parts[0] | parts[1]
    assert torch.equal(desk.score(together)["reward"], cards.score(one)["reward"])  # type: ignore[attr-defined]


def legal_calls(world: Any) -> torch.Tensor:
    slots = [slot.tokens for slot in world.spec.primitives[0].slots] + [(0,)] * (
        3 - len(world.spec.primitives[0].slots)
    )
    call_N4 = torch.cartesian_prod(torch.tensor([0]), *map(torch.tensor, slots))
    return call_N4[world.legal(Action(call_N4))]


def test_names_are_qualified_where_two_parts_have_them() -> None:
    spec = joined(CARDS, STEPS).spec
    assert [f.name for f in spec.fields][:4] == ["cards.LAST", "cards.REWARD", "cards.TRIAL", "STATE"]
    assert [p.name for p in spec.primitives] == ["PULL", "CHOOSE"]
    assert spec.tokens == ("-", "1", "2", "more", "less")
    assert joined(CARDS, STEPS).scores == {"cards.reward": True, "steps.reward": True}
    with pytest.raises(ValueError, match="'EPISODE' is a part of several; write it as"):
        joined(CARDS, STEPS).reset([{"EPISODE": [1]}])
    with pytest.raises(ValueError, match="'HEAD' is a part of none"):
        joined(CARDS, STEPS).reset([{"HEAD": [1]}])


def test_payloads_reach_the_part_that_takes_them() -> None:
    desk, bowl = joined(CARDS, BOWL), make(**BOWL)
    assert desk.spec.payload_width == 3
    together, alone = desk.reset([{}, {}]), bowl.reset([{}, {}])
    own = Action(torch.zeros(2, 4, dtype=torch.int64), torch.tensor([[1.0, -2.0, 3.0], [0.5, 0.0, 0.0]]))
    desk.act(together, desk.whole_action(1, own), torch.tensor([True, True]))
    bowl.act(alone, own, torch.tensor([True, True]))
    seen = desk.part_observation(1, desk.observe(together)).channels["gradient"]
    assert torch.equal(seen, bowl.observe(alone).channels["gradient"])  # type: ignore[arg-type]


def test_a_return_stays_one_and_wrong_declarations_are_told() -> None:
    back = joined(CARDS, PAD).whole_action(1, Action(torch.tensor([[RETURN, 0, 0, 0]])))
    assert back.call_B4.tolist() == [[RETURN, 0, 0, 0]]
    with pytest.raises(SpecError, match="joins 1 worlds"):
        joined(CARDS)
    with pytest.raises(SpecError, match="two worlds that are called cards"):
        joined(CARDS, CARDS)
