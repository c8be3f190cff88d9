"""Omniglot's one-shot runs: twenty characters of an alphabet from one drawing of each, as published.

    python -m benchmarks.learners.characters.official RUNS --background BACKGROUND   # by a core of all its alphabets
    python -m benchmarks.learners.characters.official RUNS --library few_shot        # by a library's core
    python -m benchmarks.learners.characters.official --background BACKGROUND --held # by runs that it makes itself

RUNS is the folder or zip of the runs (``runNN/{training,test,class_labels.txt}``), BACKGROUND Omniglot's packed
background set. Prints wrong answers in %, of each run and of all. The core is kept in ``runs/official-*``, so that
other runs are answered at once. ``--held`` is for whoever has no runs: a core is trained without the alphabets of
VALIDATION, runs of the published layout are made from these, each of two drawers, written to a folder, and read and
answered from there; the page is written.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from itertools import permutations
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.common import RUNS, finished, plain_arguments, write
from benchmarks.learners.characters.alphabets import PIXELS, TEST, VALIDATION, Known, alphabets
from benchmarks.learners.characters.networks import COPIES, QUICK, OurNetwork, encoded, trained
from envs.images.drawings import Drawings
from envs.images.official_runs import LABELS, OneShotRun, one_shot_runs
from envs.images.packed import SIDE, packed
from meta.few_shot.classic import nearest_hausdorff, nearest_pixels
from npi.library.examples import shipped
from npi.library.tensor_files import read_tensors, tensors_bytes, write_whole
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Content

NAME = "official"

UPDATES, WAYS, HELD_RUNS = 4000, 20, 20

Answers = Callable[[OneShotRun], np.ndarray]
"""For each test picture of a run, the place of the training picture that it is said to be like."""


def wrong(runs: Sequence[OneShotRun], answers: Answers) -> list[int]:
    """Wrong answers in each run."""
    return [int(np.count_nonzero(answers(run) != run.answer_Q)) for run in runs]


def percent(runs: Sequence[OneShotRun], counts: Sequence[int]) -> float:
    return 100 * sum(counts) / sum(len(run.answer_Q) for run in runs)


def by_network(net: OurNetwork, copies: int) -> Answers:
    """Answers by the nearest encoding."""

    @torch.no_grad()
    def answers(run: OneShotRun) -> np.ndarray:
        pictures = (torch.from_numpy(picture_NSS).float() / 255 for picture_NSS in (run.test_QSS, run.training_CSS))
        said_Q: np.ndarray = (
            net.distance(*(encoded(net, picture_NSS, copies) for picture_NSS in pictures)).argmin(1).numpy()
        )
        return said_Q

    return answers


def by_library(library: str, copies: int) -> Answers:
    """Answers by the classifier that users have."""
    from meta.few_shot.classifier import FewShotClassifier  # needs scikit-learn

    classifier = FewShotClassifier(shipped().get(library, library), copies=copies, random_state=0)

    def answers(run: OneShotRun) -> np.ndarray:
        said_Q: np.ndarray = classifier.fit(run.training_CSS, np.arange(len(run.training_CSS))).predict(run.test_QSS)
        return said_Q

    return answers


def by_pictures(nearest: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Answers:
    """Answers by the nearest picture."""
    return lambda run: nearest(run.training_CSS, run.test_QSS)


# --- the core --------------------------------------------------------------------------------------------------------


def core(drawings: Drawings, updates: int, seed: int) -> tuple[OurNetwork, Result]:
    """One trained on all alphabets that there are, which is kept, and how it was trained."""
    name = f"{NAME}-{drawings.groups}-{updates}-{seed}"
    source = Known(alphabets(drawings, drawings.group_names))
    net, path = OurNetwork(source.rows, seed), RUNS / f"{name}.safetensors"

    def train() -> Result:
        seconds = trained(net, source, QUICK["few-shot"], updates=updates, seed=seed)
        write_whole(path, tensors_bytes(net.state_dict()))
        return {"CPU seconds": seconds}

    done = finished(name, train, updates=updates, seed=seed, alphabets=drawings.groups)
    net.load_state_dict(read_tensors(path)[0])
    net.eval()
    net.row_P = net.rows_AP.detach().mean(0)
    return net, done


# --- runs of held-out alphabets --------------------------------------------------------------------------------------


def write_runs(folder: Path, drawings: Drawings, count: int, seed: int = 0) -> None:
    """Runs of the published layout, black ink on white paper: alphabets take turns; one drawer's examples, another's
    drawings to name, in another order."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        place_2W = _two_drawers(drawings, number % drawings.groups, rng)
        order_W, home = rng.permutation(place_2W.shape[1]), folder / f"run{number + 1:02}"
        for part in ("training", "test"):
            (home / part).mkdir(parents=True)
        lines = []
        for place, right in enumerate(order_W):
            training, test = f"training/class{place + 1:02}.png", f"test/item{place + 1:02}.png"
            _write_picture(home / training, drawings.picture_NSS[place_2W[0, place]])
            _write_picture(home / test, drawings.picture_NSS[place_2W[1, right]])
            lines.append(f"{home.name}/{test} {home.name}/training/class{right + 1:02}.png\n")
        (home / LABELS).write_text("".join(lines))


