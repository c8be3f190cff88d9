"""The networks that name characters, and their training: this engine's core, and a plain prototype network.

Shape legend: ``N`` drawings, ``S`` pixels of a side, ``W`` ways, ``M`` drawings of each class in a batch, ``Q``
queries, ``A`` alphabets with rows, ``P`` parameters of a row, ``D`` numbers of an encoded drawing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.learners.characters.alphabets import Answer, Source
from benchmarks.learners.descent import Groups, descend
from meta.few_shot.augmentation import SMALL_CHANGES, Augmentation, augmented
from meta.few_shot.core import FewShotCore
from meta.few_shot.network import SIDE, FewShotConfig, framed

CHANGES = Augmentation(rotation=12.0, shear=0.2, scale=0.2, shift=0.1, displacement=0.07)
"""How drawings are changed in training, those of the plain network, too."""

ROW_RATE = 2e-3
"""Of rows in training: each is moved by few of the updates."""

COPIES = 8
"""Of a drawing, beside itself, where encodings are averaged."""


class PlainNetwork(nn.Module):
    """A prototype network as published (Vinyals et al. 2016, section 4.1; Snell et al. 2017, section 2): four layers of
    64 channels, each with batch normalisation and a maximum of 2 × 2, and squared Euclidean distances.

    With distances as they are its first thousand updates are spent on shrinking them; a scale, which is learned, gives
    it a third less error in the same time, so it has one.

    Args:
        near: whether it sees drawings from as near as our network does, and not the whole sheet.
    """

    def __init__(self, near: bool, seed: int, channels: int = 64) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.layers = nn.Sequential(*[
                nn.Sequential(nn.Conv2d(enters, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels),
                              nn.ReLU(), nn.MaxPool2d(2))
                for enters in (1, channels, channels, channels)
            ])  # fmt: skip
        self.near = near
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 16)))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # takes a quarter less time

    def encoded(self, drawing_NSS: torch.Tensor) -> torch.Tensor:
        seen_NSS = framed(drawing_NSS) if self.near else F.adaptive_avg_pool2d(drawing_NSS, SIDE)
        code_ND: torch.Tensor = self.layers(seen_NSS[:, None]).flatten(1)
        return code_ND

    def distance(self, query_QD: torch.Tensor, prototype_WD: torch.Tensor) -> torch.Tensor:
        square = query_QD.square().sum(1)[:, None] + prototype_WD.square().sum(1) - 2 * query_QD @ prototype_WD.T
        return self.log_scale.exp() * square


class OurNetwork(nn.Module):
    """The core of the learner ``few-shot``, and rows: one of each alphabet that it is trained on."""

    def __init__(self, count: int, seed: int, row: int = 32) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.core = FewShotCore(FewShotConfig(row=row), generator=generator)
        self.rows_AP = nn.Parameter(torch.zeros(count, row))
        self.row_P: torch.Tensor = torch.zeros(row)

    def encoded(self, drawing_NSS: torch.Tensor) -> torch.Tensor:
        """Under the row that is set."""
        return self.core.maps(drawing_NSS, self.row_P)

    def distance(self, query_QD: torch.Tensor, prototype_WD: torch.Tensor) -> torch.Tensor:
        return self.core.distances(query_QD[None], prototype_WD[None])[0]

    def inferred(self, drawing_NSS: torch.Tensor) -> torch.Tensor:
        """row_P from drawings of an alphabet."""
        zero_NP = self.rows_AP.new_zeros(len(drawing_NSS), self.rows_AP.shape[1])
        map_1NCL = self.core.encoder(drawing_NSS, zero_NP)[None]
        return self.core.set_encoder(map_1NCL, torch.ones(1, len(drawing_NSS), dtype=torch.bool))[0]


Network = PlainNetwork | OurNetwork


@dataclass(frozen=True)
class Training:
    """How a network is trained.

    Attributes:
        rate: the peak rate of all but filters and rows. ways, drawings: classes of an update, and drawings of each.
        changes: of drawings; None: they are as they were drawn.
        turned: the share of updates whose alphabet is turned by quarters or mirrored, all of its drawings alike.
        mutual: every drawing of an episode is named by each other one; else the first of each class name the others.
        filter_rate: of :class:`Muon`, which moves filters by shares of their norm; None: Adam moves them as all else.
    """

    rate: float
    ways: int
    drawings: int
    changes: Augmentation | None = CHANGES
    turned: float = 0.0
    mutual: bool = False
    filter_rate: float | None = None


SETTINGS = {
    "plain": Training(1e-3, 20, 3),
    "plain, near": Training(1e-3, 20, 3),
    "few-shot": Training(2e-3, 30, 2),
}
"""Of each network."""

QUICK = {name: replace(training, mutual=True, filter_rate=0.05) for name, training in SETTINGS.items()}
"""The same, with a quarter less error after 300 updates."""


def network(name: str, rows: int, seed: int) -> Network:
    """A new one."""
    return OurNetwork(rows, seed) if name == "few-shot" else PlainNetwork(name != "plain", seed)


def trained(net: Network, source: Source, training: Training, *, updates: int, seed: int) -> float:
    """Train on episodes within alphabets; the CPU seconds that it took.

    In half of the episodes our network has the alphabet's own row, in a quarter one that is inferred from the examples,
    else the mean of all, which it is left with.
    """
    generator = torch.Generator().manual_seed(seed)

    def loss() -> torch.Tensor:
        which, alphabet = source.draw(generator)
        place_WM = alphabet.episode(training.ways, training.drawings, generator)
        W, M = place_WM.shape
        drawing_NSS = alphabet.drawing_NSS[place_WM.T.flatten()]
        if training.turned and float(torch.rand((), generator=generator)) < training.turned:
            drawing_NSS = turned(drawing_NSS, int(torch.randint(8, (), generator=generator)))
        if training.changes is not None:
            drawing_NSS = augmented(drawing_NSS, training.changes, generator=generator)
        if isinstance(net, OurNetwork):
            net.row_P = _training_row(net, which, drawing_NSS[:W], generator)
        code_ND = net.encoded(drawing_NSS)
        if training.mutual:
            return named_by_each_other(net.distance(code_ND, code_ND), torch.arange(W).repeat(M))
        return F.cross_entropy(-net.distance(code_ND[W:], code_ND[:W]), torch.arange(W).repeat(M - 1))

    net.train()
    every = [*(net.core if isinstance(net, OurNetwork) else net).parameters()]
    groups: Groups = [(every, training.rate)]
    filters: Groups = []
    if training.filter_rate is not None:
        groups = [([weight for weight in every if weight.ndim != 4], training.rate)]
        filters = [([weight for weight in every if weight.ndim == 4], training.filter_rate)]
    if isinstance(net, OurNetwork):
        groups = [*groups, ([net.rows_AP], ROW_RATE)]
    seconds = descend(groups, loss, updates=updates, filters=filters, warmup=50)
    net.eval()
    if isinstance(net, OurNetwork):
        net.row_P = net.rows_AP.detach().mean(0)
    return seconds


def turned(drawing_NSS: torch.Tensor, way: int) -> torch.Tensor:
    """Drawings in one of eight ways: turned by 0 to 3 quarters, and mirrored first from the fifth on."""
    return torch.rot90(drawing_NSS.flip(2) if way > 3 else drawing_NSS, way % 4, (1, 2))


def named_by_each_other(distance_NN: torch.Tensor, label_N: torch.Tensor) -> torch.Tensor:
    """The mean negative log-likelihood of drawings of the same class among all others, by their distances."""
    itself_NN = torch.eye(len(label_N), dtype=torch.bool)
    log_NN = (-distance_NN).masked_fill(itself_NN, -math.inf).log_softmax(1)
    same_NN = (label_N[:, None] == label_N) & ~itself_NN
    return -log_NN.masked_fill(~same_NN, -math.inf).logsumexp(1).mean()


def _training_row(
    net: OurNetwork, which: int, support_NSS: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:  # fmt: skip
    chance = float(torch.rand(1, generator=generator))
    if chance < 0.5:
        return net.rows_AP[which]
    return net.inferred(support_NSS) if chance < 0.75 else net.rows_AP.mean(0)


@torch.no_grad()
def encoded(net: Network, drawing_NSS: torch.Tensor, copies: int = 0) -> torch.Tensor:
    """code_ND, averaged over changed copies where some are asked for."""
    generator = torch.Generator().manual_seed(0)
    parts = []
    for part_NSS in drawing_NSS.split(500):
        code_ND = net.encoded(part_NSS)
        for _ in range(copies):
            code_ND = code_ND + net.encoded(augmented(part_NSS, SMALL_CHANGES, generator=generator))
        parts.append(code_ND / (1 + copies))
    return torch.cat(parts)


def by_codes(net: Network, code_ND: torch.Tensor) -> Answer:
    """Answers by the nearest prototype."""

    @torch.no_grad()
    def answer(support_WM: torch.Tensor, query_Q: torch.Tensor) -> torch.Tensor:
        return net.distance(code_ND[query_Q], code_ND[support_WM].mean(1)).argmin(1)

    return answer
