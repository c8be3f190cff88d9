"""Characters of new alphabets by networks that learned from five alphabets, or from generated ones alone.

    python -m benchmarks.learners.characters.less BACKGROUND SMALL            # everything, five seeds
    python -m benchmarks.learners.characters.less BACKGROUND SMALL --only strokes --seeds 0
    python -m benchmarks.learners.characters.less BACKGROUND SMALL --table    # only write the page

BACKGROUND is Omniglot's packed background set (:mod:`envs.images.packed`), on five alphabets of which networks are
tested; SMALL its first smaller set as published, a zip or folder of five others. The part ``generator`` tells what each
part of the generator of alphabets brings: networks are trained without it for a short time, and tested on the
alphabets of VALIDATION, as are choices (``--held validation``, which prints). Results lie under ``runs/less-*``, a file
for each network and seed; a run that was stopped resumes.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial

from benchmarks.common import arguments, finished, results, seeds, write
from benchmarks.learners.characters.alphabets import (
    PIXELS,
    TEST,
    VALIDATION,
    Alphabet,
    Generated,
    Known,
    Source,
    alphabets,
    error,
)
from benchmarks.learners.characters.networks import (
    COPIES,
    QUICK,
    Network,
    OurNetwork,
    by_codes,
    encoded,
    network,
    trained,
)
from envs.images.alphabets import StrokesConfig
from envs.images.packed import packed
from envs.images.sources import open_source
from meta.few_shot.classifier import SHIPPED
from meta.few_shot.core import FewShotCore
from npi.learners.core import learner_program_core
from npi.library.library import Library
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content, Rows, spread

NAME, GENERATOR = "less", "generator"

NETWORKS = ("plain", "few-shot")

SHORT = 300
"""Updates by which parts of the generator are compared."""


@dataclass(frozen=True)
class Part:
    """What networks are trained on: so many updates, with alphabets turned or mirrored in a share of them.

    Attributes:
        config: of generated alphabets, where these are what is learned from.
    """

    title: str
    updates: int
    turned: float = 0.0
    config: StrokesConfig | None = None


PARTS = {
    "five": Part("5 alphabets", 1500, turned=0.5),
    "five-short": Part("5 alphabets", 400, turned=0.5),
    "strokes": Part("generated alphabets", 900, config=StrokesConfig(relations=False)),
}
"""Whether alphabets are turned, and relations between strokes are made, was chosen on the alphabets of VALIDATION."""

SHIPPED_TITLE = "generated alphabets: the core that comes with the engine"

STILL = StrokesConfig(motor_noise=0, placement=0, warp=0, slant=0, scale=0, translation=0, smoothing=0)


@dataclass(frozen=True)
class Without:
    """A generator that lacks something, or networks that see its drawings unchanged."""

    config: StrokesConfig = field(default_factory=StrokesConfig)
    alphabets: int | None = None
    changed: bool = True

    def source(self) -> Generated:
        if self.alphabets is None:
            return Generated(self.config)
        return Generated(self.config, kept=self.alphabets, renewed=False)


WITHOUT = {
    "as it is": Without(),
    "alphabets: all of one style": Without(StrokesConfig(styles=False)),
    "… every stroke new, no parts in common": Without(StrokesConfig(shared_parts=False)),
    "… no character that varies another one": Without(StrokesConfig(variants=False)),
    "strokes: begin anywhere, not at or along others": Without(StrokesConfig(relations=False)),
    "… straight ones alone": Without(StrokesConfig(curvature=0)),
    "… one for each character": Without(StrokesConfig(max_strokes=1)),
    "drawers: no motor noise of sub-strokes": Without(StrokesConfig(motor_noise=0)),
    "… strokes begin at their places": Without(StrokesConfig(placement=0)),
    "… no warp of the whole": Without(StrokesConfig(warp=0)),
    "… no slant, size or place of their own": Without(StrokesConfig(slant=0, scale=0, translation=0)),
    "… none of these": Without(STILL),
    "drawings not changed by training": Without(changed=False),
    "160 alphabets in all": Without(alphabets=160),
    "40 alphabets in all": Without(alphabets=40),
    "5 alphabets in all": Without(alphabets=5),
}
"""What is taken away, by what the page calls it."""


def source(part: str, small: str) -> Source:
    """Where a part's training has its alphabets."""
    if (config := PARTS[part].config) is not None:
        return Generated(config)
    drawings = open_source(small, PIXELS)
    return Known(alphabets(drawings, drawings.group_names))


def within(net: Network, test: Sequence[Alphabet], copies: int = 0) -> dict[str, float]:
    """Wrong answers in %, 20 ways and one drawing of each, by alphabet and in the mean."""
    found = {a.name: error(a, by_codes(net, encoded(net, a.drawing_NSS, copies)), ways=20, shots=1) for a in test}
    return found | {"mean": statistics.mean(found.values())}


def run(part: str, name: str, seed: int, small: str, test: Sequence[Alphabet]) -> Result:
    """Train a network on a part and test it."""
    plan, where = PARTS[part], source(part, small)
    net = network(name, where.rows, seed)
    seconds = trained(net, where, replace(QUICK[name], turned=plan.turned), updates=plan.updates, seed=seed)
    return {
        "CPU seconds": seconds,
        "parameters": sum(weight.numel() for weight in net.parameters()),
        "one": within(net, test),
        "copies": within(net, test, COPIES),
    }


