"""Voices as rows beside a frozen WaveNet and WaveRNN, on synthetic voices that no core has heard (Chen et al. 2018).

    python -m benchmarks.learners.speech                     # needs espeak-ng, flite and festival (npi voices make)
    python -m benchmarks.learners.speech --only corpus       # or train, rows, speed: these stages alone
    python -m benchmarks.learners.speech --table             # only write the page from what is finished

Each stage has a file under ``runs/speech``, so that a run that was stopped resumes. Of 67 synthetic voices 53 are
trained on; of those held out two have 27 minutes, the others seven. Bits a sample are of the recordings for tests,
which are not learned from and not looked at for any choice. Settings were chosen on training voices alone.

Shape legend: ``P`` parameters of a row.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import RUNS, arguments, finished, write
from dsl import load
from dsl.program import ProgramSet
from envs.speech import data
from envs.speech.alignment import cepstra
from envs.speech.audio import Sound, decode
from envs.speech.corpus import SPLITS, Corpus, open_corpus, prepare
from envs.speech.making import MadeVoice, finished_voice, make_voice, voices
from envs.speech.voices import read_voices
from envs.speech.world import Speech
from meta.speech.adaptation import fine_tune
from meta.speech.core import SpeechCore
from meta.speech.learner import WAVENET, WAVERNN, SpeechTraining
from meta.speech.sampling import speak
from npi import api
from npi.learners.core import learner_program_core
from npi.learners.interface import Learner, TaskInput
from npi.learners.rollout import predicted
from npi.learners.voice_programs import program_file
from npi.library.library import Library
from npi.reproduce.ledger import Result
from npi.reproduce.pages import Rows

NAME = "speech"

VOICES, SECONDS, HELD_SECONDS, LONG_SECONDS = 67, 200, 440, 1620
"""Synthetic voices, and seconds of a training voice, of one held out, and of the first two of these."""

STEPS = {"wavenet": 1600, "wavernn": 800}

LEARNERS: dict[str, Learner] = {"wavenet": WAVENET, "wavernn": WAVERNN}

TRAINING = {
    "wavenet": SpeechTraining(
        updates=2000, batch=8, rate=5e-3, row_rate=5e-3, check_every=200, problems=8, clip=1.0
    ),
    "wavernn": SpeechTraining(
        updates=1000, batch=8, rate=5e-3, row_rate=5e-3, check_every=200, problems=8, clip=1.0
    ),
}  # fmt: skip
"""Of the cores, and of the same nets from scratch on one voice."""

LEARNING = SpeechTraining(
    updates=90, batch=8, row_rate=3e-2, check_every=30, problems=16, starts=2, clip=10.0, inferred=0.0
)
"""Of rows."""

TUNING = SpeechTraining(updates=40, batch=2, rate=1e-3, row_rate=1e-3, check_every=10, problems=8)
"""Of all numbers (SEA-ALL)."""

LENGTHS = (10, 60, 300)
"""Seconds of a demonstration."""

NEW = {"wavenet": ("v10-f5", "v05-m3", "v15-klatt"), "wavernn": ("v10-f5", "v05-m3", "v15-klatt")}
"""Held-out voices that rows are learned of. SCRATCH: those that a net is trained on from scratch, too."""

SCRATCH = ("v10-f5",)

TESTED, SCORED = 24, 8000
"""Episodes that a row is judged on, and the samples of each."""

FOLDER = RUNS / NAME


# --- the corpus ------------------------------------------------------------------------------------------------------


def split() -> tuple[list[MadeVoice], list[MadeVoice]]:
    """Voices to train on, and those held out: each fifth of espeak-ng's, and two of flite's."""
    every = voices(VOICES)
    held = [v for n, v in enumerate(every) if (v.program == "espeak-ng" and n % 5 == 4) or v.name in FLITE_HELD]
    return [voice for voice in every if voice not in held], held


FLITE_HELD = ("flite-slt", "flite-rms")


def corpus() -> Result:
    """Make and prepare all voices."""
    trained, held = split()
    began = time.process_time()
    for place, voice in enumerate([*trained, *held]):
        wanted = SECONDS if place < len(trained) else LONG_SECONDS if place < len(trained) + 2 else HELD_SECONDS
        home = FOLDER / ("train" if voice in trained else "held")
        if not finished_voice(home, voice):
            make_voice(home, voice, wanted)
    if not (FOLDER / "train.npz").exists():
        prepare(read_voices(FOLDER / "train")).save(FOLDER / "train.npz")
    for found in read_voices(FOLDER / "held"):
        if not held_file(found.name).exists():
            prepare([found]).save(held_file(found.name))
    minutes = len(open_corpus(FOLDER / "train.npz").code_N) / 8000 / 60
    return {"trained": len(trained), "held": len(held), "minutes": minutes, "seconds": time.process_time() - began}


def held_file(name: str) -> Path:
    return FOLDER / f"held-{name}.npz"


@cache
def opened(path: Path) -> Corpus:
    return open_corpus(path)


def file_of(name: str, found: Corpus, core: str, *, steps: int, seconds: float = 0) -> ProgramSet:
    """A program file of the voices of a corpus, which is bound to a name of data."""
    data.hold(name, found)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.npi"
        path.write_text(program_file(found.voices, core=core, data=name, steps=steps, seconds=seconds))
        return load(path)


# --- cores -----------------------------------------------------------------------------------------------------------


def trained(core: str, name: str, found: Corpus, seconds: float = 0) -> Result:
    """A core on the voices of a corpus."""
    programs = file_of(name.replace("-", "_"), found, core, steps=STEPS[core], seconds=seconds)
    began = time.process_time()
    result = api.train([programs], out=FOLDER / f"{core}-{name}", training=TRAINING[core])
    entry = result.library.history[-1]
    scores = entry["curve"][-1]["scores"]
    return {
        "bits": sum(scores.values()) / len(scores), "updates": entry["updates"],
        "seconds": time.process_time() - began,
    }  # fmt: skip


def library_of(core: str, name: str = "voices") -> Library:
    opened(FOLDER / "train.npz")
    return Library.open(FOLDER / f"{core}-{name}")


def bits_of(net: SpeechCore, row_P: torch.Tensor, found: Corpus, split: str = "test", episodes: int = TESTED) -> float:
    """Bits a sample of the recordings of the one voice of a corpus in a split."""
    world = Speech("booth", {"data": "judged", "steps": SCORED}, data={"judged": found})
    layouts = [{"EPISODE": [1, *map(int, str(n))], "SPLIT": [SPLITS.index(split)]} for n in range(episodes)]
    task = TaskInput(world.spec, 0, row_P.detach().expand(episodes, -1), torch.zeros(episodes, 3, dtype=torch.int64))
    with torch.no_grad():
        played = predicted(net, world, layouts, task, SCORED)
    return float(WAVENET.judge(world, played)["bits"].mean())


def net_of(library: Library) -> SpeechCore:
    net = learner_program_core(library.core).net
    assert isinstance(net, SpeechCore)
    return net


# --- rows ------------------------------------------------------------------------------------------------------------


def emb(core: str, voice: str, seconds: int) -> Result:
    """SEA-EMB: the row alone; and the mean row on the same recordings."""
    library, found = library_of(core), opened(held_file(voice))
    before = library.memory.embeddings_NP.detach().clone()
    programs = file_of("demonstration", found, core, steps=800, seconds=seconds)
    began = time.process_time()
    result = api.learn(library, [programs], settings=LEARNING)
    took = time.process_time() - began
    row_P = library.memory.embeddings_NP[-1].detach()
    return {
        "bits": bits_of(net_of(library), row_P, found),
        "mean": bits_of(net_of(library), before.mean(0), found),
        "row": row_P.tolist(), "numbers": result.numbers, "seconds": took,
        "unchanged": result.before == result.after and torch.equal(library.memory.embeddings_NP[: len(before)], before),
    }  # fmt: skip


def nearest(core: str, voice: str) -> Result:
    """The old row that finds ten seconds of the demonstration likeliest, on the recordings for tests."""
    library, found = library_of(core), opened(held_file(voice))
    demo = found.stretch(0, 0, 10)
    rows = library.memory.embeddings_NP.detach()
    bits = [bits_of(net_of(library), row_P, demo, "train", 2) for row_P in rows]
    best = bits.index(min(bits))
    return {"bits": bits_of(net_of(library), rows[best], found), "row": library.memory.infos[best].name}


def enc(core: str, voice: str, seconds: int) -> Result:
    """SEA-ENC: the mean of rows inferred from the demonstration, in stretches of two seconds."""
    library, found = library_of(core), opened(held_file(voice))
    demo = found.stretch(0, 0, seconds)
    world = Speech("booth", {"data": "demo", "steps": 16000}, data={"demo": demo})
    layouts = [{"EPISODE": list(map(int, str(n)))} for n in range(max(2, min(20, seconds // 2)))]
    evidence = world.demonstrate(layouts, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        row_P = net_of(library).inferred(evidence).mean(0)
    return {"bits": bits_of(net_of(library), row_P, found)}


def tuned(core: str, voice: str, seconds: int, row: list[float]) -> Result:
    """SEA-ALL: all numbers, from the row of SEA-EMB, stopped by a tenth of the demonstration."""
    library, found = library_of(core), opened(held_file(voice))
    learned = file_of("learned", found.stretch(0, 0, 0.9 * seconds), core, steps=STEPS[core])
    held = file_of("kept", found.stretch(0, 0.9 * seconds, seconds), core, steps=STEPS[core])
    began = time.process_time()
    best = fine_tune(library, torch.tensor(row), learned, held, TUNING)
    took = time.process_time() - began
    return {"bits": bits_of(best.core, best.row_P, found), "updates": best.updates, "seconds": took}


def scratch(core: str, voice: str, minutes: int) -> Result:
    """The same net on this voice alone, as many updates as the core had."""
    found = opened(held_file(voice))
    result = trained(core, f"scratch-{voice}", found, 60 * minutes)
    library = Library.open(FOLDER / f"{core}-scratch-{voice}")
    return result | {"bits": bits_of(net_of(library), library.memory.embeddings_NP[0], found)}


# --- speech ----------------------------------------------------------------------------------------------------------


def speed(core: str) -> Result:
    """Samples a second in machine code, and of a loop of steps, by a core as it is made."""
    learner = LEARNERS[core]
    net = learner.core(learner.config(), [], generator=torch.Generator().manual_seed(0))
    assert isinstance(net, SpeechCore)
    frame_LF, row_P = torch.rand(500, 6), torch.randn(net.config.row)
    speak(net, frame_LF[:2], row_P)  # compiles it
    began = time.process_time()
    speak(net, frame_LF, row_P)
    fast = 500 * 80 / (time.process_time() - began)
    world = Speech("booth", {})
    state = world.reset([{}], given={"phones": frame_LF[None]})
    task = TaskInput(world.spec, 0, row_P[None], torch.zeros(1, 3, dtype=torch.int64))
    began = time.process_time()
    with torch.no_grad():
        hidden_BH = net.begin(task, world.observe(state))
        for _ in range(400):
            step = net.step(task, world.observe(state), hidden_BH)
            hidden_BH = step.hidden_BH
            world.act(state, step.action, torch.tensor([True]))
    return {"machine": fast, "loop": 400 / (time.process_time() - began), "parameters": sum(
        parameter.numel() for parameter in net.parameters())}  # fmt: skip


def said(core: str, voice: str, row: list[float], sentences: int = 4) -> Result:
    """Mel-cepstral distortion of what is said beside the recordings of the same sentences, frame by frame (times and
    melody are those of the recordings); and of the sentences' neighbours, as a bound of what says nothing."""
    library, found = library_of(core), opened(held_file(voice))
    numbers = found.recordings(0, "test")[:sentences].tolist()
    real = [cepstra(Sound(decode(found.codes(n)), found.rate)) for n in numbers]
    made = []
    for number in numbers:
        spoken = speak(net_of(library), torch.from_numpy(found.frames(number)), torch.tensor(row), seed=0)
        made.append(cepstra(Sound(decode(spoken.code_T), found.rate)))
    return {
        "distortion": _mean([distortion(a, b) for a, b in zip(made, real, strict=True)]),
        "others": _mean([distortion(a, b) for a, b in zip(real, [*real[1:], real[0]], strict=True)]),
    }


