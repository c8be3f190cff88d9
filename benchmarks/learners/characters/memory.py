"""Labels told along an episode (Santoro et al. 2016): growing prototypes beside a memory of slots.

    python -m benchmarks.learners.characters.memory BACKGROUND            # five seeds
    python -m benchmarks.learners.characters.memory BACKGROUND --table    # only write the page

Five classes, ten drawings of each in random order, labels new in each episode and told after each answer. Classes of
tests are characters 1 to 217 of BACKGROUND, Omniglot's packed background set; training has the others.
Results lie under ``runs/memory-*``, a file a seed; a run that was stopped resumes.

Shape legend: ``B`` episodes, ``T`` steps, ``N`` drawings of an episode, ``S`` pixels of a side, ``W`` labels.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch.nn.utils import clip_grad_norm_

from benchmarks.common import arguments, each_seed, results, seeds, write
from benchmarks.learners.characters.alphabets import PIXELS, TEST_SEED, Alphabet, alphabets, together
from benchmarks.learners.characters.networks import CHANGES
from benchmarks.learners.descent import descend
from envs.images.packed import packed
from meta.few_shot.augmentation import augmented
from meta.few_shot.core import LRU, PROTOTYPES, GrowingCore, LeastRecentlyUsedCore, MemoryConfig
from meta.few_shot.memory import grown_along
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content, spread

NAME = "memory"

CLASSES, DRAWINGS, BATCH, EPISODES = 5, 10, 8, 300

SHOWN = (1, 2, 3, 5, 10)
"""The times that a class was shown at which answers are counted."""

UPDATES = {PROTOTYPES: 160, LRU: 320}

NAMES = {PROTOTYPES: "growing prototypes", LRU: "memory of slots (`least-recently-used`)"}

Core = GrowingCore | LeastRecentlyUsedCore


def core(kind: str, seed: int) -> Core:
    """A new one."""
    generator, config = torch.Generator().manual_seed(seed), MemoryConfig(memory=kind)
    if kind == PROTOTYPES:
        return GrowingCore(config, generator=generator)
    return LeastRecentlyUsedCore(config, CLASSES, generator=generator)


def episodes(alphabet: Alphabet, batch: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """picture_BTSS and label_BT (from 0)."""
    pictures, labels = [], []
    for _ in range(batch):
        place_N = alphabet.episode(CLASSES, DRAWINGS, generator).flatten()
        order_N = torch.randperm(len(place_N), generator=generator)
        pictures.append(alphabet.drawing_NSS[place_N[order_N]])
        labels.append(torch.arange(CLASSES).repeat_interleave(DRAWINGS)[order_N])
    return torch.stack(pictures), torch.stack(labels)


def answers(net: Core, picture_BTSS: torch.Tensor, label_BT: torch.Tensor) -> torch.Tensor:
    """log_BTW of each label, a label being told one step late; the row is zeros."""
    B, T = label_BT.shape
    row_BP = torch.zeros(B, net.config.row)
    code_BTD = net.encoder(picture_BTSS.flatten(0, 1), row_BP.repeat_interleave(T, 0)).flatten(1).unflatten(0, (B, T))
    if isinstance(net, GrowingCore):
        growing = grown_along(code_BTD, label_BT, CLASSES)
        return net.log_likelihood(code_BTD, growing.mean_BCD, growing.count_BC)
    told_BTW = F.pad(F.one_hot(label_BT, CLASSES).float(), (0, 0, 1, 0))[:, :-1]
    input_BTI = torch.cat([net.code(code_BTD), told_BTW], 2)
    said, hidden, found = net.memory.conditioning(row_BP), net.memory.unpacked(net.memory.begin(B)), []
    for input_BI in input_BTI.unbind(1):
        logits_BW, hidden = net.memory(input_BI, said, hidden)
        found.append(logits_BW.log_softmax(1))
    return torch.stack(found, 1)


def run(kind: str, train: Alphabet, test: Alphabet, seed: int) -> Result:
    """Train a core; right answers in %."""
    net, generator = core(kind, seed), torch.Generator().manual_seed(seed)
    parameters = [*net.parameters()]

    def loss() -> torch.Tensor:
        picture_BTSS, label_BT = episodes(train, BATCH, generator)
        changed_NSS = augmented(picture_BTSS.flatten(0, 1), CHANGES, generator=generator)
        log_BTW = answers(net, changed_NSS.view_as(picture_BTSS), label_BT)
        return F.nll_loss(log_BTW.flatten(0, 1), label_BT.flatten())

    clip = partial(clip_grad_norm_, parameters, 10.0)
    seconds = descend([(parameters, 2e-3)], loss, updates=UPDATES[kind], clip=clip)
    count = sum(weight.numel() for weight in parameters)
    return {"CPU seconds": seconds, "parameters": count, **right(net, test)}


@torch.no_grad()
def right(net: Core, test: Alphabet) -> dict[str, float]:
    """Right answers in % by how often a class was shown."""
    hits, count = torch.zeros(1 + DRAWINGS), torch.zeros(1 + DRAWINGS)
    generator = torch.Generator().manual_seed(TEST_SEED)
    for _ in range(EPISODES // 5):
        picture_BTSS, label_BT = episodes(test, 5, generator)
        hit_BT = answers(net, picture_BTSS, label_BT).argmax(2) == label_BT
        shown_BTW = F.one_hot(label_BT, CLASSES)
        time_N = (shown_BTW.cumsum(1) * shown_BTW).sum(2).flatten()
        hits.index_add_(0, time_N, hit_BT.flatten().float())
        count.index_add_(0, time_N, torch.ones(len(time_N)))
    return {str(time): float(100 * hits[time] / count[time]) for time in SHOWN}


def contents(done: Mapping[str, Sequence[Result]]) -> Mapping[str, Content | bytes]:
    """What the page says."""
    lines = [
        [NAMES[kind], seeds(each), f"{each[0]['parameters']:,}", f"{UPDATES[kind]:,}",
         f"{statistics.median(r['CPU seconds'] for r in each):.0f}",
         *(spread([r[str(time)] for r in each]) for time in SHOWN)]
        for kind, each in done.items() if each
    ]  # fmt: skip
    published = ["Santoro et al. (2016)", "", "", "", "", "", "82.8", "", "94.9", "98.1"]
    return {"memory": [["", "seeds", "parameters", "updates", "CPU s", *map(str, SHOWN)], *lines, published]}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("background", metavar="BACKGROUND")
    parser.add_argument("--memory", nargs="+", choices=UPDATES, default=list(UPDATES), help="some of the memories")
    options = parser.parse_args()
    if not options.table:
        drawings = packed(options.background, PIXELS)
        early, late = drawings.group_names[:7], drawings.group_names[7:]
        test, train = (together(alphabets(drawings, names)) for names in (early, late))
        for kind in options.memory:
            stage = partial(run, kind, train, test)
            each_seed(f"{NAME}-{kind}", options.seeds, stage, updates=UPDATES[kind])
    done = {kind: results(f"{NAME}-{kind}") for kind in UPDATES}
    write(NAME, contents(done), [r for each in done.values() for r in each])


if __name__ == "__main__":
    main()
