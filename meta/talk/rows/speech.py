"""Few-shot text to speech (Chen et al. 2018, SEA-EMB): a new voice as a row beside a frozen WaveNet or WaveRNN.

All voices are synthetic, of espeak-ng, which has to be installed. Shape legend: ``B`` stretches of recordings.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from dsl import load
from dsl.program import ProgramSet
from envs.speech import data
from envs.speech.corpus import SPLITS, Corpus, open_corpus, prepare
from envs.speech.espeak import available
from envs.speech.making import finished_voice, make_voice, voices
from envs.speech.voices import read_voices
from envs.speech.world import Speech
from meta.speech.learner import WAVENET, WAVERNN, SpeechTraining
from meta.talk.comparison import paired
from meta.talk.row import Effort, Found, Row, Run
from npi.learners.core import learner_program_core
from npi.learners.interface import Learner, TaskInput
from npi.learners.rollout import predicted
from npi.learners.voice_programs import program_file
from npi.library.library import Library

LEARNERS: dict[str, Learner] = {"wavenet": WAVENET, "wavernn": WAVERNN}

SAMPLES = 4000
"""Of each stretch that is judged: half a second."""

STEPS = {"wavenet": 1600, "wavernn": 800}
"""Samples of an episode of training."""

LEARNING = SpeechTraining(
    updates=60, batch=4, row_rate=3e-2, check_every=60, problems=8, starts=2, clip=10.0, inferred=0.0
)
"""Of the row."""


def corpora(run: Run) -> tuple[Corpus, Corpus]:
    """Voices to train on, and one that is held out; made once, in a folder beside those of the rows."""
    count, seconds = run.effort.more["voices"], run.effort.more["seconds"]
    folder = run.folder.parent / f"voices-{count}-{seconds:g}"
    every = voices(count + 1, programs=("espeak-ng",))
    for number, voice in enumerate(every):
        run.heed()
        run.say(number, len(every), f"making the voice {voice.name}")
        home = folder / ("new" if number == count else "known")
        if not finished_voice(home, voice):
            make_voice(home, voice, seconds)
    for kind in ("known", "new"):
        if not (folder / f"{kind}.npz").exists():
            prepare(read_voices(folder / kind)).save(folder / f"{kind}.npz")
    return open_corpus(folder / "known.npz"), open_corpus(folder / "new.npz")


def programs_of(name: str, found: Corpus, core: str) -> ProgramSet:
    """A program for each voice of a corpus, which is bound to a name of data."""
    data.hold(name, found)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.npi"
        path.write_text(program_file(found.voices, core=core, data=name, steps=STEPS[core]), encoding="utf-8")
        return load(path)


@torch.no_grad()
def bits(library: Library, row_P: torch.Tensor, found: Corpus, count: int) -> torch.Tensor:
    """float64 B: bits a sample of stretches of the one voice's recordings for tests."""
    core = learner_program_core(library.core)
    world = Speech("booth", {"data": "judged", "steps": SAMPLES}, data={"judged": found})
    parts = []
    for first in range(0, count, 16):
        numbers = range(first, min(count, first + 16))
        layouts = [{"EPISODE": [1, *map(int, str(n))], "SPLIT": [SPLITS.index("test")]} for n in numbers]
        row_BP = row_P.detach().expand(len(layouts), -1)
        task = TaskInput(world.spec, 0, row_BP, torch.zeros(len(layouts), 3, dtype=torch.int64))
        parts.append(core.learner.judge(world, predicted(core.net, world, layouts, task, SAMPLES))["bits"].double())
    return torch.cat(parts)


def run_core(core: str, run: Run) -> Found:
    """Train on some voices; then learn the row of another one, and compare it with the mean row."""
    known, new = corpora(run)
    library = run.train([programs_of("known_voices", known, core)])
    old_NP, before = library.memory.embeddings_NP.detach().clone(), library.core.digest()
    run.learn(library, [programs_of("new_voice", new, core)], LEARNING)
    row_P, count = library.memory.embeddings_NP[-1].detach(), run.effort.problems
    mine_B = bits(library, row_P, new, count)
    each = [float(bits(library, old_P, new, count).mean()) for old_P in old_NP]
    same = library.core.digest() == before and torch.equal(library.memory.embeddings_NP[: len(old_NP)].detach(), old_NP)
    return Found(
        paired(mine_B, bits(library, old_NP.mean(0), new, count), higher=False),
        beside={"the best row of the known voices, on the same recordings": min(each)},
        facts={
            "voices": f"{len(known.voices)} known ones of {run.effort.more['seconds']:g} s each, and a new one",
            "core and old rows": "bit-identical before and after" if same else "CHANGED",
            "what it does not show": "speech: cores that are trained so briefly do not speak intelligibly",
        },
    )


def lacking() -> str:
    return "" if available() else "it needs espeak-ng's voices: apt-get install espeak-ng"


def row(core: str, title: str, published: str, quick: SpeechTraining, full: SpeechTraining) -> Row:
    return Row(
        key=core,
        title=f"Few-shot speech: {title}",
        claim=published,
        paper="5 minutes of a voice come to the quality of 4 hours from scratch (the talk; MOS in Chen et al. 2018, "
        "which nobody here has judged)",
        score="bits a sample of a new voice's recordings for tests, by its learned row",
        control="the mean row of the known voices, on the same recordings",
        run=partial(run_core, core),
        quick=Effort(quick, 48, {"voices": 6, "seconds": 40.0}),
        full=Effort(full, 200, {"voices": 40, "seconds": 200.0}),
        needs=lacking,
    )


FAST = SpeechTraining(updates=240, batch=2, rate=1e-2, row_rate=3e-2, check_every=40, problems=8)

WAVENET_ROW = row("wavenet", "WaveNet", "Few-shot text to speech", FAST, replace(FAST, updates=2000))

WAVERNN_ROW = row(
    "wavernn", "WaveRNN", "Same adaptation applies to WaveRNN", replace(FAST, updates=200, batch=4),
    replace(FAST, updates=2000, batch=4),
)  # fmt: skip
