"""The scratchpads of a world: itself, or those that joined worlds have as parts, read off the declaration alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from envs.product import KIND as PRODUCT
from envs.scratchpad.config import KIND, PadConfig, pad_spec
from envs.spec import WorldSpec


@dataclass(frozen=True)
class PadPart:
    """A scratchpad, and where it lies in the whole world.

    Attributes:
        spec, config: of the pad alone.
        act: the id of its one primitive in the whole. fields, tokens: of each of its own, the index in the whole.
    """

    spec: WorldSpec
    config: PadConfig
    act: int
    fields: tuple[int, ...]
    tokens: tuple[int, ...]

    def own_call(self, call: Sequence[int]) -> tuple[int, ...]:
        """A call of its primitive, in its own ids."""
        return (0, *(self.tokens.index(token) for token in call[1:]))

    @property
    def named(self) -> frozenset[int]:
        """Tokens of the whole that are its pointers and actions, or none; the others are symbols."""
        return frozenset(self.tokens[: self.config.first_pointer + len(self.config.pointers)])


MAX_KEPT = 64
"""Worlds whose scratchpads are kept; asked for at every call that is checked."""

_KEPT: dict[str, tuple[PadPart, ...]] = {}


def pads_of(spec: WorldSpec) -> tuple[PadPart, ...]:
    """The scratchpads of a world, in the order of its parts; none for a world of another kind."""
    if spec.kind not in (KIND, PRODUCT):
        return ()
    if (found := _KEPT.get(spec.digest)) is None:
        if len(_KEPT) >= MAX_KEPT:
            _KEPT.clear()
        found = _KEPT[spec.digest] = _pads(spec)
    return found


def _pads(spec: WorldSpec) -> tuple[PadPart, ...]:
    if spec.kind == KIND:
        fields, tokens = tuple(range(len(spec.fields))), tuple(range(len(spec.tokens)))
        return (PadPart(spec, PadConfig.from_json(spec.config), 0, fields, tokens),)
    fields_by_name = {field.name: index for index, field in enumerate(spec.fields)}
    acts_by_name = {signature.name: index for index, signature in enumerate(spec.primitives)}
    token_by_name = {token: index for index, token in enumerate(spec.tokens)}
    found = []
    for part in spec.config["parts"]:
        if part["kind"] == KIND:
            config = PadConfig.from_json(part["config"])
            own = pad_spec(part["name"], KIND, config)
            fields = tuple(_whole(fields_by_name, part["name"], field.name) for field in own.fields)
            act = _whole(acts_by_name, part["name"], own.primitives[0].name)
            found.append(PadPart(own, config, act, fields, tuple(token_by_name[token] for token in own.tokens)))
    return tuple(found)


def _whole(index: Mapping[str, int], part: str, name: str) -> int:
    """A name of a part is written with the part's in front where another part has it, too."""
    return index[name] if name in index else index[f"{part}.{name}"]
