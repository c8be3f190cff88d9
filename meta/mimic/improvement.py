"""Acts that a critic finds better than a policy's own, to which a policy is then drawn.

Where a reward is rare the slope of its critic along an act is mostly noise, and a policy that climbs it goes astray.
Which of several acts is worth more, it tells much sooner. So policies of tasks are drawn to acts and not along slopes.

Shape legend: ``M`` transitions, ``K`` acts for each, ``X`` payload, ``P`` parameters of a row.
"""

from __future__ import annotations

import math

import torch

from envs.stepper import Observation
from meta.mimic.critic import Critic
from meta.mimic.network import FEATURES, WINDOW

SHARPNESS, BELIEF, MOST = 20.0, 12.0, 20.0
"""By how much the weight of an act grows with the share by which it is worth more than another: e to this power. The
first one is of acts that a critic was asked about, the second of acts in the memory, by what they brought, where the
weight is :data:`MOST` at most."""

SMALL = 0.05
"""What is added to worths before shares of them are taken: the noise of small ones is none of their differences."""

NEAR, FAR, DIRECTIONS = 0.25, 0.7, 8
"""Offsets of the acts that a critic is asked about."""


def better_acts(
    critic: Critic, row_MP: torch.Tensor, seen: Observation, own_MX: torch.Tensor, done_MX: torch.Tensor
) -> torch.Tensor:
    """The mean of several acts, weighted by e to the power of their worth (Abdolmaleki et al. 2018, MPO, section 4.1).

    Asked about are the policy's own act, the one that was done, and some around the own one.
    """
    around_MKX = (own_MX[:, None] + offsets(own_MX.device)).clamp(-1, 1)
    act_MKX = torch.cat([own_MX[:, None], done_MX[:, None], around_MKX], 1)
    M, K = act_MKX.shape[:2]
    every_M = torch.arange(M, device=own_MX.device).repeat_interleave(K)
    worth_MK = critic.value(row_MP[every_M], chosen(seen, every_M), act_MKX.flatten(0, 1)).view(M, K)
    weight_MK = (SHARPNESS * worth_MK / (worth_MK[:, :1] + SMALL)).softmax(1)
    return (weight_MK[..., None] * act_MKX).sum(1)


def advantage_weight(brought_M: torch.Tensor, own_M: torch.Tensor) -> torch.Tensor:
    """float32 M: how strongly a policy is drawn to acts that brought more or less than its own are worth.

    The exponential filter of Wang et al. (2020, critic-regularised regression, section 3), with n-step returns.
    """
    return (BELIEF * (brought_M - own_M) / (own_M + SMALL)).exp().clamp(max=MOST)


def offsets(device: torch.device) -> torch.Tensor:
    """float32 K × 2: in all directions, near and far."""
    angle_K = torch.arange(DIRECTIONS, device=device) * (2 * math.pi / DIRECTIONS)
    direction_KX = torch.stack([angle_K.cos(), angle_K.sin()], 1)
    return torch.cat([NEAR * direction_KX, FAR * direction_KX])


def chosen(kept: Observation, place_M: torch.Tensor) -> Observation:
    """What is remembered of these transitions (places or bools)."""
    parts = {name: kept.channels[name] for name in (FEATURES, WINDOW)}
    channels = {name: part[place_M] for name, part in parts.items() if isinstance(part, torch.Tensor)}
    return Observation(kept.fields_BF[place_M], channels)
