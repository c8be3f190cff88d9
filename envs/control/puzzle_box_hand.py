"""The hand and the box: where things lie, how they move, and a demonstrator that knows what to do.

Shape legend: ``B`` instances, ``S`` steps of the task, ``W`` waypoints of a demonstrator, ``L`` frames.
"""

from __future__ import annotations

from typing import NamedTuple

from envs.control.puzzle_box_settings import IRRELEVANT, STEPS, PuzzleBoxConfig
from envs.support.counter_rng import mixed, share, uniform
from envs.support.lazy_torch import torch

CELLS, SPACING, JITTER = 3, 2 / 3, 0.12
"""Sites and the hand begin in cells of a square grid, off the middles by at most this; so no two sites overlap."""

REACHED = 0.15
"""The distance within which a demonstrator has come by a waypoint that is no site."""

BEND = 0.35
"""How far a detour leads aside."""

PLACES, OFFSETS, WALL, ORDER, BENDS, SIDES, SHUFFLES, TREMOR = range(91, 99)
"""What is drawn, as a part of the numbers that are mixed."""


class Body(NamedTuple):
    """hand_B2 and velocity_B2 of the hand; progress_BS of each step of the task, from 0 to 1 (done)."""

    hand_B2: torch.Tensor
    velocity_B2: torch.Tensor
    progress_BS: torch.Tensor


class Scene(NamedTuple):
    """What a layout is: bits_B, from which all that is drawn follows; site_BS2, start_B2, and transparent_B (bool)."""

    bits_B: torch.Tensor
    site_BS2: torch.Tensor
    start_B2: torch.Tensor
    transparent_B: torch.Tensor


class Shown(NamedTuple):
    """Demonstrations: frame_BLD, length_B (frames), and command_BT2, which nobody but an oracle sees (T = L − 1)."""

    frame_BLD: torch.Tensor
    length_B: torch.Tensor
    command_BT2: torch.Tensor