def run_shipped(test: Sequence[Alphabet]) -> Result:
    """Test the core that comes with the engine, by the row of its program; it was trained on generated alphabets."""
    library = Library.open(SHIPPED)
    trained_core = learner_program_core(library.core).net
    assert isinstance(trained_core, FewShotCore)
    net = OurNetwork(1, 0, row=trained_core.config.row)
    net.core = trained_core
    net.row_P = library.memory.embeddings_NP[library.memory.index("characters.NAME")].detach()
    net.eval()
    training = library.history[0]["settings"]
    return {
        "parameters": sum(weight.numel() for weight in trained_core.parameters()),
        "updates": training["updates"],
        "seed": training["seed"],
        "one": within(net, test),
        "copies": within(net, test, COPIES),
    }


def run_without(name: str, seed: int, test: Sequence[Alphabet]) -> Result:
    """Train the engine's core for a short time on a generator without a part, and test it."""
    without = WITHOUT[name]
    net, plan = network("few-shot", 1, seed), QUICK["few-shot"]
    plan = plan if without.changed else replace(plan, changes=None)
    seconds = trained(net, without.source(), plan, updates=SHORT, seed=seed)
    return {"CPU seconds": seconds, **within(net, test)}


# --- the page --------------------------------------------------------------------------------------------------------


def contents(
    done: Mapping[str, Mapping[str, Sequence[Result]]], shipped: Result, without: Mapping[str, Sequence[Result]]
) -> Mapping[str, Content | bytes]:
    """What the page says of parts and networks, of the core that comes with the engine, and of the generator."""
    return {"less": less(done, shipped), "alphabets": by_alphabet(done, shipped), "generator": generator(without)}


def less(done: Mapping[str, Mapping[str, Sequence[Result]]], shipped: Result) -> Rows:
    head = ["trained on", "", "parameters", "updates", "CPU s, median", "seeds", "wrong, %", "copies"]
    lines = [
        [PARTS[part].title, name, f"{each[0]['parameters']:,}", f"{PARTS[part].updates:,}",
         f"{statistics.median(r['CPU seconds'] for r in each):.0f}", seeds(each),
         *(spread([r[which]["mean"] for r in each]) for which in ("one", "copies"))]
        for part, networks in done.items() for name, each in networks.items() if each
    ]  # fmt: skip
    last = [SHIPPED_TITLE, "few-shot", f"{shipped['parameters']:,}", f"{shipped['updates']:,}", "", shipped["seed"],
            *(f"{shipped[which]['mean']:.1f}" for which in ("one", "copies"))]  # fmt: skip
    return [head, *lines, last]


def by_alphabet(done: Mapping[str, Mapping[str, Sequence[Result]]], shipped: Result) -> Rows:
    """The same with copies, alphabet by alphabet."""
    lines = [
        [PARTS[part].title, name, f"{PARTS[part].updates:,}", *(spread([r["copies"][a] for r in each]) for a in TEST)]
        for part, networks in done.items() for name, each in networks.items() if each
    ]  # fmt: skip
    last = [SHIPPED_TITLE, "few-shot", f"{shipped['updates']:,}", *(f"{shipped['copies'][a]:.1f}" for a in TEST)]
    return [["trained on", "", "updates", *TEST], *lines, last]


def generator(without: Mapping[str, Sequence[Result]]) -> Rows:
    """Wrong answers on the alphabets of choice without parts of the generator."""
    lines = [
        [name, *(spread([r[a] for r in each]) for a in (*VALIDATION, "mean")), seeds(each)]
        for name, each in without.items() if each
    ]  # fmt: skip
    return [["", *(name.split("_(")[0].replace("_", "’") for name in VALIDATION), "mean", "seeds"], *lines]


def staged(part: str, name: str) -> str:
    """The folder of results of a network, or of a generator without something."""
    return f"{NAME}-{part}-{name}" if part in PARTS else f"{NAME}-{part}-{list(WITHOUT).index(name)}"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("background", metavar="BACKGROUND", help="Omniglot's packed background set")
    parser.add_argument("small", metavar="SMALL", help="its first smaller set, a zip or folder of pictures")
    every = [*PARTS, GENERATOR]
    parser.add_argument("--only", nargs="+", choices=every, default=every, help="some of the parts")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), help="some of the networks")
    parser.add_argument("--held", choices=["test", "validation"], default="test")
    options = parser.parse_args()
    drawings = packed(options.background, PIXELS)
    test, validation = alphabets(drawings, TEST), alphabets(drawings, VALIDATION)
    if options.held == "validation":
        for seed in options.seeds:
            for part in (part for part in options.only if part in PARTS):
                for name in options.networks:
                    print(part, name, seed, run(part, name, seed, options.small, validation), flush=True)
        return
    for seed in () if options.table else options.seeds:
        for part in options.only:
            for name in WITHOUT if part == GENERATOR else options.networks:
                finished(f"{staged(part, name)}/{seed}", _stage(part, name, seed, options.small, test, validation),
                         seed=seed, **_settings(part, name))  # fmt: skip
    done = {part: {name: results(staged(part, name)) for name in NETWORKS} for part in PARTS}
    without = {name: results(staged(GENERATOR, name)) for name in WITHOUT}
    every_result = [r for networks in (*done.values(), without) for each in networks.values() for r in each]
    shipped = finished(f"{NAME}-shipped", partial(run_shipped, test))
    write("few-shot-less", contents(done, shipped, without), every_result)


def _stage(
    part: str, name: str, seed: int, small: str, test: Sequence[Alphabet], validation: Sequence[Alphabet]
) -> Callable[[], Result]:
    if part == GENERATOR:
        return partial(run_without, name, seed, validation)
    return partial(run, part, name, seed, small, test)


def _settings(part: str, name: str) -> dict[str, object]:
    """What results depend on beside the seed."""
    if part == GENERATOR:
        return {"without": name, "updates": SHORT}
    return {name: value for name, value in asdict(PARTS[part]).items() if name != "title"}


if __name__ == "__main__":
    main()
