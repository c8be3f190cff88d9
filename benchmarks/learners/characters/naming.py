"""Characters of new alphabets from one drawing of each: this engine's core, plain prototype networks, and no learning.

    python -m benchmarks.learners.characters.naming BACKGROUND                 # everything, five seeds
    python -m benchmarks.learners.characters.naming BACKGROUND --only small    # parts of it
    python -m benchmarks.learners.characters.naming BACKGROUND --table         # only write the page

BACKGROUND is Omniglot's packed background set (:mod:`envs.images.packed`). Trained on it without the five alphabets
that are tested, on the five alphabets of its smaller set, or on generated alphabets alone; tested on the same five.
Choices were made on the alphabets of VALIDATION: ``--held validation`` trains without them, tests on them and prints.
Results lie under ``runs/characters``, a file for each network and seed; a run that was stopped resumes.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.common import arguments, finished, results, seeds, write
from benchmarks.learners.characters.alphabets import (
    PIXELS,
    SMALL,
    TEST,
    VALIDATION,
    Alphabet,
    Generated,
    Known,
    Source,
    alphabets,
    by_pictures,
    error,
    together,
)
from benchmarks.learners.characters.networks import (
    COPIES,
    Network,
    OurNetwork,
    PlainNetwork,
    by_codes,
    encoded,
    trained,
)
from benchmarks.learners.characters.rows import rows
from envs.images.drawings import Drawings
from envs.images.packed import packed
from meta.few_shot.classic import nearest_hausdorff, nearest_pixels
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content, Rows, spread

NAME = "characters"

MIXED = ((5, 1), (5, 5), (20, 1), (20, 5))
"""Ways and shots of episodes whose classes are of all test alphabets."""

SETTINGS = {"plain": (1e-3, 20, 3), "plain, near": (1e-3, 20, 3), "few-shot": (2e-3, 30, 2)}
"""Of each network: peak rate, and ways and drawings of each class in an update."""


@dataclass(frozen=True)
class Part:
    """What networks are trained on, for so long, and which ones; the engine's own learns rows where it says so."""

    updates: int
    networks: tuple[str, ...] = tuple(SETTINGS)
    rows: bool = False


PARTS = {
    "background": Part(2400, rows=True),
    "small": Part(1000, ("plain", "few-shot")),
    "strokes": Part(2400, ("plain", "few-shot")),
}

DESCRIPTIONS = {
    "background": "25 alphabets",
    "small": "5 alphabets",
    "strokes": "generated alphabets",
}


def network(name: str, rows: int, seed: int) -> Network:
    """A new one."""
    return OurNetwork(rows, seed) if name == "few-shot" else PlainNetwork(name != "plain", seed)


def source(part: str, drawings: Drawings, hidden: Sequence[str]) -> Source:
    """Where a part's training has its alphabets."""
    if part == "strokes":
        return Generated()
    names = SMALL if part == "small" else [name for name in drawings.group_names if name not in hidden]
    return Known(alphabets(drawings, names))


def measured(net: Network, test: Sequence[Alphabet]) -> Result:
    """Wrong answers in %, one encoding each and averaged over copies."""
    mixed, found = together(test), dict[str, object]()
    for copies in (0, COPIES):
        code_ND = encoded(net, mixed.drawing_NSS, copies)
        own = zip(test, code_ND.split([len(alphabet.drawing_NSS) for alphabet in test]), strict=True)
        within = {a.name: error(a, by_codes(net, code_ND), ways=20, shots=1) for a, code_ND in own}
        found[f"within, {copies} copies"] = within | {"mean": statistics.mean(within.values())}
        found[f"mixed, {copies} copies"] = {
            f"{ways} {shots}": error(mixed, by_codes(net, code_ND), ways=ways, shots=shots, episodes=500)
            for ways, shots in MIXED
        }
    return found


def run(part: str, name: str, seed: int, drawings: Drawings, test: Sequence[str], hidden: Sequence[str]) -> Result:
    """Train a network and test it."""
    plan, alphabet = PARTS[part], alphabets(drawings, test)
    where = source(part, drawings, hidden)
    net = network(name, where.rows, seed)
    rate, ways, each = SETTINGS[name]
    seconds = trained(net, where, updates=plan.updates, rate=rate, ways=ways, drawings=each, seed=seed)
    parameters = sum(weight.numel() for weight in net.parameters())
    found = {"CPU seconds": seconds, "parameters": parameters, **measured(net, alphabet)}
    if plan.rows and isinstance(net, OurNetwork):
        found["rows"] = rows(net, alphabet)
    return found


def unlearned(test: Sequence[Alphabet]) -> Result:
    """Wrong answers in % of what learns nothing."""
    return {
        name: statistics.mean(error(a, by_pictures(a, nearest), ways=20, shots=1, episodes=10) for a in test)
        for name, nearest in (("pixels", nearest_pixels), ("contours", nearest_hausdorff))
    }


