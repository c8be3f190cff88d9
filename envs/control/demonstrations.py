"""Demonstrations as data: what was observed and done step by step, as one table of numbers.

Worlds of control observe a *body* (what is moved), a set of *objects* (landmarks, blocks) and a *demonstration*, a
ragged channel with a line for each moment: the body, how many objects there are, each object, the action that followed,
and whether actions are told. Behind the last action comes a moment more, with an action of zeros. Objects stand in the
same order as in the scene.

Shape legend: ``B`` instances, ``L`` moments, ``S`` numbers of a body, ``K`` objects of ``F`` numbers, ``X`` payload,
``D = S + 1 + K * F + X + 1`` numbers of a line.
"""

from __future__ import annotations

from typing import NamedTuple

from envs.spec import Channel, WorldSpec
from envs.stepper import Observation, Ragged
from envs.support.lazy_torch import torch
from envs.world import Episodes, Given

BODY, OBJECTS, DEMONSTRATION = "body", "objects", "demonstration"
"""The channels."""


class Sizes(NamedTuple):
    """S, F and X of a world; F is 0 where there are no objects."""

    body: int
    object: int
    payload: int

    def width(self, objects: int) -> int:
        """D, with so many objects."""
        return self.body + 1 + objects * self.object + self.payload + 1


class Demonstration(NamedTuple):
    """Demonstrations of a batch.

    Attributes:
        body_BLS, objects_BLKF, action_BLX: float32, zeros behind the end and where there is nothing.
        count_B, length_B: int64, how many objects there are, and how many moments.
        told_B: bool, whether actions are told.
    """

    body_BLS: torch.Tensor
    objects_BLKF: torch.Tensor
    count_B: torch.Tensor
    action_BLX: torch.Tensor
    told_B: torch.Tensor
    length_B: torch.Tensor

    def without_actions(self, silent_B: torch.Tensor) -> Demonstration:
        """The same; where ``silent_B`` (bool) is true the actions are not told."""
        action_BLX = self.action_BLX.masked_fill(silent_B[:, None, None], 0.0)
        return self._replace(action_BLX=action_BLX, told_B=self.told_B & ~silent_B)

    def select(self, index_B: torch.Tensor) -> Demonstration:
        """Those named, in that order."""
        return Demonstration(*(part[index_B] for part in self))


def sizes_of(spec: WorldSpec) -> Sizes:
    """Of a world; ``ValueError`` where it has no body to move, says why, and what to do."""
    channels = {channel.name: channel for channel in spec.channels}
    body, payload = channels.get(BODY), spec.primitives[0].payload
    if body is None or len(body.shape) != 1 or payload is None:
        raise ValueError(
            f"world {spec.name} ({spec.kind}) has nothing to move by forces: it needs a channel {BODY!r} of one size, "
            "and a first primitive with a payload; use a kind such as reaching (envs/control)"
        )
    objects = channels.get(OBJECTS)
    if objects is not None and (len(objects.shape) != 2 or not objects.ragged):
        raise ValueError(f"world {spec.name}: its channel {OBJECTS!r} must have the shape (None, numbers of an object)")
    return Sizes(body.size, 0 if objects is None else objects.size, payload.size)


def channel_of(sizes: Sizes, objects: int, largest: float) -> Channel:
    """The declaration of the channel, for at most so many objects, and bodies of no larger numbers."""
    bound = max(largest, float(objects))  # their count is one of the numbers
    return Channel(DEMONSTRATION, (None, sizes.width(objects)), low=-bound, high=bound, per="episode")


def given_lines(spec: WorldSpec, given: Given, sizes: Sizes, objects: int) -> Ragged:
    """The demonstration that is laid in, in place of a world's own; ``ValueError`` for one of another shape."""
    line_BLD, width = given[DEMONSTRATION].float(), sizes.width(objects)
    if line_BLD.dim() != 3 or line_BLD.shape[1] == 0 or line_BLD.shape[2] != width:
        raise ValueError(
            f"world {spec.name}: a demonstration of the shape {tuple(line_BLD.shape)} is given; give "
            f"B x moments x {width}"
        )
    return Ragged(line_BLD, torch.full((len(line_BLD),), line_BLD.shape[1], device=line_BLD.device))