def _two_drawers(drawings: Drawings, group: int, rng: np.random.Generator) -> np.ndarray:
    """place_2W: drawings by two drawers of characters that both have drawn, WAYS where there are so many.

    Raises ``ValueError`` where no two drawers have so many in common.
    """
    by_drawer: dict[int, dict[int, int]] = {}
    for number in drawings.of_group(group):
        for place in drawings.of_class(int(number)):
            by_drawer.setdefault(int(drawings.drawer_N[place]), {})[int(number)] = int(place)
    most = min(WAYS, len(drawings.of_group(group)))
    pairs = [(a, b) for a, b in permutations(by_drawer.values(), 2) if len(a.keys() & b.keys()) >= most]
    if not pairs:
        raise ValueError(f"{drawings.group_names[group]}: no two drawers have drawn {most} characters in common")
    both = pairs[rng.integers(len(pairs))]
    chosen = rng.choice(sorted(both[0].keys() & both[1].keys()), most, replace=False)
    return np.array([[drawn[int(number)] for number in chosen] for drawn in both])


def _write_picture(path: Path, ink_SS: np.ndarray) -> None:
    Image.fromarray(255 - ink_SS).convert("1", dither=Image.Dither.NONE).save(path)


def held(background: str, updates: int, seed: int) -> None:
    """Write the page: a core that has not seen four alphabets answers runs that are made from them."""
    drawings = packed(background, PIXELS).without((*TEST, *VALIDATION))
    net, trained_as = core(drawings, updates, seed)
    with tempfile.TemporaryDirectory() as folder:
        write_runs(Path(folder), packed(background, SIDE).select(groups=VALIDATION), HELD_RUNS)
        runs = one_shot_runs(folder, PIXELS)
    found = {
        "nearest pixels": by_pictures(nearest_pixels),
        "contours (modified Hausdorff distance)": by_pictures(nearest_hausdorff),
        "the core that comes with the engine": by_library("few_shot", 0),
        "… and copies": by_library("few_shot", COPIES),
        f"`few-shot` of {drawings.groups} alphabets": by_network(net, 0),
        "… and copies ": by_network(net, COPIES),
    }
    rows: list[list[object]] = [["", "wrong, %", "of one run"]]
    for name, answers in found.items():
        counts = wrong(runs, answers)
        shares = [100 * count / len(run.answer_Q) for count, run in zip(counts, runs, strict=True)]
        rows.append([name, f"{percent(runs, counts):.1f}", f"{min(shares):.0f} to {max(shares):.0f}"])
    contents: dict[str, Content] = {
        "runs": rows,
        "count": f"{len(runs)}",
        "updates": f"{updates:,}",
        "seconds": f"{trained_as['CPU seconds']:.0f}",
    }
    write("official-runs", contents)


def main() -> None:
    parser = plain_arguments(__doc__)
    parser.add_argument("runs", metavar="RUNS", nargs="?")
    parser.add_argument("--background", metavar="BACKGROUND", help="Omniglot's packed background set")
    parser.add_argument("--library", help="a library of a core of few-shot, in place of a core that is trained")
    parser.add_argument("--held", action="store_true", help="make runs of held-out alphabets, and write the page")
    parser.add_argument("--updates", type=int, default=UPDATES)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if not (options.background or options.library) or bool(options.runs) == options.held:
        parser.error("give RUNS and --background or --library; or --background and --held")
    if options.held:
        held(options.background, options.updates, options.seed)
        return
    runs = one_shot_runs(options.runs, PIXELS)
    if options.library:
        make = partial(by_library, options.library)
    else:
        net, trained_as = core(packed(options.background, PIXELS), options.updates, options.seed)
        print(f"{options.updates:,} updates, {trained_as['CPU seconds']:.0f} CPU s, seed {options.seed}", flush=True)
        make = partial(by_network, net)
    for copies in (0, COPIES):
        counts = wrong(runs, make(copies))
        each = ", ".join(f"{run.name} {count}" for run, count in zip(runs, counts, strict=True))
        asked = sum(len(run.answer_Q) for run in runs)
        print(f"{copies} copies: {percent(runs, counts):.2f} % of {asked} wrong ({each})", flush=True)


if __name__ == "__main__":
    main()
