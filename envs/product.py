"""A product of worlds: one program acts in several, and sees all of them.

Fields, primitives and channels stand one part after the other; tokens are shared by name. A name is qualified by its
part (``cards.LAST``) only where two parts have it. What a learned program does in a part is translated to the whole
(:meth:`Product.whole_action`), and what it sees back (:meth:`Product.part_observation`), so that a core which was
trained in the part alone serves it here.

Shape legend: ``B`` instances, ``F`` fields, ``V`` tokens of the product.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from envs.spec import Signature, Slot, SpecError, WorldSpec
from envs.stepper import Action, LazyChannels, Observation
from envs.support.lazy_torch import torch
from envs.world import Audible, Ending, Given, Layout, Scored, World, check_given

KIND = "product"

Make = Callable[[str, str, Mapping[str, Any]], World[Any]]
"""Of a kind, a name and settings."""


@dataclass
class ProductState:
    """The states of the parts, of the same instances."""

    parts: tuple[Any, ...]

    @property
    def batch(self) -> int:
        return int(self.parts[0].batch)

    @property
    def device(self) -> torch.device:
        device: torch.device = self.parts[0].device
        return device

    def select(self, index_B: torch.Tensor) -> ProductState:
        return ProductState(tuple(part.select(index_B) for part in self.parts))

    def spend(self, acts: int) -> None:
        for part in self.parts:
            part.spend(acts)


class Product:
    """The world (implements ``World[ProductState]``, ``Scored``, ``Ending``); see the head of this file.

    Args:
        name: as in the program file.
        config: ``parts``, a list of the parts' ``name``, ``kind`` and ``config``.
        make: makes the parts.

    Raises :class:`SpecError` for fewer than two parts, for two of one name, and for settings that are none.
    """

    def __init__(self, name: str, config: Mapping[str, Any], make: Make) -> None:
        declared = config.get("parts", ())
        if set(config) != {"parts"} or len(declared) < 2:
            raise SpecError(f"world {name} joins {len(declared)} worlds; give at least two, and nothing else")
        self.names = [part["name"] for part in declared]
        doubles = [part for part, count in Counter(self.names).items() if count > 1]
        if doubles:
            raise SpecError(f"world {name} joins two worlds that are called {doubles[0]}; rename one")
        self.parts: list[World[Any]] = [make(part["kind"], part["name"], part["config"]) for part in declared]
        specs = [part.spec for part in self.parts]
        self.tokens = tuple(dict.fromkeys(token for spec in specs for token in spec.tokens))
        fields, primitives, channels, scores = (
            self._qualified(names)
            for names in (
                [[f.name for f in (*spec.fields, *spec.hidden)] for spec in specs],
                [[p.name for p in spec.primitives] for spec in specs],
                [[c.name for c in spec.channels] for spec in specs],
                [list(part.scores) if isinstance(part, Scored) else [] for part in self.parts],
            )
        )
        self._channels, self._scores = channels, scores
        self.scores: Mapping[str, bool] = {
            scores[number][score]: more
            for number, part in enumerate(self.parts)
            if isinstance(part, Scored)
            for score, more in part.scores.items()
        }
        self.spec = WorldSpec(
            name=name,
            kind=KIND,
            config={"parts": [dict(part) for part in declared]},
            fields=tuple(replace(f, name=fields[n][f.name]) for n, spec in enumerate(specs) for f in spec.fields),
            tokens=self.tokens,
            primitives=tuple(
                self._signature(p, primitives[n][p.name], spec) for n, spec in enumerate(specs) for p in spec.primitives
            ),
            channels=tuple(
                replace(c, name=channels[n][c.name], fields=tuple(fields[n][field] for field in c.fields))
                for n, spec in enumerate(specs)
                for c in spec.channels
            ),
            hidden=tuple(replace(h, name=fields[n][h.name]) for n, spec in enumerate(specs) for h in spec.hidden),
        )
        self.first_call = [sum(len(spec.primitives) for spec in specs[:n]) for n in range(len(specs) + 1)]
        self.first_field = [sum(len(spec.fields) for spec in specs[:n]) for n in range(len(specs) + 1)]
        self._tokens: dict[torch.device, list[tuple[torch.Tensor, torch.Tensor]]] = {}
        self._read_names = [  # of each part, what it lays out or reads
            {f.name for f in (*spec.fields, *spec.hidden)} | {row["name"] for row in spec.config.get("rows", ())}
            for spec in specs
        ]

    # --- the world ----------------------------------------------------------------------------------------------------

    def reset(
        self, layouts: Sequence[Layout], *, given: Given | None = None, device: torch.device | str = "cpu"
    ) -> ProductState:
        """States whose parts are laid out by name; ``ValueError`` for a name that several parts have, or none."""
        check_given(self.spec, given, len(layouts))
        laid: list[list[dict[str, Sequence[int]]]] = [[{} for _ in layouts] for _ in self.parts]
        for instance, layout in enumerate(layouts):
            for name, symbols in layout.items():
                number, own = self._owner(name, instance)
                laid[number][instance][own] = symbols
        states = []
        for number, part in enumerate(self.parts):
            own_given = {own: given[name] for own, name in self._channels[number].items() if given and name in given}
            states.append(part.reset(laid[number], given=own_given, device=device))
        return ProductState(tuple(states))

    def observe(self, state: ProductState) -> Observation:
        seen = [part.observe(own) for part, own in zip(self.parts, state.parts, strict=True)]
        fields_BF = torch.cat([one.fields_BF for one in seen], 1)
        if not self.spec.channels:
            return Observation(fields_BF)
        channels = {
            self._channels[number][name]: partial(one.channels.__getitem__, name)
            for number, one in enumerate(seen)
            for name in one.channels
        }
        return Observation(fields_BF, LazyChannels(channels))

    def act(self, state: ProductState, action: Action, active_B: torch.Tensor) -> None:
        for number, (part, own) in enumerate(zip(self.parts, state.parts, strict=True)):
            mine, is_its_B = self._part_action(number, action)
            part.act(own, mine, active_B & is_its_B)

    def prepare(self, state: ProductState, acts: int) -> bool:
        self._on(state.device)
        moved = [part.prepare(own, acts) for part, own in zip(self.parts, state.parts, strict=True)]
        return any(moved)

    def legal(self, action: Action) -> torch.Tensor:
        legal_B = torch.zeros(len(action.call_B4), dtype=torch.bool, device=action.call_B4.device)
        for number, part in enumerate(self.parts):
            mine, is_its_B = self._part_action(number, action)
            legal_B = legal_B | (is_its_B & part.legal(mine))
        return legal_B

    def read(self, state: ProductState) -> list[dict[str, list[int]]]:
        readings: list[dict[str, list[int]]] = [{} for _ in range(state.batch)]
        for number, (part, own) in enumerate(zip(self.parts, state.parts, strict=True)):
            for reading, of_part in zip(readings, part.read(own), strict=True):
                reading |= {self.whole_name(number, name): symbols for name, symbols in of_part.items()}
        return readings

    def close(self, state: ProductState) -> None:
        for part, own in zip(self.parts, state.parts, strict=True):
            part.close(own)

    def score(self, state: ProductState) -> dict[str, torch.Tensor]:
        return {
            self._scores[number][name]: score_B
            for number, (part, own) in enumerate(zip(self.parts, state.parts, strict=True))
            if isinstance(part, Scored)
            for name, score_B in part.score(own).items()
        }

    def detach(self, state: ProductState) -> None:
        for part, own in zip(self.parts, state.parts, strict=True):
            if isinstance(part, Scored):
                part.detach(own)

    def ended(self, state: ProductState) -> torch.Tensor:
        """bool B: every part has come to its end."""
        return self.ended_parts(state).all(1)

    def ended_parts(self, state: ProductState) -> torch.Tensor:
        """bool, B x parts: which have come to their ends; a part without one never does."""
        never_B = torch.zeros(state.batch, dtype=torch.bool, device=state.device)
        parts = zip(self.parts, state.parts, strict=True)
        return torch.stack([part.ended(own) if isinstance(part, Ending) else never_B for part, own in parts], 1)

    # --- what crosses between a part and the whole --------------------------------------------------------------------

    def part_observation(self, number: int, seen: Observation) -> Observation:
        """What a program sees that knows one part alone."""
        fields_BF = seen.fields_BF[:, self.first_field[number] : self.first_field[number + 1]]
        own = {own: partial(seen.channels.__getitem__, name) for own, name in self._channels[number].items()}
        return Observation(fields_BF, LazyChannels(own))

    def part_tokens(self, number: int, tokens_B3: torch.Tensor) -> torch.Tensor:
        """Tokens in the ids of a part; -1 for one that the part does not have."""
        token_V, _ = self._on(tokens_B3.device)[number]
        inside_B3 = (tokens_B3 >= 0) & (tokens_B3 < len(self.tokens))
        return token_V[torch.where(inside_B3, tokens_B3, len(self.tokens))]

    def whole_action(self, number: int, action: Action) -> Action:
        """An action of a part as one of the product; returns stay returns."""
        _, token_V = self._on(action.call_B4.device)[number]
        callee_B1 = action.call_B4[:, :1]
        callee_B1 = torch.where(callee_B1 >= 0, callee_B1 + self.first_call[number], callee_B1)
        payload_BX = action.payload_BX
        if payload_BX is not None:
            payload_BX = torch.nn.functional.pad(payload_BX, (0, self.spec.payload_width - payload_BX.shape[1]))
        return Action(torch.cat([callee_B1, token_V[action.call_B4[:, 1:]]], 1), payload_BX, action.given_B)

    def _part_action(self, number: int, action: Action) -> tuple[Action, torch.Tensor]:
        """An action in the ids of a part, and whether it is the part's."""
        call_B4, spec = action.call_B4, self.parts[number].spec
        tokens_B3 = self.part_tokens(number, call_B4[:, 1:])
        callee_B1 = call_B4[:, :1] - self.first_call[number]
        is_its_B = ((callee_B1 >= 0) & (callee_B1 < len(spec.primitives)))[:, 0]
        payload_BX = action.payload_BX
        if payload_BX is not None:
            payload_BX = payload_BX[:, : spec.payload_width] if spec.payload_width else None
        return Action(torch.cat([callee_B1, tokens_B3], 1), payload_BX, action.given_B), is_its_B

    def _on(self, device: torch.device) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Of each part: its token for each of the product (-1: none; the last: out of range), and back."""
        if device not in self._tokens:
            self._tokens[device] = []
            for part in self.parts:
                own = {token: index for index, token in enumerate(part.spec.tokens)}
                there = torch.tensor([*(own.get(token, -1) for token in self.tokens), -1], device=device)
                back = torch.tensor([self.tokens.index(token) for token in part.spec.tokens], device=device)
                self._tokens[device].append((there, back))
        return self._tokens[device]

    # --- names --------------------------------------------------------------------------------------------------------

    def _qualified(self, names: Sequence[Iterable[str]]) -> list[dict[str, str]]:
        """For each part, its names → those in the product."""
        counts = Counter(name for part in names for name in part)
        return [
            {name: f"{self.names[number]}.{name}" if counts[name] > 1 else name for name in part}
            for number, part in enumerate(names)
        ]

    def _signature(self, signature: Signature, name: str, spec: WorldSpec) -> Signature:
        slots = tuple(
            Slot(slot.name, tuple(self.tokens.index(spec.tokens[token]) for token in slot.tokens))
            for slot in signature.slots
        )
        return replace(signature, name=name, slots=slots)

    def _owner(self, name: str, instance: int) -> tuple[int, str]:
        """The part that a name of a layout belongs to, and its name there."""
        head, _, own = name.partition(".")
        if own and head in self.names:
            return self.names.index(head), own
        owners = [number for number, names in enumerate(self._read_names) if name in names]
        if len(owners) != 1:
            what = "is a part of several; write it as PART." + name if owners else "is a part of none of them"
            raise ValueError(f"instance {instance} of world {self.spec.name}: {name!r} {what}")
        return owners[0], name

    def whole_name(self, number: int, name: str) -> str:
        """What a name of a part, of those that it lays out or reads, is in the product."""
        clashes = any(name in names for other, names in enumerate(self._read_names) if other != number)
        return f"{self.names[number]}.{name}" if clashes else name


def audible(world: World[Any]) -> bool:
    """Whether something can be heard in a world, or in a part of it."""
    return any(isinstance(part, Audible) for part in (world.parts if isinstance(world, Product) else [world]))


def heard(world: World[Any], state: Any, instance: int = 0) -> list[Any]:
    """What was said in an instance, of each part in which something was (:meth:`envs.world.Audible.heard`)."""
    parts = zip(world.parts, state.parts, strict=True) if isinstance(world, Product) else [(world, state)]
    found = [part.heard(own, instance) for part, own in parts if isinstance(part, Audible)]
    return [one for one in found if one is not None]
