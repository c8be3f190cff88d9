"""Characters of new alphabets from one drawing of each: this engine's core, plain prototype networks, and no learning.

    python -m benchmarks.learners.characters.naming BACKGROUND            # five seeds
    python -m benchmarks.learners.characters.naming BACKGROUND --table    # only write the page

BACKGROUND is Omniglot's packed background set (:mod:`envs.images.packed`). Trained on it without the five alphabets
that are tested. Choices were made on the alphabets of VALIDATION: ``--held validation`` trains without them, tests on
them and prints. Results lie under ``runs/characters-background-*``, a file for each network and seed; a run that was
stopped resumes.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping, Sequence
from functools import partial

from benchmarks.common import arguments, finished, results, seeds, write
from benchmarks.learners.characters.alphabets import (
    PIXELS,
    TEST,
    VALIDATION,
    Alphabet,
    Known,
    alphabets,
    by_pictures,
    error,
    together,
)
from benchmarks.learners.characters.networks import (
    COPIES,
    SETTINGS,
    Network,
    OurNetwork,
    by_codes,
    encoded,
    network,
    trained,
)
from benchmarks.learners.characters.rows import rows
from envs.images.drawings import Drawings
from envs.images.packed import packed
from meta.few_shot.classic import nearest_hausdorff, nearest_pixels
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content, Rows, spread

NAME = "characters-background"

MIXED = ((5, 1), (5, 5), (20, 1), (20, 5))
"""Ways and shots of episodes whose classes are of all test alphabets."""

UPDATES = 2400


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


def run(name: str, seed: int, drawings: Drawings, test: Sequence[str], hidden: Sequence[str]) -> Result:
    """Train a network on the alphabets that are not hidden, and test it."""
    known = Known(alphabets(drawings, [name for name in drawings.group_names if name not in hidden]))
    net, asked = network(name, known.rows, seed), alphabets(drawings, test)
    seconds = trained(net, known, SETTINGS[name], updates=UPDATES, seed=seed)
    found = {"CPU seconds": seconds, "parameters": parameters(net), **measured(net, asked)}
    if isinstance(net, OurNetwork):
        found["rows"] = rows(net, asked)
    return found


def parameters(net: Network) -> int:
    return sum(weight.numel() for weight in net.parameters())


def unlearned(test: Sequence[Alphabet]) -> Result:
    """Wrong answers in % of what learns nothing."""
    return {
        name: statistics.mean(error(a, by_pictures(a, nearest), ways=20, shots=1, episodes=10) for a in test)
        for name, nearest in (("pixels", nearest_pixels), ("contours", nearest_hausdorff))
    }


def contents(done: Mapping[str, Sequence[Result]], nothing: Result) -> Mapping[str, Content | bytes]:
    """What the page says of the results of networks."""
    return {
        "training": training(done),
        "within": [["", *TEST, "mean", "mean, copies"], *_unlearned(nothing), *within(done)],
        "mixed": [["", *(f"{ways} ways, {shots} shot{'s' * (shots > 1)}" for ways, shots in MIXED)], *mixed(done)],
        "rows": rows_table([r["rows"] for r in done.get("few-shot", []) if "rows" in r]),
        "share": share(done),
    }


def training(done: Mapping[str, Sequence[Result]]) -> Rows:
    """What each network was trained with."""
    head = ["trained on", "", "parameters", "updates", "CPU s, median", "seeds"]
    lines = [
        ["25 alphabets", name, f"{each[0]['parameters']:,}", f"{UPDATES:,}",
         f"{statistics.median(r['CPU seconds'] for r in each):.0f}", seeds(each)]
        for name, each in done.items() if each
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
    parser.add_argument("--networks", nargs="+", choices=SETTINGS, default=list(SETTINGS), help="some of the networks")
    parser.add_argument("--held", choices=["test", "validation"], default="test")
    options = parser.parse_args()
    drawings = packed(options.background, PIXELS)
    if options.held == "validation":
        validated(options, drawings)
        return
    for seed in () if options.table else options.seeds:
        for name in options.networks:
            stage = partial(run, name, seed, drawings, TEST, TEST)
            finished(f"{NAME}-{slug(name)}/{seed}", stage, updates=UPDATES, seed=seed)
    done = {name: results(f"{NAME}-{slug(name)}") for name in SETTINGS}
    nothing = finished("characters-unlearned", partial(unlearned, alphabets(drawings, TEST)))
    write("few-shot", contents(done, nothing), [r for each in done.values() for r in each])


def validated(options: argparse.Namespace, drawings: Drawings) -> None:
    """Print what is found on the alphabets of choice."""
    for seed in options.seeds:
        for name in options.networks:
            print(name, seed, run(name, seed, drawings, VALIDATION, (*TEST, *VALIDATION)), flush=True)


def slug(name: str) -> str:
    """A name of files."""
    return name.replace(", ", "-")


if __name__ == "__main__":
    main()