def contents(done: Mapping[str, Mapping[str, Sequence[Result]]], nothing: Result) -> Mapping[str, Content | bytes]:
    """What the page says of the results of parts and networks."""
    first = done["background"]
    return {
        "training": training(done),
        "within": [["", *TEST, "mean", "mean, copies"], *_unlearned(nothing), *within(first)],
        "mixed": [["", *(f"{ways} ways, {shots} shot{'s' * (shots > 1)}" for ways, shots in MIXED)], *mixed(first)],
        "less": [["trained on", "", "mean", "mean, copies"], *less(done)],
        "rows": rows_table([r["rows"] for r in first.get("few-shot", []) if "rows" in r]),
        "share": share(first),
    }


def training(done: Mapping[str, Mapping[str, Sequence[Result]]]) -> Rows:
    """What each network was trained with."""
    head = ["trained on", "", "parameters", "updates", "CPU s, median", "seeds"]
    lines = [
        [DESCRIPTIONS[part], name, f"{each[0]['parameters']:,}", f"{PARTS[part].updates:,}",
         f"{statistics.median(r['CPU seconds'] for r in each):.0f}", seeds(each)]
        for part, networks in done.items() for name, each in networks.items() if each
    ]  # fmt: skip
    return [head, *lines]


def within(networks: Mapping[str, Sequence[Result]]) -> list[list[object]]:
    """Lines of wrong answers within alphabets."""
    return [
        [name, *(spread([r["within, 0 copies"][a] for r in each]) for a in (*TEST, "mean")),
         spread([r[f"within, {COPIES} copies"]["mean"] for r in each])]
        for name, each in networks.items() if each
    ]  # fmt: skip


def mixed(networks: Mapping[str, Sequence[Result]]) -> list[list[object]]:
    """Lines of wrong answers among classes of all alphabets, without copies and with them."""
    return [
        [name + (", copies" if copies else ""),
         *(spread([r[f"mixed, {copies} copies"][f"{ways} {shots}"] for r in each], 2) for ways, shots in MIXED)]
        for name, each in networks.items() if each for copies in (0, COPIES)
    ]  # fmt: skip


def less(done: Mapping[str, Mapping[str, Sequence[Result]]]) -> list[list[object]]:
    """Lines of the parts beside the first."""
    return [
        [DESCRIPTIONS[part], name, *(spread([r[f"within, {copies} copies"]["mean"] for r in each])
                                     for copies in (0, COPIES))]
        for part, networks in done.items() if part != "background" for name, each in networks.items() if each
    ]  # fmt: skip


def rows_table(each: Sequence[Mapping[str, float]]) -> Rows:
    """What rows buy."""
    names = ["mean row", "inferred row", "another alphabet's row", "learned row", "all parameters"]
    return [
        ["learned from", *names, "CPU s of a row"],
        *(
            [label, *(spread([r[f"{key}: {name}"] for r in each]) if each and f"{key}: {name}" in each[0] else ""
                      for name in (*names, "CPU seconds of a row"))]
            for key, label in (("examples", "the 20 examples of an episode"), ("characters", "half of the characters"))
        ),
    ]  # fmt: skip


def share(networks: Mapping[str, Sequence[Result]]) -> str:
    """By how much the errors of the engine's core are fewer, seed by seed."""
    ours = {r["seed"]: r["within, 0 copies"]["mean"] for r in networks.get("few-shot", [])}
    told = []
    for name in ("plain", "plain, near"):
        shares = [
            100 * (1 - ours[r["seed"]] / r["within, 0 copies"]["mean"]) for r in networks[name] if r["seed"] in ours
        ]
        if shares:
            told.append(f"{spread(shares, 0)} % fewer than `{name}`")
    return " and ".join(told)


def _unlearned(nothing: Result) -> list[list[object]]:
    return [[name, *("" for _ in TEST), f"{wrong:.1f}", ""] for name, wrong in nothing.items()]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("background", metavar="BACKGROUND", help="Omniglot's packed background set")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="some of the parts")
    parser.add_argument("--networks", nargs="+", choices=SETTINGS, default=list(SETTINGS), help="some of the networks")
    parser.add_argument("--held", choices=["test", "validation"], default="test")
    options = parser.parse_args()
    drawings = packed(options.background, PIXELS)
    if options.held == "validation":
        validated(options, drawings)
        return
    for seed in () if options.table else options.seeds:
        for part in options.only:
            for name in (name for name in PARTS[part].networks if name in options.networks):
                settings = {"updates": PARTS[part].updates, "seed": seed}
                stage = partial(run, part, name, seed, drawings, TEST, TEST)
                finished(f"{NAME}-{part}-{slug(name)}/{seed}", stage, **settings)
    done = {part: {name: results(f"{NAME}-{part}-{slug(name)}") for name in PARTS[part].networks} for part in PARTS}
    nothing = finished(f"{NAME}-unlearned", partial(unlearned, alphabets(drawings, TEST)))
    write(
        "few-shot",
        contents(done, nothing),
        [r for networks in done.values() for each in networks.values() for r in each],
    )


def validated(options: argparse.Namespace, drawings: Drawings) -> None:
    """Print what is found on the alphabets of choice."""
    for seed in options.seeds:
        for part in options.only:
            for name in (name for name in PARTS[part].networks if name in options.networks):
                print(part, name, seed, run(part, name, seed, drawings, VALIDATION, (*TEST, *VALIDATION)), flush=True)


def slug(name: str) -> str:
    """A name of files."""
    return name.replace(", ", "-")


if __name__ == "__main__":
    main()
