"""Pictures of the objects of Harlow's task."""

from typing import Any

import numpy as np
import torch

from envs.episodic.harlow import RULES, Harlow, glyphs, scrambled
from envs.stepper import Action
from envs.world import Pictured
from meta.baselines.agent import calls
from traces.viewing.states import has_pictures, views

PIXELS = 16


def world(**config: Any) -> Harlow:
    return Harlow("w", {"pixels": PIXELS, **config})


def values(code: int, bits: int) -> list[int]:
    """The pictured fields of an object, by plain Python."""
    return [1 + (code >> place & 1) for place in range(bits)]


def test_pictures_stand_for_the_bits() -> None:
    spec = world(bits=5, seen=16).spec
    assert [(p.name, p.fields[0], p.fields[-1], *p.sizes) for p in spec.rendered] == [
        ("LEFT", "LEFT1", "LEFT5", 16, 16, 3),
        ("RIGHT", "RIGHT1", "RIGHT5", 16, 16, 3),
    ]
    assert [spec.fields[i].name for i in spec.seen] == ["AT", "CROSS", "LAST", "REWARD", "TRIAL"]
    assert not Harlow("w", {}).spec.rendered
    assert not has_pictures(Harlow("w", {}))


def test_the_same_object_always_looks_the_same() -> None:
    """At the left and at the right, alone and among others, asked in any order, in a world made anew."""
    asked = torch.tensor([values(code, 11) for code in (5, 2047, 5, 0)])
    found = world().pictures(asked)
    assert isinstance(world(), Pictured)
    assert (found.dtype, found.shape) == (torch.uint8, (4, PIXELS, PIXELS, 3))
    assert torch.equal(found[0], found[2])
    assert not torch.equal(found[0], found[3])
    assert torch.equal(world(trials=9).pictures(asked[1:2]), found[1:2])
    assert torch.equal(glyphs(torch.tensor([2047, 5]), PIXELS), found[[1, 0]])


def test_what_is_not_there_is_black_and_nothing_else_is() -> None:
    asked = torch.tensor([[0] * 11, values(9, 11)])
    nothing, something = world().pictures(asked)
    assert int(nothing.max()) == 0
    assert int(something.amax(2).min()) > 0


def test_all_pictures_differ_by_more_than_a_shade() -> None:
    """2,048 objects; the most alike two differ by a tenth of full brightness at each pixel (root mean square)."""
    flat_NX = glyphs(torch.arange(2048), PIXELS).flatten(1).double()
    apart_NN = torch.cdist(flat_NX, flat_NX) / flat_NX.shape[1] ** 0.5
    apart_NN.fill_diagonal_(255)
    assert float(apart_NN.min()) > 25


def test_edges_are_smooth() -> None:
    """A picture of 16 pixels is nearly the mean over squares of one of 64."""
    number_U = torch.arange(60)
    small, large = glyphs(number_U, 16).float(), glyphs(number_U, 64).float()
    averaged = large.view(60, 16, 4, 16, 4, 3).mean((2, 4))
    assert float((small - averaged).abs().mean()) < 8


def test_unseen_pictures_never_occur_among_seen_ones() -> None:
    small = world(bits=6, seen=40)
    episode_B = torch.arange(2000)
    shown = []
    for unseen in (0, 1):
        none_B = torch.zeros_like(episode_B)
        state = small.begin(episode_B, none_B + unseen, none_B + RULES.index("object"))
        obs_BF = small.observe(state).fields_BF
        columns = [[small.spec.field(name) for name in p.fields] for p in small.spec.rendered]
        pictures = torch.cat([small.pictures(obs_BF[:, c]) for c in columns])
        shown.append({picture.tobytes() for picture in pictures.numpy()})
    seen, unseen_ones = shown
    assert (len(seen), len(unseen_ones), len(seen & unseen_ones)) == (40, 24, 0)
    assert seen == {p.tobytes() for p in glyphs(scrambled(torch.arange(40), 6), PIXELS).numpy()}


def test_people_are_shown_both_objects() -> None:
    state = world().reset([{"EPISODE": [4]}])
    left, right = state.codes_B2[0].flip(0) if bool(world()._swapped(state)[0]) else state.codes_B2[0]
    found = views(world(), world().observe(state).fields_BF)
    assert list(found) == ["LEFT", "RIGHT"]
    assert np.array_equal(found["LEFT"], glyphs(left[None], PIXELS)[0].numpy())
    assert np.array_equal(found["RIGHT"], glyphs(right[None], PIXELS)[0].numpy())
    world().act(state, Action(calls(torch.tensor([1]))), torch.tensor([True]))
    assert state.trial_B.tolist() == [1]
