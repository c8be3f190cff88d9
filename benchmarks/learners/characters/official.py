"""Lake's one-shot runs of Omniglot: ``python -m benchmarks.learners.characters.official BACKGROUND RUNS``.

A core is trained on all alphabets of BACKGROUND, Omniglot's packed background set, and answers RUNS, the folder or zip
of the official runs (``runNN/{training,test,class_labels.txt}``). Prints wrong answers in %, of each run and of all.
"""

from __future__ import annotations

import torch

from benchmarks.common import plain_arguments
from benchmarks.learners.characters.alphabets import PIXELS, Known, alphabets
from benchmarks.learners.characters.networks import COPIES, OurNetwork, encoded, trained
from envs.images.official_runs import OneShotRun, one_shot_runs
from envs.images.packed import packed


@torch.no_grad()
def wrong(net: OurNetwork, run: OneShotRun, copies: int) -> int:
    """Wrong answers in one run."""
    code = [
        encoded(net, torch.from_numpy(picture_NSS).float() / 255, copies)
        for picture_NSS in (run.test_QSS, run.training_CSS)
    ]
    return int((net.distance(*code).argmin(1) != torch.from_numpy(run.answer_Q)).sum())


def main() -> None:
    parser = plain_arguments(__doc__)
    parser.add_argument("background", metavar="BACKGROUND")
    parser.add_argument("runs", metavar="RUNS")
    parser.add_argument("--updates", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    runs, drawings = one_shot_runs(options.runs, PIXELS), packed(options.background, PIXELS)
    source = Known(alphabets(drawings, drawings.group_names))
    net = OurNetwork(source.rows, options.seed)
    seconds = trained(net, source, updates=options.updates, rate=2e-3, ways=30, drawings=2, seed=options.seed)
    print(f"{options.updates:,} updates, {seconds:.0f} CPU s, seed {options.seed}", flush=True)
    for copies in (0, COPIES):
        counts = [wrong(net, run, copies) for run in runs]
        each = ", ".join(f"{run.name} {count}" for run, count in zip(runs, counts, strict=True))
        asked = sum(len(run.answer_Q) for run in runs)
        print(f"{copies} copies: {100 * sum(counts) / asked:.2f} % of {asked} wrong ({each})", flush=True)


if __name__ == "__main__":
    main()
