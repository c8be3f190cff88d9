"""Make the core that comes with the engine and names characters from few examples.

    python -m benchmarks.learners.shipped_characters                 # five CPU minutes; into meta/few_shot/shipped
    python -m benchmarks.learners.shipped_characters --out FOLDER    # elsewhere
    python -m benchmarks.learners.shipped_characters --core LIBRARY  # of a core that is trained already
    python -m benchmarks.learners.shipped_characters --updates 8000  # longer

It is trained by ``programs/learning/characters.npi`` on generated alphabets alone; no data of anybody are among them.
Its parameters are rounded to 16 bits, so that the wheel holds half of them: the rest of each number is zeros, which
pack to nothing. Beside the program that it was trained on it gets one for users' folders, with the same row. What it
reaches, rounded and not, is measured on alphabets that no training drew, and stands in its card.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.common import ROOT, plain_arguments
from benchmarks.learners.cores import trained_core, written
from dsl import load
from envs.images.bindings import bind
from meta.few_shot.classifier import SHIPPED
from meta.few_shot.learner import LEARNER
from npi.jobs.learners import new_library
from npi.learners.core import learner_program_core
from npi.learners.evaluate import score_task
from npi.learners.tasks import training_tasks
from npi.library.examples import CARD
from npi.library.library import Library
from npi.library.tensor_files import write_whole

NAME = "shipped-characters"

CHARACTERS = ROOT / "programs" / "learning" / "characters.npi"

FOLDER = """# Pictures of a folder, group/class/picture or class/picture, each class known from one of them:
# npi eval folder --library few_shot --data folder=FOLDER
world pictures is images(data: folder, ways: 20, shots: 1, queries: 20, within: alphabet, pixels: 64)

program NAME "Say which class each picture is of":
    maximise accuracy over 20 steps
    core "few-shot"

task folder:
    run NAME
    expect SHOWN == ["no"]
    train
    test
"""

TEXT = """# Card: the core that names characters from few examples

- **What it is**: a convolutional encoder of four layers of {channels} channels, a distance that lets parts move, and a
  row of {row} numbers; it names a picture by the nearest of some classes that it is shown examples of.
  `meta.few_shot.FewShotClassifier` and `npi eval folder --library few_shot --data folder=FOLDER` use it. Core {digest},
  {parameters:,} parameters, rounded to 16 bits and stored as float32; safetensors and JSON, no pickles.
- **Trained on**: generated alphabets, {updates:,} updates of 20 characters of one alphabet, seed {seed}:
  `python -m benchmarks.learners.shipped_characters --updates {updates}`. No data of anybody are among them.
- **Reaches**: {accuracy} % right among 20 characters of generated alphabets that no training drew, from one drawing of
  each ({count:,} episodes of 20; {whole} % before rounding).{more}
- **Not for**: photographs, and anything but dark or light figures on plain paper; classes that differ by size, place,
  or a turn of a few degrees alone, which it was trained to overlook.
- **License**: Apache-2.0, as the engine.
"""

EPISODES = 200


def for_users(trained: Library) -> Library:
    """The core, its parameters rounded, with rows for the program that it was trained on and for folders."""
    with tempfile.TemporaryDirectory() as place:
        sets = [load(CHARACTERS), load(written(Path(place) / "folder.npi", FOLDER))]
    core = learner_program_core(trained.core)
    tasks = [task for programs in sets for task in training_tasks(programs)]
    found = new_library(core.config, tasks, sets, seed=0)
    own = learner_program_core(found.core)
    own.net.load_state_dict(rounded(core.net.state_dict()))
    row_P = trained.memory.embeddings_NP[trained.memory.index("characters.NAME")].detach()
    with torch.no_grad():
        found.memory.embeddings_NP.copy_(row_P.half().float().expand(len(tasks), -1))
    found.history.extend(trained.history)
    return found


def rounded(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """To numbers of 16 bits, as float32; ``ValueError`` for one that is too large for them."""
    found = {name: part.half().to(part.dtype) for name, part in tensors.items()}
    for name, part in found.items():
        if not part.isfinite().all():
            raise ValueError(f"{name} has numbers that 16 bits do not hold")
    return found


def accuracy(library: Library) -> float:
    """In %, on alphabets that no training drew."""
    programs, task = library.task("characters.alphabets")
    return 100 * score_task(library, programs, task, count=EPISODES).scores["accuracy"].mean


def by_people(library: Library, path: Path | None) -> str:
    """What it reaches on Omniglot's background set, where there is one: nothing of it was trained on."""
    if path is None:
        return ""
    bind(f"folder={path}")
    programs, task = library.task("folder.folder")
    share = score_task(library, programs, task, count=EPISODES).scores["accuracy"]
    return (
        f" Among 20 characters of an alphabet of Omniglot's background set\n  {100 * share.mean:.1f} % (± "
        f"{100 * share.error:.1f}; each tenth of its 30 alphabets is left out)."
    )


def card(library: Library, whole: float, settings: Sequence[Mapping[str, int]], more: str) -> str:
    core = learner_program_core(library.core)
    return TEXT.format(
        channels=core.net.config.channels,
        row=core.net.config.row,
        digest=library.core.digest()[:16],
        parameters=sum(part.numel() for part in core.net.parameters()),
        updates=settings[0]["updates"],
        seed=settings[0]["seed"],
        accuracy=f"{accuracy(library):.1f}",
        whole=f"{whole:.1f}",
        count=EPISODES,
        more=more,
    )


def main() -> None:
    options = plain_arguments(__doc__)
    options.add_argument("--out", type=Path, default=SHIPPED)
    options.add_argument("--core", type=Path, help="the library of a core of characters.npi, in place of training one")
    options.add_argument("--omniglot", type=Path, help="its packed background set, to measure on drawings by people")
    options.add_argument("--updates", type=int, default=LEARNER.training.updates)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    if chosen.core is None:
        training = replace(LEARNER.training, updates=chosen.updates, seed=chosen.seed)
        trained, _ = trained_core(f"{NAME}-{chosen.updates}-{chosen.seed}", [CHARACTERS], training)
    else:
        trained = Library.open(chosen.core)
    library = for_users(trained)
    text = card(
        library,
        accuracy(trained),
        [entry["settings"] for entry in trained.history],
        by_people(library, chosen.omniglot),
    )
    library.save(chosen.out)
    write_whole(chosen.out / CARD, text.encode())
    print(text)


if __name__ == "__main__":
    main()