def scenes(number_B: torch.Tensor, split_B: torch.Tensor) -> Scene:
    """Layouts by their numbers and splits, int64."""
    bits_B = mixed(number_B, split_B)
    cell_C = torch.arange(CELLS**2, device=number_B.device)
    chosen_BC = uniform(bits_B[:, None], PLACES, cell_C).argsort(1)[:, : len(STEPS) + 1]
    middle_BC2 = torch.stack([chosen_BC % CELLS, chosen_BC // CELLS], 2) * SPACING - SPACING
    axis_2 = torch.arange(2, device=number_B.device)
    place_BC = torch.arange(len(STEPS) + 1, device=number_B.device)[:, None] * 2 + axis_2
    offset_BC2 = JITTER * (2 * uniform(bits_B[:, None, None], OFFSETS, place_BC) - 1)
    point_BC2 = (middle_BC2 + offset_BC2).float()
    return Scene(bits_B, point_BC2[:, 1:], point_BC2[:, 0], uniform(bits_B, WALL) < 0.5)


def moved(config: PuzzleBoxConfig, body: Body, command_B2: torch.Tensor, site_BS2: torch.Tensor) -> Body:
    """A moment later; commands longer than 1 count as of length 1."""
    wanted_B2 = config.speed * command_B2 / command_B2.norm(dim=1, keepdim=True).clamp(min=1)
    velocity_B2 = body.velocity_B2 + config.response * (wanted_B2 - body.velocity_B2)
    hand_B2 = (body.hand_B2 + velocity_B2).clamp(-1, 1)
    velocity_B2 = (hand_B2 - body.hand_B2).clamp(-config.speed, config.speed)
    return Body(hand_B2, velocity_B2, advanced(config, body.progress_BS, touching(config, hand_B2, site_BS2)))


def touching(config: PuzzleBoxConfig, hand_B2: torch.Tensor, site_BS2: torch.Tensor) -> torch.Tensor:
    """bool B × S: the sites that the hand is at."""
    return (site_BS2 - hand_B2[:, None]).square().sum(2) <= config.radius**2


def advanced(config: PuzzleBoxConfig, progress_BS: torch.Tensor, touched_BS: torch.Tensor) -> torch.Tensor:
    """How far each step has come: it needs some acts in a row; of the relevant ones each needs the one before it."""
    done_BS = progress_BS > 1 - 0.5 / config.dwell
    needed_BS = torch.cat([torch.ones_like(done_BS[:, : IRRELEVANT + 1]), done_BS[:, IRRELEVANT:-1]], 1)
    further_BS = torch.where(touched_BS & needed_BS, (progress_BS + 1 / config.dwell).clamp(max=1), 0.0)
    return torch.where(done_BS, 1.0, further_BS)


def demonstrated(config: PuzzleBoxConfig, scene: Scene) -> Shown:
    """A demonstration of each layout: all six steps, with detours and an unsteady hand, until the reward is out.

    Where a hand that shuffles its steps gets the reward in passing, before it has done all, it keeps the usual order.
    """
    usual_BS = torch.arange(len(STEPS), device=scene.bits_B.device).expand(len(scene.bits_B), -1)
    order_BS = _order(config, scene.bits_B)
    found = _demonstrated(config, scene, order_BS)
    early_B = (found.frame_BLD[..., -1] == 1).long().argmax(1) < found.length_B - 1
    if not bool(early_B.any()):
        return found
    return _demonstrated(config, scene, torch.where(early_B[:, None], usual_BS, order_BS))


def _demonstrated(config: PuzzleBoxConfig, scene: Scene, order_BS: torch.Tensor) -> Shown:
    """Demonstrations with the steps in these orders."""
    B = len(scene.start_B2)
    way_BW2, used_BW = _ways(config, scene, order_BS)
    place_B = torch.zeros_like(scene.bits_B)
    still_B2 = torch.zeros_like(scene.start_B2)
    body = Body(scene.start_B2, still_B2, still_B2.new_zeros(B, len(STEPS)))
    frames, commands, acts_B = [_frame(body)], list[torch.Tensor](), torch.zeros_like(scene.bits_B)
    for step in range(config.steps):
        goes_B = place_B < 2 * len(STEPS)
        if not bool(goes_B.any()):
            break
        place_B = _skipped(place_B, used_BW)
        at_B11 = place_B.clamp(max=2 * len(STEPS) - 1)[:, None, None]
        way_B2 = way_BW2.gather(1, at_B11.expand(-1, 1, 2))[:, 0]
        command_B2 = _command(config, scene.bits_B, step, way_B2 - body.hand_B2)
        after = moved(config, body, command_B2, scene.site_BS2)
        body = Body(*(torch.where(goes_B[:, None], new, old) for new, old in zip(after, body, strict=True)))
        frames.append(_frame(body))
        commands.append(command_B2)
        acts_B = acts_B + goes_B
        near_B = (way_B2 - body.hand_B2).norm(dim=1) < REACHED
        step_B1 = order_BS.gather(1, (place_B // 2).clamp(max=len(STEPS) - 1)[:, None])
        done_B = body.progress_BS.gather(1, step_B1)[:, 0] == 1
        place_B = place_B + (goes_B & torch.where(place_B % 2 == 0, near_B, done_B))
    return Shown(torch.stack(frames, 1), acts_B + 1, torch.stack(commands, 1))


def _frame(body: Body) -> torch.Tensor:
    return torch.cat([body.hand_B2, body.progress_BS], 1)


def _order(config: PuzzleBoxConfig, bits_B: torch.Tensor) -> torch.Tensor:
    """int64 B × S: which step of the task comes when.

    In some layouts the irrelevant ones come anywhere before the reward; the relevant ones keep their order.
    """
    number_S = torch.arange(len(STEPS), device=bits_B.device)
    key_BS = uniform(bits_B[:, None], ORDER, number_S)
    key_BS = torch.cat([key_BS[:, :IRRELEVANT], key_BS[:, IRRELEVANT:].sort(1).values], 1)
    key_BS = torch.where(number_S == len(STEPS) - 1, 1.0, key_BS)
    shuffled_B1 = (uniform(bits_B, SHUFFLES) < config.shuffled)[:, None]
    return torch.where(shuffled_B1, key_BS, number_S / len(STEPS)).argsort(1)


def _ways(config: PuzzleBoxConfig, scene: Scene, order_BS: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """way_BW2 and used_BW (bool): before each site a bend, which is used where the demonstrator takes a detour."""
    number_S = torch.arange(len(STEPS), device=scene.bits_B.device)
    to_BS2 = scene.site_BS2.gather(1, order_BS[:, :, None].expand(-1, -1, 2))
    from_BS2 = torch.cat([scene.start_B2[:, None], to_BS2[:, :-1]], 1)
    along_BS2 = to_BS2 - from_BS2
    aside_BS2 = torch.stack([-along_BS2[..., 1], along_BS2[..., 0]], 2) / along_BS2.norm(dim=2, keepdim=True)
    side_BS = torch.where(uniform(scene.bits_B[:, None], SIDES, number_S) < 0.5, -BEND, BEND).float()
    bend_BS2 = (from_BS2 + 0.5 * along_BS2 + side_BS[..., None] * aside_BS2).clamp(-1, 1)
    bends_BS = uniform(scene.bits_B[:, None], BENDS, number_S) < config.detours
    way_BW2 = torch.stack([bend_BS2, to_BS2], 2).flatten(1, 2)
    return way_BW2, torch.stack([bends_BS, torch.ones_like(bends_BS)], 2).flatten(1)


def _skipped(place_B: torch.Tensor, used_BW: torch.Tensor) -> torch.Tensor:
    """The place of the next waypoint that is on the way."""
    last = used_BW.shape[1] - 1
    used_B = used_BW.gather(1, place_B.clamp(max=last)[:, None])[:, 0]
    return torch.where(used_B | (place_B > last), place_B, place_B + 1)


def _command(config: PuzzleBoxConfig, bits_B: torch.Tensor, step: int, gap_B2: torch.Tensor) -> torch.Tensor:
    """Towards a waypoint, at the demonstrator's pace and with its tremor."""
    wanted_B2 = gap_B2 / config.speed
    wanted_B2 = config.pace * wanted_B2 / wanted_B2.norm(dim=1, keepdim=True).clamp(min=1)
    axis_2 = torch.arange(2, device=bits_B.device)
    chance_B2 = share(mixed(bits_B[:, None], TREMOR, step, axis_2)).clamp(2.0**-53)
    tremor_B2 = config.tremor * torch.special.ndtri(chance_B2).float()
    return (wanted_B2 + tremor_B2).clamp(-1, 1)
