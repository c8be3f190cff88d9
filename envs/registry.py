"""The kinds of worlds that a program file can name.

To add a kind: write a world (``envs/world.py``), check it with ``envs.conformance.check_world``, and offer it as an
entry point of the group ``npi.worlds``, or add it with :func:`register_world` in a module that is imported
(:mod:`envs.support.plugins`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from envs import product
from envs.black_box import ask_tell
from envs.black_box import world as black_box
from envs.cars import world as cars
from envs.control import puzzle_box, puzzle_box_settings, reaching, stacking, stacking_settings
from envs.episodic import bandit, harlow, two_step
from envs.images import sines
from envs.objectives import training
from envs.objectives import world as objectives
from envs.physics import blocks
from envs.scratchpad import world as scratchpad
from envs.settings import closest
from envs.spec import SpecError, WorldSpec
from envs.support.plugins import load, offered
from envs.world import World

GROUP = "npi.worlds"
"""The group of entry points that kinds of worlds outside of the engine are found by."""

Factory = Callable[..., World[Any]]
"""Makes a world from its name and its JSON-able settings; where it is given data, from ``data=`` by name, too."""


def _gymnasium(name: str, config: Mapping[str, Any]) -> World[Any]:
    """Environments of Gymnasium, which is an extra and is imported with the first of them."""
    try:
        from envs.episodic.gymnasium_world import Gymnasium
    except ModuleNotFoundError as error:
        raise SpecError(f"world {name} needs {error.name}: pip install 'npi-engine[gym]'") from error
    return Gymnasium(name, config)


def _towers(name: str, config: Mapping[str, Any]) -> World[Any]:
    """Towers, whose engine of physics is an extra and is imported with the first of them."""
    try:
        from envs.physics.towers import Towers
    except ModuleNotFoundError as error:
        raise SpecError(f"world {name} needs {error.name}: pip install 'npi-engine[physics]'") from error
    return Towers(name, config)


def _images(name: str, config: Mapping[str, Any], **data: Any) -> World[Any]:
    """Pictures, whose readers and generator are imported with the first of them."""
    from envs.images.world import Images

    return Images(name, config, **data)


def _pen(name: str, config: Mapping[str, Any]) -> World[Any]:
    """A pen, whose readers and generator of strokes are imported with the first of it."""
    from envs.control.pen import Pen

    return Pen(name, config)


def _speech(name: str, config: Mapping[str, Any], **data: Any) -> World[Any]:
    """Recorded speech, whose readers are imported with the first of it."""
    from envs.speech.world import Speech

    return Speech(name, config, **data)


def _utterances(name: str, config: Mapping[str, Any]) -> World[Any]:
    """Words that are said, whose readers are imported with the first of them."""
    from envs.speech.utterances import Utterances

    return Utterances(name, config)


KINDS: dict[str, Factory] = {
    scratchpad.KIND: scratchpad.Scratchpad,
    cars.KIND: cars.Cars,
    bandit.KIND: bandit.Bandit,
    two_step.KIND: two_step.TwoStep,
    harlow.KIND: harlow.Harlow,
    objectives.KIND: objectives.Optimisee,
    training.KIND: training.Training,
    black_box.KIND: black_box.BlackBox,
    ask_tell.KIND: ask_tell.AskTell,
    blocks.KIND: blocks.Blocks,
    puzzle_box_settings.KIND: puzzle_box.PuzzleBox,
    "towers": _towers,
    "images": _images,
    sines.KIND: sines.Sines,
    reaching.KIND: reaching.Reaching,
    stacking_settings.KIND: stacking.Stacking,
    "pen": _pen,
    "speech": _speech,
    "utterances": _utterances,
    "gymnasium": _gymnasium,
    product.KIND: lambda name, config: product.Product(name, config, make),
}
"""The engine's own kinds, and those that were registered."""

_OWN = frozenset(KINDS)


def world_kinds() -> list[str]:
    """What ``world NAME is KIND`` can name."""
    packages = offered(GROUP)
    return list(dict.fromkeys([*KINDS, *packages]))


def make(kind: str, name: str, config: Mapping[str, Any], *, data: Mapping[str, Any] | None = None) -> World[Any]:
    """A world of a kind.

    Args:
        data: what its settings do not hold, such as arrays of a data set, by name.

    Raises ``ValueError`` for a kind that is not registered, naming the closest one, and what the world raises for
    settings that it does not take (:class:`envs.spec.SpecError`, which is a ``ValueError``).
    """
    if kind not in KINDS:
        packages = offered(GROUP)
        if kind not in KINDS and kind not in packages:
            raise ValueError(f"world {name}: there is no kind of world {kind!r}{closest(kind, world_kinds())}")
        factory = KINDS.get(kind) or load(packages[kind])
    else:
        factory = KINDS[kind]
    return factory(name, config, data=data) if data else factory(name, config)


def joined_world(spec: WorldSpec) -> product.Product | None:
    """The product of worlds that a declaration is of; None for any other."""
    world = make(spec.kind, spec.name, spec.config) if spec.kind == product.KIND else None
    return world if isinstance(world, product.Product) else None


def registered_kinds() -> set[str]:
    """The kinds that this process alone knows: another one knows the engine's own and those of entry points."""
    return KINDS.keys() - _OWN


def register_world(kind: str, factory: Factory) -> None:
    """Add a kind; raises ``ValueError`` where another one has its name."""
    if KINDS.setdefault(kind, factory) is not factory:
        raise ValueError(f"a kind of world {kind!r} is registered already; choose another name")