def distortion(one_LC: Any, other_LC: Any) -> float:
    """Mel-cepstral distortion in decibels, without the zeroth coefficient (Kubichek 1993); of as many frames as both
    have."""
    size = min(len(one_LC), len(other_LC))
    difference_LC = one_LC[:size, 1:] - other_LC[:size, 1:]
    return float((10 / 2.302585 * (2 * (difference_LC**2).sum(1)) ** 0.5).mean())


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


# --- stages ----------------------------------------------------------------------------------------------------------


def cores() -> dict[str, Result]:
    return {
        core: finished(
            f"{NAME}/{core}",
            lambda core=core: trained(core, "voices", opened(FOLDER / "train.npz")),  # type: ignore[misc]
            training=TRAINING[core].to_json(),
        )
        for core in LEARNERS
    }


def rows_of(core: str, voice: str) -> dict[str, Result]:
    """All ways to a row of one voice."""
    used = {"training": TRAINING[core].to_json(), "learning": LEARNING.to_json(), "tuning": TUNING.to_json()}

    def stage(name: str, make: Callable[[], Result]) -> Result:
        return finished(f"{NAME}/{core}-{voice}-{name}", make, **used)

    found = {f"EMB {length} s": stage(f"emb-{length}", partial(emb, core, voice, length)) for length in LENGTHS}
    longest = found[f"EMB {LENGTHS[-1]} s"]
    found["nearest row"] = stage("nearest", partial(nearest, core, voice))
    found["ENC 300 s"] = stage("enc", partial(enc, core, voice, 300))
    found["ALL 300 s"] = stage("all", partial(tuned, core, voice, 300, longest["row"]))
    if voice in SCRATCH:
        found["scratch 20 min"] = stage("scratch", partial(scratch, core, voice, 20))
    found["said"] = stage("said", partial(said, core, voice, longest["row"]))
    return found


