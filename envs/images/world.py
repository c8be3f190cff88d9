"""Episodes of pictures that are named from a few examples (Lake et al. 2015; Vinyals et al. 2016; Santoro et al. 2016).

An episode has some classes of a data set, each with a label of its own: those of one alphabet, or of all of them. Its
**support set** shows some drawings of each class, in the order of the labels; then other drawings of the same classes
are shown one at a time, and ``LABEL`` names each of them. Where the right label is told after each answer there needs
to be no support set: what is drawn is learned on the way.

Shape legend: ``B`` instances, ``L`` pictures of a support set, ``Q`` pictures that are shown after it, ``W`` labels,
``S`` pixels of a side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from envs.episodic.trials import EPISODE, EpisodeState, Trials, digits, episode_number
from envs.images.data import drawings
from envs.images.drawings import Drawings
from envs.settings import closest, laid_value, one_of, read_settings, within
from envs.spec import NONE, Channel, Field, Signature, Slot, SpecError, WorldSpec
from envs.stepper import Action, LazyChannels, Observation, Ragged
from envs.support.lazy_torch import torch
from envs.world import Episodes, Given, Layout, check_given

KIND = "images"

SUPPORT, PICTURE = "support", "picture"
"""The channels: the support set, constant over an episode, and the picture that is to be named."""

SPLITS = ("train", "validation", "test")

SPLIT = Field("SPLIT", SPLITS)
"""The hidden part that says which classes an episode is about."""

PICTURES = Field("PICTURES", tuple(map(str, range(10))))
"""The hidden part that says how many pictures are shown, as decimal digits."""

WITHIN = ("alphabet", "all")
"""Where the classes of an episode are from: one group of the data set, or any."""

ORDER = ("evenly", "freely")
"""How often each class is shown: as often as the others (but for one), or by chance."""

MAX_PICTURES = 1000
"""Of an episode."""


@dataclass(frozen=True)
class ImagesConfig:
    """The settings of ``images(…)`` in a program file.

    Attributes:
        data: ``strokes``, or a name that is bound to a folder when a command is run.
        ways: W, the classes of an episode; of a group that has fewer, all of them.
        shots: drawings of each class in the support set.
        queries: pictures that are shown after it, where an episode does not say another number.
        within, order: of :data:`WITHIN` and :data:`ORDER`.
        told: ``yes`` where the right label is told after each answer.
        test, validation: names of groups, apart by commas, whose classes are drawn in these splits alone. Where none is
            named, each tenth group is for tests.
        only: names of groups: all other ones are left out.
        alphabets: how many are generated, of ``strokes``.
        pixels: S.
    """

    data: str = "strokes"
    ways: int = 20
    shots: int = 1
    queries: int = 20
    within: str = "alphabet"
    order: str = "evenly"
    told: str = "no"
    test: str = ""
    validation: str = ""
    only: str = ""
    alphabets: int = 30
    pixels: int = 32

    def __post_init__(self) -> None:
        for key, low, high in (
            ("ways", 2, 500), ("shots", 0, 100), ("queries", 1, MAX_PICTURES), ("pixels", 8, 128),
            ("alphabets", 1, 1000),
        ):  # fmt: skip
            within("images", key, getattr(self, key), low, high)
        one_of("images", "within", self.within, WITHIN)
        one_of("images", "order", self.order, ORDER)
        one_of("images", "told", self.told, ("yes", "no"))
        if not self.shots and self.told == "no":
            raise SpecError("images without a support set (shots: 0) whose labels are not told can't be named; "
                            "write told: yes")  # fmt: skip


@dataclass
class ImagesState(EpisodeState):
    """A batch of episodes.

    Attributes:
        split_B: int64, an index into :data:`SPLITS`. count_B: pictures that are shown, Q at most.
        place_B: pictures that are named. right_B: whether the last answer was right, 0 or 1.
        length_B: L of each instance.
        support_BL, query_BQ: int64, pictures of the data set; what an instance does not have is 0.
        label_BQ, said_BQ: right labels and answers, from 1; 0 where there is none.
        given_BLSS: float32, a support set that was given in place of the data set's, or nothing.
    """

    split_B: torch.Tensor
    count_B: torch.Tensor
    place_B: torch.Tensor
    right_B: torch.Tensor
    length_B: torch.Tensor
    support_BL: torch.Tensor
    query_BQ: torch.Tensor
    label_BQ: torch.Tensor
    said_BQ: torch.Tensor
    given_BLSS: torch.Tensor


@dataclass(frozen=True)
class Episode:
    """What an episode's number stands for: pictures of the data set, and the right labels (from 1) of those shown."""

    support: np.ndarray
    queries: np.ndarray
    labels: np.ndarray


