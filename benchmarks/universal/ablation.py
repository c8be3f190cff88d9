"""Ways to condition a universal core on a row, at equal numbers of parameters: trained alike, tested alike.

    python -m benchmarks.universal.ablation                       # every variant, 1,500 updates each
    python -m benchmarks.universal.ablation --only film concat --updates 300
    python -m benchmarks.universal.ablation --table               # only write the page

*Slots*: each state of a program has a code of its own, and the state that a program is in selects it. *One code*: a
program has a single code, as long as its slots would be together, and the number of the state is an input.

Shape legend: ``N`` codes, ``M`` configurations, ``C`` parameters of a code, ``G`` gains.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from benchmarks.common import arguments, each_seed, results, write
from benchmarks.universal import alternatives
from benchmarks.universal.alternatives import Codes, falling
from benchmarks.universal.heldout_programs import Sample, drawn_batches, old_programs
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content, spread
from npi.training.loop import Evaluation, Group, Loss, Objective, Schedule, fit, frozen
from npi.training.ranks import Ranks
from npi.universal.functions import Examples, Functions, Spans, loss
from npi.universal.network import Interpreter, InterpreterConfig, Proposer
from npi.universal.plan import State
from npi.universal.symbols import VALUES
from npi.universal.training_stream import LARGEST

TOGETHER = 2
"""Slots whose parameters one code has: as many as programs have states that decide something, in the mean."""


@dataclass(frozen=True)
class Variant:
    """A way to condition a core.

    Attributes:
        conditioning: of the interpreter. code: parameters of a code. gains: whether there are gains beside it.
        whole: whether a program has one code, and the number of the state is an input.
        says: what it is, for the table.
    """

    says: str
    conditioning: str = "film"
    code: int = 32
    gains: bool = True
    whole: bool = False

    def shape(self) -> InterpreterConfig:
        base = InterpreterConfig(conditioning=self.conditioning, code=self.code)
        return replace(base, inputs=base.inputs + self.whole)


VARIANTS = {
    "film": Variant("slots, modulated features, gains"),
    "concat": Variant("slots, code as an input, gains", "concat"),
    "lowrank": Variant("slots, low-rank weights, gains", "lowrank"),
    "long": Variant("slots, modulated features, no gains, a longer code", code=160, gains=False),
    "long-whole": Variant("one code, modulated features", code=TOGETHER * 160, gains=False, whole=True),
    "short": Variant("slots, modulated features, no gains", gains=False),
    "short-whole": Variant("one code, modulated features", code=TOGETHER * 32, gains=False, whole=True),
}


@dataclass(frozen=True)
class Budget:
    """How much is spent on each variant.

    Attributes:
        updates: of the core. each: programs of every size and world that it is trained on.
        codes, configurations: drawn in an update.
        held: held-out programs whose rows are learned. row_updates: for those.
    """

    updates: int = 1500
    each: int = 20
    codes: int = 128
    configurations: int = 64
    held: int = 300
    row_updates: int = 400
    check_every: int = 40


class CodedFunctions:
    """The functions of programs, and which code each belongs to.

    Args:
        programs: those that have a state that decides something.
        whole: whether all states of a program share a code.
        inputs: of the core.
    """

    def __init__(self, programs: Sequence[Sequence[State]], inputs: int, *, whole: bool) -> None:
        self.states = [numbered(s, place, inputs) if whole else s
                       for states in programs for place, s in enumerate(states)]  # fmt: skip
        sizes = [len(states) for states in programs]
        self.spans = Spans.of(torch.tensor(sizes if whole else [1] * sum(sizes)))
        self.owner = torch.arange(len(self)).repeat_interleave(self.spans.count)
        self.functions = Functions(self.states, inputs)

    def __len__(self) -> int:
        """How many codes there are."""
        return len(self.spans.count)

    def draw(self, which_N: torch.Tensor, size: int, *, generator: torch.Generator) -> Examples:
        """Configurations of the states of some codes, all their states as often."""
        state = self.spans.draw(which_N[:, None].expand(-1, size // 2), generator)
        found = self.functions.draw(state.flatten(), 2, generator=generator)
        parts = (part.unflatten(0, state.shape).flatten(1, 2) for part in (found.seen, found.outcome, found.value))
        return Examples(*parts)


def numbered(state: State, place: int, inputs: int) -> State:
    """A state that sees its own number as the last input."""
    seen_MR = np.full((len(state.seen_MR), inputs), -1)
    seen_MR[:, : state.seen_MR.shape[1]] = state.seen_MR
    seen_MR[:, -1] = VALUES - 1 - place
    return replace(state, seen_MR=seen_MR)


@dataclass(frozen=True)
class Trained:
    """A core of a variant: the network, its proposer, and the mean loss of the last tenth of its training (nats)."""

    net: Interpreter
    proposer: Proposer
    loss: float


class VariantObjective(Objective):
    """As :class:`npi.universal.objective.UniversalObjective`, for any variant, all codes drawn as often."""

    def __init__(self, variant: Variant, functions: CodedFunctions, budget: Budget, *, seed: int) -> None:
        self.functions, self.budget, self.generator = functions, budget, torch.Generator().manual_seed(seed)
        shape = variant.shape()
        self.net = Interpreter(shape, generator=self.generator)
        self.proposer = Proposer(shape, generator=self.generator)
        widths = (shape.code, shape.features) if variant.gains else (shape.code,)
        self.own = [
            nn.Embedding.from_pretrained(torch.zeros(len(functions), width), freeze=False, sparse=True)
            for width in widths
        ]

    def groups(self) -> dict[str, Group]:
        networks = [*self.net.parameters(), *self.proposer.parameters()]
        own = [part.weight for part in self.own]
        return {
            "networks": Group(networks, 2e-3, optimiser="adamw", weight_decay=1e-3),
            "own": Group(own, 1e-2, optimiser="sparse_adam", clipped=False),
        }

    def losses(self, update: int, ranks: Ranks) -> Iterator[Iterable[Loss]]:
        which_N = torch.randint(len(self.functions), (self.budget.codes,), generator=self.generator)
        examples = self.functions.draw(which_N, self.budget.configurations, generator=self.generator)
        parts = [part(which_N) for part in self.own]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            start_NC = self.proposer(examples.seen, examples.outcome, examples.value)
        gain_NG = parts[1] if len(parts) > 1 else None
        mean = loss(self.net, examples, start_NC.float() + parts[0], gain_NG).mean()
        self.loss = mean.item()
        yield [Loss(mean + 1e-3 * sum(part.square().mean() for part in parts))]

    def evaluate(self, update: int) -> Evaluation:
        return Evaluation()


def train(variant: Variant, functions: CodedFunctions, budget: Budget, *, seed: int) -> Trained:
    """Train a core of a variant."""
    objective, losses = VariantObjective(variant, functions, budget, seed=seed), list[float]()

    def share(update: int) -> float:
        return min(1.0, (update + 1) / 200) * (0.02 + 0.49 * (1 + math.cos(math.pi * update / budget.updates)))

    schedule = Schedule(budget.updates, budget.updates, share)
    fit(objective, schedule, report=lambda _: losses.append(objective.loss))
    last = losses[-max(1, budget.updates // 10) :]
    return Trained(objective.net, objective.proposer, statistics.mean(last))


class CodesObjective(Objective):
    """Codes for functions, the core frozen; of each state the configurations that its best code has wrong."""

    def __init__(
        self, variant: Variant, core: Trained, functions: CodedFunctions, budget: Budget, *, seed: int
    ) -> None:
        self.net, self.functions, self.budget = core.net, functions, budget
        self.generator = torch.Generator().manual_seed(seed + 1)
        self.every_N = torch.arange(len(functions))
        shown = functions.draw(self.every_N, 4 * budget.configurations, generator=self.generator)
        with torch.no_grad():
            self.code = nn.Parameter(core.proposer(shown.seen, shown.outcome, shown.value))
        self.gain = nn.Parameter(torch.zeros(len(functions), core.net.config.features), requires_grad=variant.gains)
        self.best = wrong_of(self.net, functions, self.code, self.gain)

    def groups(self) -> dict[str, Group]:
        moved = [part for part in (self.code, self.gain) if part.requires_grad]
        return {"codes": Group(moved, 0.03, clipped=False)}

    def losses(self, update: int, ranks: Ranks) -> Iterator[Iterable[Loss]]:
        examples = self.functions.draw(self.every_N, self.budget.configurations, generator=self.generator)
        gain = self.gain if self.gain.requires_grad else None
        yield [Loss(loss(self.net, examples, self.code, gain).sum())]

    def evaluate(self, update: int) -> Evaluation:
        now, owner = wrong_of(self.net, self.functions, self.code, self.gain), self.functions.owner
        total, least = (
            torch.zeros(len(self.functions)).index_add(0, owner, torch.tensor(wrong).float())
            for wrong in (now, self.best)
        )
        better = (total < least)[owner].tolist()
        self.best = [n if b else w for n, w, b in zip(now, self.best, better, strict=True)]
        return Evaluation()


def learn(variant: Variant, core: Trained, functions: CodedFunctions, budget: Budget, *, seed: int) -> list[int]:
    """Learn codes with the core frozen; of each state the configurations that its best code has wrong."""
    with frozen(core.net):
        objective = CodesObjective(variant, core, functions, budget, seed=seed)
        fit(objective, falling(budget.row_updates, budget.check_every))
    return objective.best


def wrong_of(net: Interpreter, functions: CodedFunctions, code: torch.Tensor, gain: torch.Tensor) -> list[int]:
    owner = functions.owner
    return alternatives.errors(net, functions.states, Codes(code.detach()[owner], gain.detach()[owner]))


# --- the recipe ------------------------------------------------------------------------------------------------------


@cache
def dataset(each: int, held: int) -> tuple[list[list[State]], list[list[State]]]:
    """The states of the programs that are trained on, and of the held-out ones."""
    config = InterpreterConfig()

    def kept(programs: Sequence[Sample]) -> list[list[State]]:
        fitting = [one.states for one in programs if one.states]
        return [list(states) for states in fitting if all(len(s.outcome_M) <= LARGEST for s in states)]

    return kept(old_programs(config, each=each)), kept([one for b in drawn_batches(config)[:-2] for one in b][:held])


def run(name: str, budget: Budget, seed: int) -> Result:
    """Train a variant, and learn rows for the held-out programs."""
    variant = VARIANTS[name]
    known, held = dataset(budget.each, budget.held)
    inputs = variant.shape().inputs
    began = time.process_time()
    core = train(variant, CodedFunctions(known, inputs, whole=variant.whole), budget, seed=seed)
    trained = time.process_time() - began
    began = time.process_time()
    wrong = learn(variant, core, CodedFunctions(held, inputs, whole=variant.whole), budget, seed=seed)
    learned = time.process_time() - began
    ends = np.cumsum([0, *map(len, held)])
    exact = [not any(wrong[a:b]) for a, b in pairwise(ends)]
    own = variant.code + (core.net.config.features if variant.gains else 0)
    found = {
        "exact": exact,
        "states": [len(states) for states in held],
        "functions": statistics.mean(count == 0 for count in wrong),
        "numbers": own if variant.whole else own * statistics.mean(map(len, held)),
        "size": sum(p.numel() for p in core.net.parameters()),
        "loss": core.loss,
        "programs": len(known),
        "train_seconds": trained,
        "row_seconds": learned / len(held),
    }
    print(f"  {name}: {100 * statistics.mean(exact):.1f} % exact, loss {core.loss:.4f}, {trained:.0f} s", flush=True)
    return found


def contents(every: Mapping[str, Sequence[Result]], budget: Budget) -> dict[str, Content]:
    """The page of the variants that are finished."""
    rows = [["variant", "parameters a program", "parameters of the core", "training loss", "programs exact, %",
             "of several states, %", "functions exact, %", "CPU s of training", "CPU s a row", "seeds"]]  # fmt: skip
    for name, done in every.items():
        several = [[e for e, count in zip(r["exact"], r["states"], strict=True) if count > 1] for r in done]
        shares = ([100 * statistics.mean(r["exact"]) for r in done], [100 * statistics.mean(s) for s in several],
                  [100 * r["functions"] for r in done])  # fmt: skip
        rows.append(
            [
                f"{name}: {VARIANTS[name].says}", f"{done[0]['numbers']:.0f}", f"{done[0]['size']:,}",
                spread([r["loss"] for r in done], 4), *map(spread, shares),
                spread([r["train_seconds"] for r in done], 0), spread([r["row_seconds"] for r in done], 2),
                str(len(done)),
            ]
        )  # fmt: skip
    first = next(iter(every.values()))[0]
    return {
        "variants": rows,
        "command": f"`python -m benchmarks.universal.ablation --only {' '.join(every)}`",
        "updates": f"{budget.updates:,}",
        "programs": f"{first['programs']:,}",
        "held": str(len(first["exact"])),
    }


def main() -> None:
    parser = arguments(__doc__, seeds=[0])
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--updates", type=int, default=Budget.updates)
    parser.add_argument("--each", type=int, default=Budget.each, help="programs of every size and world")
    options = parser.parse_args()
    budget = Budget(updates=options.updates, each=options.each)
    folder = f"ablation/{budget.updates}-{budget.each}"
    for name in options.only if not options.table else ():
        each_seed(f"{folder}/{name}", options.seeds, partial(run, name, budget), **asdict(budget))
    every = {name: done for name in VARIANTS if (done := results(f"{folder}/{name}"))}
    if not every:
        raise SystemExit("no variant is finished yet, so there is nothing to write")
    write("universal-ablation", contents(every, budget), [r for done in every.values() for r in done])


if __name__ == "__main__":
    main()
