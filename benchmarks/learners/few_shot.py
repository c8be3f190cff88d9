"""Few-shot learning on Omniglot: ``python -m benchmarks.learners.few_shot BACKGROUND --part naming``.

``BACKGROUND`` is Omniglot's packed background set (:mod:`envs.images.packed`). Parts: ``naming`` (characters of new
alphabets from one drawing: this core, what rows buy it, a plain prototype network, pixels, and contours), ``official``
(Lake's one-shot runs, ``--runs FOLDER``, by a core that all alphabets have trained), ``memory`` (50 steps with labels
told after each answer). Sine waves: :mod:`benchmarks.learners.sines`.

Each prints a table and the CPU seconds of one thread. Nothing was chosen on what is tested: choices were made on the
alphabets of VALIDATION, which ``--held validation`` leaves out of training and tests on.

Shape legend: ``N`` drawings, ``S`` pixels of a side, ``W`` ways, ``M`` drawings of each class in a batch, ``A``
alphabets, ``P`` parameters of a row, ``D`` numbers of an encoded drawing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import clip_grad_norm_

from benchmarks.common import plain_arguments
from benchmarks.learners.descent import descend
from envs.images.drawings import Drawings
from envs.images.official_runs import OneShotRun, one_shot_runs
from envs.images.packed import packed
from meta.few_shot.augmentation import Augmentation, augmented
from meta.few_shot.classic import nearest_hausdorff, nearest_pixels
from meta.few_shot.core import LRU, PROTOTYPES, FewShotCore, GrowingCore, LeastRecentlyUsedCore, MemoryConfig
from meta.few_shot.memory import grown_along
from meta.few_shot.network import PLACES, SIDE, FewShotConfig

TEST = ("Bengali", "Futurama", "Gujarati", "Hebrew", "Sanskrit")
VALIDATION = ("Armenian", "Burmese_(Myanmar)", "Grantha", "N_Ko")

CHANGES = Augmentation(rotation=12.0, shear=0.2, scale=0.2, shift=0.1, displacement=0.07)
"""How drawings are changed in training, those of the plain network, too."""

SMALL_CHANGES = Augmentation(rotation=8.0, shear=0.12, scale=0.12, shift=0.06, displacement=0.04, stroke=0.2)
"""How the copies are changed whose encodings are averaged when a drawing is tested."""

PIXELS = 64
"""S: what networks see is of SIDE pixels; ours looks nearer where ink is small, the plain one at the whole."""

COPIES = 8
"""Of a drawing, beside itself, where encodings are averaged."""

EPISODES = 100
"""Test episodes of each alphabet; each asks for every class of it once."""


@dataclass(frozen=True)
class Alphabet:
    """Drawings of one alphabet, float32 (ink is bright, 0 to 1), and the places of those of each class."""

    name: str
    drawing_NSS: torch.Tensor
    classes: tuple[torch.Tensor, ...]

    def episode(self, ways: int, drawings: int, generator: torch.Generator) -> torch.Tensor:
        """place_WM: some drawings of some classes; of all where there are fewer."""
        chosen = torch.randperm(len(self.classes), generator=generator)[:ways].tolist()
        return torch.stack([
            places[torch.randperm(len(places), generator=generator)[:drawings]]
            for places in (self.classes[number] for number in chosen)
        ])  # fmt: skip


def alphabets(drawings: Drawings, names: Sequence[str]) -> list[Alphabet]:
    """Those named, in that order."""
    found = []
    for name in names:
        own = drawings.select(groups=[name])
        classes = tuple(torch.from_numpy(own.of_class(number)) for number in range(own.classes))
        found.append(Alphabet(name, torch.from_numpy(own.picture_NSS).float() / 255, classes))
    return found


class PlainNetwork(nn.Module):
    """A prototype network as published (Vinyals et al. 2016, section 4.1; Snell et al. 2017, section 2): four layers of
    64 channels, each with batch normalisation and a maximum of 2 × 2, and squared Euclidean distances.

    With distances as they are its first thousand updates are spent on shrinking them; a scale, which is learned, gives
    it a third less error in the same time, so it has one.
    """

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(*[
            nn.Sequential(nn.Conv2d(enters, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
                          nn.MaxPool2d(2))
            for enters in (1, channels, channels, channels)
        ])  # fmt: skip
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 16)))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # takes a quarter less time

    def encoded(self, drawing_NSS: torch.Tensor) -> torch.Tensor:
        x = F.adaptive_avg_pool2d(drawing_NSS, SIDE)[:, None]
        code_ND: torch.Tensor = self.layers(x).flatten(1)
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
        code_ND: torch.Tensor = self.core.encoder(drawing_NSS, self.row_P.expand(len(drawing_NSS), -1)).flatten(1)
        return code_ND

    def distance(self, query_QD: torch.Tensor, prototype_WD: torch.Tensor) -> torch.Tensor:
        shape = (self.core.config.channels, PLACES**2)
        parts = [code.unflatten(1, shape)[None] for code in (query_QD, prototype_WD)]
        found_QW: torch.Tensor = self.core.distance(*parts)[0]
        return found_QW

    def inferred(self, drawing_NSS: torch.Tensor) -> torch.Tensor:
        """row_P from drawings of an alphabet."""
        zero_NP = self.rows_AP.new_zeros(len(drawing_NSS), self.rows_AP.shape[1])
        map_1NCL = self.core.encoder(drawing_NSS, zero_NP)[None]
        return self.core.set_encoder(map_1NCL, torch.ones(1, len(drawing_NSS), dtype=torch.bool))[0]


Network = PlainNetwork | OurNetwork


def trained(
    net: Network,
    train: Sequence[Alphabet],
    *,
    seconds: float,
    rate: float,
    ways: int,
    drawings: int,
    seed: int,
) -> int:
    """Train for so many CPU seconds on episodes within alphabets; the number of updates.

    In half of the episodes our network has the alphabet's own row, in a quarter one that is inferred from the examples,
    else the mean of all, which it is left with.
    """  # fmt: skip
    generator = torch.Generator().manual_seed(seed)
    share_A = torch.tensor([float(len(alphabet.classes)) for alphabet in train]).sqrt()

    def loss() -> torch.Tensor:
        which = int(torch.multinomial(share_A, 1, generator=generator))
        place_WM = train[which].episode(ways, drawings, generator)
        W, M = place_WM.shape
        drawing_NSS = augmented(train[which].drawing_NSS[place_WM.T.flatten()], CHANGES, generator=generator)
        if isinstance(net, OurNetwork):
            chance = float(torch.rand(1, generator=generator))
            net.row_P = (
                net.rows_AP[which]
                if chance < 0.5
                else net.inferred(drawing_NSS[:W])
                if chance < 0.75
                else net.rows_AP.mean(0)
            )
        code_ND = net.encoded(drawing_NSS)
        logits_QW = -net.distance(code_ND[W:], code_ND[:W])
        return F.cross_entropy(logits_QW, torch.arange(W).repeat(M - 1))

    net.train()
    updates = descend([*net.parameters()], loss, seconds=seconds, rate=rate, warmup=50)
    net.eval()
    if isinstance(net, OurNetwork):
        net.row_P = net.rows_AP.detach().mean(0)
    return updates


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


Answer = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From the places of a support set (W × shots) and of queries: the class that each query is said to be of."""