def bits_table(found: Mapping[tuple[str, str], dict[str, Result]]) -> Rows:
    """Bits a sample by core and voice."""
    ways = ["mean row", "nearest row", "ENC 300 s", *(f"EMB {length} s" for length in LENGTHS), "ALL 300 s",
            "scratch 20 min"]  # fmt: skip
    rows: Rows = [["core", "voice", *ways]]
    for (core, voice), results in found.items():
        mean = results[f"EMB {LENGTHS[-1]} s"]["mean"]
        bits = {"mean row": mean} | {way: result["bits"] for way, result in results.items() if "bits" in result}
        cells = [f"{bits[way]:.3f}" if way in bits else "" for way in ways]
        rows = [*rows, [core, voice, *cells]]
    return rows


def contents() -> dict[str, Any]:
    made, learned = finished(f"{NAME}/corpus", corpus), cores()
    found = {(core, voice): rows_of(core, voice) for core in LEARNERS for voice in NEW[core]}
    fast = {core: finished(f"{NAME}/speed-{core}", partial(speed, core)) for core in LEARNERS}
    rows = [result for results in found.values() for name, result in results.items() if name.startswith("EMB")]
    return {
        "cores": [
            ["core", "numbers", "updates", "CPU s", "bits a sample, its own voices", "samples a second",
             "plain loop", "ratio"],
            *([core, f"{fast[core]['parameters']:,}", learned[core]["updates"], f"{learned[core]['seconds']:.0f}",
               f"{learned[core]['bits']:.3f}", f"{fast[core]['machine']:,.0f}", f"{fast[core]['loop']:,.0f}",
               f"{fast[core]['machine'] / fast[core]['loop']:.0f}"] for core in LEARNERS),
        ],
        "bits": bits_table(found),
        "said": [
            ["core", "voice", "said and recorded", "other sentences, recorded"],
            *([core, voice, f"{results['said']['distortion']:.1f}", f"{results['said']['others']:.1f}"]
              for (core, voice), results in found.items()),
        ],
        "trained": str(made["trained"]), "held": str(made["held"]), "minutes": f"{made['minutes']:.0f}",
        "row-seconds": f"{max(result['seconds'] for result in rows):.0f}",
        "unchanged": "bit-identical" if all(result["unchanged"] for result in rows) else "not the same",
    }  # fmt: skip


def main() -> None:
    parser = arguments(__doc__, seeds=[0])
    parser.add_argument("--only", choices=["corpus", "train", "rows", "speed"], help="these stages alone")
    options = parser.parse_args()
    if options.only == "corpus":
        finished(f"{NAME}/corpus", corpus)
    elif options.only == "train":
        cores()
    elif options.only == "rows":
        for core in LEARNERS:
            for voice in NEW[core]:
                rows_of(core, voice)
    elif options.only == "speed":
        for core in LEARNERS:
            finished(f"{NAME}/speed-{core}", partial(speed, core))
    else:
        write(NAME, contents())


if __name__ == "__main__":
    main()