class Images(Trials[ImagesState]):
    """The world (implements ``World[ImagesState]``, ``Scored``, ``Ending``, ``Privileged``, ``Demonstrated``).

    Args:
        data: drawings by the name of their data set, in place of those that are bound.
    """

    scores: Mapping[str, bool] = MappingProxyType({"accuracy": True})

    def __init__(
        self, name: str, config: ImagesConfig | Mapping[str, Any], *, data: Mapping[str, Drawings] | None = None
    ) -> None:
        self.config = config if isinstance(config, ImagesConfig) else read_settings(ImagesConfig, config, f"{KIND}")
        self.spec = _spec(name, self.config)
        self._given = dict(data or {})
        self._pictures: dict[torch.device, torch.Tensor] = {}
        self._classes: dict[str, list[np.ndarray]] | None = None

    # --- the data set ------------------------------------------------------------------------------------------------

    @property
    def drawings(self) -> Drawings:
        """Of the data set; ``ValueError`` where it is bound to nothing, or is of another size."""
        if self.config.data not in self._given:
            self._given[self.config.data] = drawings(self.config.data, self.config.pixels, self.config.alphabets)
        found = self._given[self.config.data]
        if found.size != self.config.pixels:
            raise ValueError(
                f"world {self.spec.name} shows {self.config.pixels} pixels a side, and the data {self.config.data} "
                f"have {found.size}"
            )
        return found

    def classes(self, split: str) -> list[np.ndarray]:
        """The classes that the episodes of a split are drawn from, one array for each group that they are within.

        Raises ``ValueError`` where groups are named that there are not, or too few classes are left.
        """
        if self._classes is None:
            found = self.drawings
            enough_C = found.pictures_C > self.config.shots
            self._classes = {}
            for name, groups in _groups(self.spec.name, self.config, found.group_names).items():
                apart = [found.of_group(group) for group in groups]
                if self.config.within == "all":
                    apart = [np.concatenate([*apart, np.zeros(0, np.int64)])]
                self._classes[name] = [classes[enough_C[classes]] for classes in apart if enough_C[classes].sum() >= 2]
        if not self._classes[split]:
            raise ValueError(
                f"world {self.spec.name}: the data {self.config.data} have no group for {split} with two classes of "
                f"more than {self.config.shots} drawings; name others for it, or fewer shots"
            )
        return self._classes[split]

    def episode(self, number: int, split: str, count: int) -> Episode:
        """What an episode is about: a function of its number, the split, and how many pictures it shows."""
        apart, config = self.classes(split), self.config
        draw = np.random.default_rng([SPLITS.index(split), number])
        classes = apart[draw.integers(len(apart))]
        chosen = draw.permutation(classes)[: config.ways]
        shuffled = [draw.permutation(self.drawings.of_class(c)) for c in chosen]
        ways = len(chosen)
        label_Q = (
            draw.permutation(np.arange(count) % ways) if config.order == "evenly" else draw.integers(ways, size=count)
        )
        queries, shown = np.zeros(count, np.int64), np.full(ways, config.shots)
        for place, label in enumerate(label_Q):  # each drawing once, as long as there are any
            members = shuffled[label]
            queries[place] = members[config.shots + (shown[label] - config.shots) % (len(members) - config.shots)]
            shown[label] += 1
        support = np.concatenate([members[: config.shots] for members in shuffled]).astype(np.int64)
        return Episode(support, queries, label_Q + 1)

    # --- the world ---------------------------------------------------------------------------------------------------

    @property
    def parts(self) -> tuple[Field, ...]:
        return EPISODE, SPLIT, PICTURES

    def reset(
        self, layouts: Sequence[Layout], *, given: Given | None = None, device: torch.device | str = "cpu"
    ) -> ImagesState:
        """Episodes by their numbers, splits, and how many pictures they show.

        Args:
            given: ``support``, B × L × S × S, in place of the data set's.
        """
        state = super().reset(layouts, device=device)
        check_given(self.spec, given, len(layouts))
        if given and SUPPORT in given:
            support_BLSS = given[SUPPORT].to(device)
            side = self.config.pixels
            if support_BLSS.dim() != 4 or tuple(support_BLSS.shape[2:]) != (side, side):
                raise ValueError(
                    f"world {self.spec.name}: a support set of the shape {tuple(support_BLSS.shape)} is given; "
                    f"give B x L x {side} x {side}"
                )
            state.given_BLSS = support_BLSS.float()
            state.length_B = torch.full_like(state.length_B, support_BLSS.shape[1])
        return state

    def laid(self, number: int, layout: Layout) -> Sequence[int]:
        count = episode_number(number, layout, PICTURES.name) if PICTURES.name in layout else self.config.queries
        if not 1 <= count <= MAX_PICTURES:
            raise ValueError(f"instance {number}: {PICTURES.name} is {count}; give 1 to {MAX_PICTURES}")
        return episode_number(number, layout), laid_value(number, layout, SPLIT, 0), count

    def begun(self, laid_BX: torch.Tensor) -> ImagesState:
        device = laid_BX.device
        found = [self.episode(number, SPLITS[split], count) for number, split, count in laid_BX.tolist()]
        episode_B, split_B, count_B = (part.contiguous() for part in laid_BX.unbind(1))
        support_BL = _padded([episode.support for episode in found], device)
        label_BQ = _padded([episode.labels for episode in found], device)
        none_B = torch.zeros_like(episode_B)
        side = self.config.pixels
        return ImagesState(
            episode_B, split_B, count_B, none_B, none_B.clone(),
            torch.tensor([len(episode.support) for episode in found], device=device, dtype=torch.int64),
            support_BL, _padded([episode.queries for episode in found], device), label_BQ, torch.zeros_like(label_BQ),
            torch.zeros(len(found), 0, side, side, device=device),
        )  # fmt: skip

    def observe(self, state: ImagesState) -> Observation:
        shown_B = ~self.ended(state)
        columns = [shown_B.long(), self._last(state, state.said_BQ)]
        if self.config.told == "yes":
            columns.append(self._last(state, state.label_BQ))
        place_B, query_BQ, length_B = state.place_B.clone(), state.query_BQ, state.length_B
        channels: dict[str, Callable[[], torch.Tensor | Ragged]] = {
            PICTURE: partial(self._picture, query_BQ, place_B, shown_B)
        }
        if self.config.shots:
            channels[SUPPORT] = partial(self._support, state.support_BL, length_B, state.given_BLSS)
        return Observation(torch.stack(columns, 1), LazyChannels(channels))

    @property
    def longest(self) -> Mapping[str, int]:
        """Lines of the ragged channel (``Bounded``)."""
        return {SUPPORT: self.config.ways * self.config.shots}

    def act(self, state: ImagesState, action: Action, active_B: torch.Tensor) -> None:
        acts_B = active_B & self.legal(action) & ~self.ended(state)
        at_B1 = state.place_B[:, None].clamp(max=state.label_BQ.shape[1] - 1)
        said_B1 = action.call_B4[:, 1:2]
        right_B = said_B1[:, 0] == state.label_BQ.gather(1, at_B1)[:, 0]
        state.right_B.copy_(torch.where(acts_B, right_B.long(), state.right_B))
        before_B1 = state.said_BQ.gather(1, at_B1)
        state.said_BQ.scatter_(1, at_B1, torch.where(acts_B[:, None], said_B1, before_B1))
        state.place_B.add_(acts_B.long())

    def ended(self, state: ImagesState) -> torch.Tensor:
        return state.place_B >= state.count_B

    def score(self, state: ImagesState) -> dict[str, torch.Tensor]:
        return {"accuracy": state.right_B.float()}

    def value(self, state: ImagesState, action: Action) -> torch.Tensor:
        """1 for the right label."""
        right_B = action.call_B4[:, 1] == self._now(state, state.label_BQ)
        return (right_B & self.legal(action) & ~self.ended(state)).float()

    def optimum(self, state: ImagesState) -> torch.Tensor:
        return (~self.ended(state)).float()

    def demonstrate(self, layouts: Sequence[Layout], *, generator: torch.Generator) -> Episodes:
        """The right label of each picture; a layout stands for one episode, so nothing is drawn."""
        state = self.reset(layouts, device=generator.device)
        steps = int(state.count_B.max())
        seen, actions, rights, live = [self.observe(state)], list[Action](), list[torch.Tensor](), [~self.ended(state)]
        for step in range(steps):
            label_B = state.label_BQ[:, step].clamp(min=1)
            none_B = torch.zeros_like(label_B)
            actions.append(Action(torch.stack([none_B, label_B, none_B, none_B], 1)))
            self.act(state, actions[-1], live[-1])
            rights.append(state.right_B.float() * live[-1])
            live.append(~self.ended(state))
            seen.append(self.observe(state))
        live_JB = torch.stack(live)
        return Episodes(
            seen=seen, actions=actions, scores={"accuracy": torch.stack(rights)}, live_TB=live_JB[:-1],
            ended_TB=live_JB[:-1] & ~live_JB[1:],
        )  # fmt: skip

    def hidden(self, state: ImagesState) -> Sequence[tuple[Sequence[int], ...]]:
        rows = zip(
            torch.stack([state.episode_B, state.split_B, state.count_B, state.place_B], 1).tolist(),
            state.label_BQ.tolist(), state.said_BQ.tolist(), strict=True,
        )  # fmt: skip
        return [
            (digits(episode), [split], digits(count), [label - 1 for label in labels[:count]],
             [answer - 1 for answer in said[:place]])
            for (episode, split, count, place), labels, said in rows
        ]  # fmt: skip

    def draw(self, state: ImagesState, instance: int = 0, *, width: int = 100) -> str:
        """The picture that is to be named, and the support set under it, as blocks of half a line."""
        from envs.images.ascii_art import gallery  # what only people see

        seen = self.observe(state).select(torch.tensor([instance], device=state.device))
        picture_1SS, support = seen.channels[PICTURE], seen.channels.get(SUPPORT)
        assert isinstance(picture_1SS, torch.Tensor)
        shown = list(support.padded_BLX[0][: int(support.lengths_B[0])]) if isinstance(support, Ragged) else []
        names = [str(1 + place // max(1, self.config.shots)) for place in range(len(shown))]
        return gallery([picture_1SS[0], *shown], ["?", *names], width=width)

    def _last(self, state: ImagesState, what_BQ: torch.Tensor) -> torch.Tensor:
        """int64 B: of the picture before the present one; 0 before the first."""
        before_B1 = (state.place_B[:, None] - 1).clamp(min=0)
        return torch.where(state.place_B > 0, what_BQ.gather(1, before_B1)[:, 0], 0)

    def _now(self, state: ImagesState, what_BQ: torch.Tensor) -> torch.Tensor:
        """int64 B: of the present picture."""
        return what_BQ.gather(1, state.place_B[:, None].clamp(max=what_BQ.shape[1] - 1))[:, 0]

    def _picture(self, query_BQ: torch.Tensor, place_B: torch.Tensor, shown_B: torch.Tensor) -> torch.Tensor:
        index_B = query_BQ.gather(1, place_B[:, None].clamp(max=query_BQ.shape[1] - 1))[:, 0]
        return self._on(place_B.device)[index_B].float() / 255 * shown_B[:, None, None]

    def _support(self, support_BL: torch.Tensor, length_B: torch.Tensor, given_BLSS: torch.Tensor) -> Ragged:
        if given_BLSS.shape[1]:
            return Ragged(given_BLSS, length_B)
        there_BL = torch.arange(support_BL.shape[1], device=length_B.device) < length_B[:, None]
        picture_BLSS = self._on(length_B.device)[support_BL].float()
        return Ragged(picture_BLSS.div_(255).mul_(there_BL[:, :, None, None]), length_B)

    def _on(self, device: torch.device) -> torch.Tensor:
        """uint8 N × S × S: the drawings, on a device."""
        if device not in self._pictures:
            self._pictures[device] = torch.from_numpy(self.drawings.picture_NSS).to(device)
        return self._pictures[device]


def _groups(world: str, config: ImagesConfig, names: Sequence[str]) -> dict[str, list[int]]:
    """By split, the groups that it has; ``ValueError`` for a name that there is not, or that two splits have."""
    chosen = {key: [name.strip() for name in getattr(config, key).split(",") if name.strip()]
              for key in ("only", "validation", "test")}  # fmt: skip
    for key, wanted in chosen.items():
        for name in wanted:
            if name not in names:
                raise ValueError(
                    f"world {world}, {key}: the data {config.data} have no group {name!r}{closest(name, names)}"
                )
    both = sorted({*chosen["validation"]} & {*chosen["test"]})
    if both:
        raise ValueError(f"world {world}: {both[0]} is for validation and for test; name it once")
    every = [place for place, name in enumerate(names) if not chosen["only"] or name in chosen["only"]]
    kept = {split: [place for place in every if names[place] in chosen[split]] for split in ("validation", "test")}
    if not chosen["test"] and len(every) >= 10:
        kept["test"] = [place for place in every[9::10] if place not in kept["validation"]]
    others = {*kept["validation"], *kept["test"]}
    return {"train": [place for place in every if place not in others]} | kept


def _padded(rows: Sequence[np.ndarray], device: torch.device) -> torch.Tensor:
    """int64 B × the longest; zeros behind the others."""
    table = np.zeros((len(rows), max((len(row) for row in rows), default=0)), np.int64)
    for place, row in enumerate(rows):
        table[place, : len(row)] = row
    return torch.from_numpy(table).to(device)


def _spec(name: str, config: ImagesConfig) -> WorldSpec:
    labels = tuple(map(str, range(1, 1 + config.ways)))
    side = config.pixels
    fields = [Field("SHOWN", ("no", "yes")), Field("SAID", ("none", *labels))]
    channels = [Channel(PICTURE, (side, side), low=0, high=1, unit="ink")]
    if config.told == "yes":
        fields.append(Field("TOLD", ("none", *labels)))
    if config.shots:
        channels.append(Channel(SUPPORT, (None, side, side), low=0, high=1, unit="ink", per="episode"))
    return WorldSpec(
        name=name,
        kind=KIND,
        config=asdict(config),
        fields=tuple(fields),
        tokens=(NONE, *labels),
        channels=tuple(channels),
        primitives=(
            Signature("LABEL", (Slot("label", tuple(range(1, 1 + config.ways))),), "Say which class the picture is of"),
        ),
        hidden=(EPISODE, SPLIT, PICTURES, Field("LABELS", labels), Field("ANSWERS", labels)),
    )