def error(alphabet: Alphabet, answer: Answer, *, ways: int, shots: int, episodes: int = EPISODES) -> float:
    """The share of wrong answers in %, each class asked for once in each episode."""
    generator, wrong, asked = torch.Generator().manual_seed(99), 0, 0
    for _ in range(episodes):
        place_WM = alphabet.episode(ways, shots + 1, generator)
        said_Q = answer(place_WM[:, :-1], place_WM[:, -1])
        wrong += int((said_Q != torch.arange(len(place_WM))).sum())
        asked += len(place_WM)
    return 100 * wrong / asked


def by_codes(net: Network, code_ND: torch.Tensor) -> Answer:
    """Answers of a network by the nearest prototype."""

    @torch.no_grad()
    def answer(support_WM: torch.Tensor, query_Q: torch.Tensor) -> torch.Tensor:
        return net.distance(code_ND[query_Q], code_ND[support_WM].mean(1)).argmin(1)

    return answer


def by_pictures(alphabet: Alphabet, nearest: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Answer:
    def answer(support_W1: torch.Tensor, query_Q: torch.Tensor) -> torch.Tensor:
        picture_NSS = alphabet.drawing_NSS.numpy()
        return torch.from_numpy(nearest(picture_NSS[support_W1[:, 0]], picture_NSS[query_Q]))

    return answer


def together(test: Sequence[Alphabet]) -> Alphabet:
    """All classes of several alphabets as one."""
    first, classes = 0, list[torch.Tensor]()
    for alphabet in test:
        classes += [places + first for places in alphabet.classes]
        first += len(alphabet.drawing_NSS)
    return Alphabet("all", torch.cat([alphabet.drawing_NSS for alphabet in test]), tuple(classes))


def naming(train: Sequence[Alphabet], test: Sequence[Alphabet], seconds: float, seed: int, which: str) -> None:
    """The tables of both networks and of what learns nothing."""
    torch.manual_seed(seed)
    nets: dict[str, tuple[Network, float, int, int]] = {
        "plain": (PlainNetwork(), 1e-3, 20, 3),
        "ours": (OurNetwork(len(train), seed), 2e-3, 30, 2),
    }
    mixed = together(test)
    for name, (net, rate, ways, drawings) in nets.items():
        if which not in (name, "all"):
            continue
        updates = trained(net, train, seconds=seconds, rate=rate, ways=ways, drawings=drawings, seed=seed)
        count = sum(part.numel() for part in net.parameters())
        print(f"{name}: {count:,} parameters, {updates:,} updates in {seconds:.0f} CPU s, seed {seed}", flush=True)
        for copies in (0, COPIES):
            codes = {a.name: encoded(net, a.drawing_NSS, copies) for a in (*test, mixed)}
            within = {a.name: error(a, by_codes(net, codes[a.name]), ways=20, shots=1) for a in test}
            each = ", ".join(f"{a} {found:.1f}" for a, found in within.items())
            print(f"  {copies} copies: within alphabets {np.mean([*within.values()]):.2f} % ({each})", flush=True)
            for ways, shots in ((5, 1), (5, 5), (20, 1), (20, 5)):
                found = error(mixed, by_codes(net, codes["all"]), ways=ways, shots=shots, episodes=5 * EPISODES)
                print(f"    mixed, {ways} ways, {shots} shots: {found:.2f} %", flush=True)
        if isinstance(net, OurNetwork):
            rows(net, test)
    if which not in ("nothing", "all"):
        return
    for name, nearest in (("pixels", nearest_pixels), ("Hausdorff", nearest_hausdorff)):
        errors = [error(a, by_pictures(a, nearest), ways=20, shots=1, episodes=10) for a in test]
        print(f"{name}: within alphabets {np.mean(errors):.2f} %", flush=True)


def rows(net: OurNetwork, test: Sequence[Alphabet], given: float = 2.0, episodes: int = 4) -> None:
    """What a row buys on new alphabets: the mean row, one inferred from the support set, one learned from changed
    copies of it beside the frozen core, and all parameters learned from the same copies in the same CPU seconds."""
    kept = {name: part.clone() for name, part in net.state_dict().items()}
    mean_P = net.rows_AP.detach().mean(0)
    found: dict[str, list[float]] = {}
    for alphabet in test:
        for number in range(episodes):
            generator = torch.Generator().manual_seed(1000 + number)
            place_WM = alphabet.episode(20, 6, generator)
            support_NSS = alphabet.drawing_NSS[place_WM[:, 0]]
            query_NSS = alphabet.drawing_NSS[place_WM[:, 1:].flatten()]
            label_Q = torch.arange(len(place_WM)).repeat_interleave(place_WM.shape[1] - 1)

            def wrong(
                row_P: torch.Tensor,
                support_NSS: torch.Tensor = support_NSS,
                query_NSS: torch.Tensor = query_NSS,
                label_Q: torch.Tensor = label_Q,
            ) -> float:
                net.row_P = row_P
                said_Q = net.distance(encoded(net, query_NSS), encoded(net, support_NSS)).argmin(1)
                return 100 * float((said_Q != label_Q).float().mean())

            net.load_state_dict(kept)
            scores = {"mean row": wrong(mean_P)}
            with torch.no_grad():
                scores["inferred row"] = wrong(net.inferred(support_NSS))
            scores["random old row"] = wrong(net.rows_AP[number].detach())
            row_P = nn.Parameter(mean_P.clone())
            _learn(net, row_P, [row_P], support_NSS, given, 1e-2, generator)
            scores["learned row"] = wrong(row_P.detach())
            unchanged = all(torch.equal(part, net.state_dict()[name]) for name, part in kept.items())
            assert unchanged, "the core has changed beside a learned row"
            row_P = nn.Parameter(mean_P.clone())
            _learn(net, row_P, [*net.core.parameters(), row_P], support_NSS, given, 3e-4, generator)
            scores["all fine-tuned"] = wrong(row_P.detach())
            for name, score in scores.items():
                found.setdefault(name, []).append(score)
    net.load_state_dict(kept)
    for name, each in found.items():
        print(f"  {name}: {np.mean(each):.2f} %", flush=True)


def official(train: Sequence[Alphabet], runs: Sequence[OneShotRun], seconds: float, seed: int) -> None:
    """The error on Lake's one-shot runs of a core that all alphabets of the background set have trained."""
    net = OurNetwork(len(train), seed)
    updates = trained(net, train, seconds=seconds, rate=2e-3, ways=30, drawings=2, seed=seed)
    print(f"{updates:,} updates in {seconds:.0f} CPU s, seed {seed}", flush=True)
    for copies in (0, COPIES):
        wrong = [_wrong(net, run, copies) for run in runs]
        each = ", ".join(f"{run.name} {count}" for run, count in zip(runs, wrong, strict=True))
        asked = sum(len(run.answer_Q) for run in runs)
        print(f"{copies} copies: {100 * sum(wrong) / asked:.2f} % of {asked} wrong ({each})", flush=True)


@torch.no_grad()
def _wrong(net: OurNetwork, run: OneShotRun, copies: int) -> int:
    """Wrong answers in one run."""
    code = [
        encoded(net, torch.from_numpy(picture_NSS).float() / 255, copies)
        for picture_NSS in (run.test_QSS, run.training_CSS)
    ]
    return int((net.distance(*code).argmin(1) != torch.from_numpy(run.answer_Q)).sum())


def _learn(
    net: OurNetwork,
    row_P: torch.Tensor,
    moved: Sequence[nn.Parameter],
    support_NSS: torch.Tensor,
    seconds: float,
    rate: float,
    generator: torch.Generator,
) -> None:
    """Some parameters by so many CPU seconds of gradient descent: changed copies of a support set are named by it."""

    def loss() -> torch.Tensor:
        net.row_P = row_P * 1  # a parameter would be registered
        both_NSS = torch.cat([support_NSS, augmented(support_NSS, CHANGES, generator=generator)])
        code_ND = net.encoded(both_NSS)
        W = len(support_NSS)
        return F.cross_entropy(-net.distance(code_ND[W:], code_ND[:W]), torch.arange(W))

    descend(moved, loss, seconds=seconds, rate=rate, falls=False)


def memory(train: Alphabet, test: Alphabet, seconds: float, seed: int) -> None:
    """Right answers in % at the instances of Santoro et al. (2016), table 1: five classes, ten pictures of each."""
    for kind in (PROTOTYPES, LRU):
        generator = torch.Generator().manual_seed(seed)
        config = MemoryConfig(memory=kind)
        core: GrowingCore | LeastRecentlyUsedCore
        if kind == PROTOTYPES:
            core = GrowingCore(config, generator=generator)
        else:
            core = LeastRecentlyUsedCore(config, 5, generator=generator)
        parameters = [*core.parameters()]

        def loss(
            core: GrowingCore | LeastRecentlyUsedCore = core, generator: torch.Generator = generator
        ) -> torch.Tensor:
            picture_BTSS, label_BT = remembered(train, 8, generator)
            changed_NSS = augmented(picture_BTSS.flatten(0, 1), CHANGES, generator=generator)
            log_BTW = along(core, changed_NSS.view_as(picture_BTSS), label_BT)
            return F.nll_loss(log_BTW.flatten(0, 1), label_BT.flatten())

        updates = descend(parameters, loss, seconds=seconds, rate=2e-3, clip=partial(clip_grad_norm_, parameters, 10.0))
        right, count = torch.zeros(11), torch.zeros(11)
        generator = torch.Generator().manual_seed(99)
        with torch.no_grad():
            for _ in range(60):
                picture_BTSS, label_BT = remembered(test, 5, generator)
                hit_BT = along(core, picture_BTSS, label_BT).argmax(2) == label_BT
                shown_BTW = F.one_hot(label_BT, 5)
                instance_N = (shown_BTW.cumsum(1) * shown_BTW).sum(2).flatten()
                right.index_add_(0, instance_N, hit_BT.flatten().float())
                count.index_add_(0, instance_N, torch.ones(len(instance_N)))
        share = 100 * right / count
        told = ", ".join(f"{i}: {share[i]:.1f}" for i in (1, 2, 3, 5, 10))
        print(f"{kind}: {told} ({updates:,} updates in {seconds:.0f} CPU s, seed {seed})", flush=True)


def remembered(alphabet: Alphabet, batch: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """picture_BTSS and label_BT (from 0) of episodes of five classes and ten drawings of each, in random order."""
    pictures, labels = [], []
    for _ in range(batch):
        place_N = alphabet.episode(5, 10, generator).flatten()
        order_N = torch.randperm(len(place_N), generator=generator)
        pictures.append(alphabet.drawing_NSS[place_N[order_N]])
        labels.append(torch.arange(5).repeat_interleave(10)[order_N])
    return torch.stack(pictures), torch.stack(labels)


def along(
    core: GrowingCore | LeastRecentlyUsedCore, picture_BTSS: torch.Tensor, label_BT: torch.Tensor
) -> torch.Tensor:
    """log_BTW of each label, a label being told one step late; the row is zeros."""
    B, T = label_BT.shape
    row_BP = torch.zeros(B, core.config.row)
    code_BTD = core.encoder(picture_BTSS.flatten(0, 1), row_BP.repeat_interleave(T, 0)).flatten(1).unflatten(0, (B, T))
    if isinstance(core, GrowingCore):
        growing = grown_along(code_BTD, label_BT, 5)
        return core.log_likelihood(code_BTD, growing.mean_BCD, growing.count_BC)
    told_BTW = F.pad(F.one_hot(label_BT, 5).float(), (0, 0, 1, 0))[:, :-1]
    input_BTI = torch.cat([core.code(code_BTD), told_BTW], 2)
    said, hidden, found = core.memory.conditioning(row_BP), core.memory.unpacked(core.memory.begin(B)), []
    for input_BI in input_BTI.unbind(1):
        logits_BW, hidden = core.memory(input_BI, said, hidden)
        found.append(logits_BW.log_softmax(1))
    return torch.stack(found, 1)


def main() -> None:
    parser = plain_arguments(__doc__)
    parser.add_argument("background", help="Omniglot's packed background set")
    parser.add_argument("--part", choices=["naming", "official", "memory"], required=True)
    parser.add_argument("--runs", help="the folder or zip of the official one-shot runs")
    parser.add_argument("--networks", choices=["all", "plain", "ours", "nothing"], default="all", help="of naming")
    parser.add_argument("--held", choices=["test", "validation"], default="test")
    parser.add_argument("--seconds", type=float, default=600.0, help="CPU seconds of training of each network")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    drawings = packed(options.background, PIXELS)
    asked = TEST if options.held == "test" else VALIDATION
    if options.part == "memory":
        early, late = drawings.group_names[:7], drawings.group_names[7:]  # characters 1 to 217, and 218 to 964
        pools = [together(alphabets(drawings, names)) for names in (late, early)]
        memory(pools[0], pools[1], options.seconds, options.seed)
        return
    if options.part == "official":
        if options.runs is None:
            parser.error("official needs the one-shot runs: --runs FOLDER")
        runs = one_shot_runs(options.runs, PIXELS)
        official(alphabets(drawings, drawings.group_names), runs, options.seconds, options.seed)
        return
    hidden = {*TEST, *(VALIDATION if options.held == "validation" else ())}
    train = alphabets(drawings, [name for name in drawings.group_names if name not in hidden])
    naming(train, alphabets(drawings, asked), options.seconds, options.seed, options.networks)


if __name__ == "__main__":
    main()