def packed(shown: Demonstration) -> Ragged:
    """As the channel holds it."""
    B, L = shown.body_BLS.shape[:2]
    count_BL1 = shown.count_B.float()[:, None, None].expand(B, L, 1)
    told_BL1 = shown.told_B.float()[:, None, None].expand(B, L, 1)
    line_BLD = torch.cat([shown.body_BLS, count_BL1, shown.objects_BLKF.flatten(2), shown.action_BLX, told_BL1], 2)
    exists_BL = torch.arange(L, device=line_BLD.device) < shown.length_B[:, None]
    return Ragged(line_BLD * exists_BL[:, :, None], shown.length_B)


def unpacked(held: Ragged, sizes: Sizes) -> Demonstration:
    """The inverse of :func:`packed`; ``ValueError`` for lines of another width."""
    line_BLD, length_B = held
    spare = line_BLD.shape[2] - sizes.width(0)
    if spare < 0 or (spare % sizes.object if sizes.object else spare):
        raise ValueError(
            f"lines of a demonstration have {line_BLD.shape[2]} numbers; with a body of {sizes.body}, objects of "
            f"{sizes.object} and actions of {sizes.payload} numbers there are {sizes.width(0)} and those of the objects"
        )
    parts = line_BLD.split([sizes.body, 1, spare, sizes.payload, 1], 2)
    K = spare // sizes.object if sizes.object else 0
    objects_BLKF = parts[2].reshape(*line_BLD.shape[:2], K, sizes.object)
    first_B2 = torch.cat([parts[1][:, 0], parts[4][:, 0]], 1)
    return Demonstration(
        parts[0], objects_BLKF, first_B2[:, 0].round().long(), parts[3], first_B2[:, 1] > 0.5, length_B
    )


def objects_of(seen: Observation, sizes: Sizes) -> tuple[torch.Tensor, torch.Tensor]:
    """objects_BKF and count_B of an observation; K is 0 in a world without any."""
    held = seen.channels.get(OBJECTS)
    if isinstance(held, Ragged):
        return held
    body_BS = seen.channels[BODY]
    assert isinstance(body_BS, torch.Tensor)
    return body_BS.new_zeros(len(body_BS), 0, sizes.object), torch.zeros_like(body_BS[:, 0], dtype=torch.int64)


def of_episodes(episodes: Episodes, sizes: Sizes) -> Demonstration:
    """What a rollout or a demonstrator did, as a demonstration to imitate."""
    bodies, things = [], []
    for seen in episodes.seen:
        body_BS = seen.channels[BODY]
        assert isinstance(body_BS, torch.Tensor)
        bodies.append(body_BS)
        things.append(objects_of(seen, sizes))
    count_B, length_B = things[0][1], episodes.live_TB.sum(0) + 1
    none_BX = bodies[0].new_zeros(len(bodies[0]), sizes.payload)
    acts = [none_BX if a.payload_BX is None else a.payload_BX[:, : sizes.payload] for a in episodes.actions or ()]
    action_BLX = torch.stack([*acts, none_BX] if acts else [none_BX] * len(bodies), 1)
    told_B = torch.full_like(count_B, bool(acts), dtype=torch.bool)
    objects_BLKF = torch.stack([held for held, _ in things], 1)
    exists_BL1 = (torch.arange(len(bodies), device=length_B.device) < length_B[:, None])[:, :, None]
    acted_BL1 = (torch.arange(len(bodies), device=length_B.device) < length_B[:, None] - 1)[:, :, None]
    return Demonstration(
        torch.stack(bodies, 1) * exists_BL1, objects_BLKF * exists_BL1[..., None], count_B, action_BLX * acted_BL1,
        told_B, length_B,
    )  # fmt: skip
