"""Programs that call learned tools: the whole, each tool that is called, and the same with a tool's row swapped.

    python -m benchmarks.learners.tools            # makes what is missing: some ten CPU minutes; needs espeak-ng
    python -m benchmarks.learners.tools --table    # only write the page from what is finished
    python -m benchmarks.learners.tools --merge DIR --also FOLDER   # all libraries as one collection, too

What comes with the engine as ``tools`` was merged so, with what ``npi reproduce tools-that-learn --quick`` had trained.
The libraries are stages of :mod:`benchmarks.learners.tool_programs`. Each program runs problems that no training drew;
then the same problems again with another row in place of a tool's own, and nothing trained. What a voice said is
compared with the same voice alone, digit by digit, bit by bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import torch

import npi
from benchmarks.common import RUNS, finished, plain_arguments, write
from benchmarks.learners import stacking
from benchmarks.learners.tool_programs import NAME, PROGRAMS, all_voices, collection, place, sums, voice_rows
from dsl.tasks.task import Problem
from envs.product import heard
from envs.speech.audio import wav_bytes
from envs.speech.picture import drawn
from envs.speech.reading import text_frames
from npi.learners.core import learner_program_core
from npi.learners.speaking import Voiced
from npi.library.library import Library
from npi.library.stand_ins import standing_in
from npi.reproduce.ledger import Result, read_record
from npi.reproduce.pages import Content, Rows
from npi.running.evaluate import run_problems, test_seed
from traces.machine.outcome import Status

COUNTS = {"announce": 100, "clerk": 400, "weigh": 1000, "sortcards": 200, "build": 200, "tune": 8}
"""Problems of each program."""

SIZES = {"announce": 5, "sortcards": 5, "build": 4}
"""Digits of a number, cards, blocks."""

TASKS = {"clerk": "question", "sortcards": "unseen", "tune": "unseen"}
"""What is measured, where it is not the task of the program's name."""


class Runs(NamedTuple):
    """What came of some problems, by problem: what the world holds in the end, and what was said."""

    problems: Sequence[Problem]
    readings: Sequence[Mapping[str, Sequence[int]]]
    said: Sequence[Any]


def runs(program: str, rows: Mapping[str, str] | None = None) -> Runs:
    """Of a program, with other rows in place of some of its tools'."""
    library = standing_in(PROGRAMS[program](), rows or {})
    held, task = library.task(f"{program}.{TASKS.get(program, program)}")
    size = SIZES.get(program, 9)
    generator = torch.Generator().manual_seed(test_seed(0, NAME, size))
    problems = task.draw(size, COUNTS[program], generator=generator, spread=False)
    outcome = run_problems(library.stepper(held.table), held, problems)
    assert outcome.status_N.tolist() == [Status.DONE] * len(problems), "what is certified does not hold"
    said: list[Any] = [None] * len(problems)
    for origin_B, state in outcome.parts:
        for instance, number in enumerate(origin_B.tolist()):
            said[number] = next(iter(heard(held.world, state, instance)), None)
    return Runs(problems, outcome.read(held.world), said)


# --- one program after the other: the whole, each tool, and what a swapped row changes --------------------------------


def shares(found: Counter[str], *names: str) -> dict[str, list[int]]:
    """Counts of what was right, and of how many."""
    return {name: [found[name], found[f"{name} of"]] for name in names}


def stretches(library: Library, row: str, words: Sequence[int], speech: Any) -> int:
    """How many stretches of a sound are, bit by bit, what the voice alone says of these digits."""
    core = learner_program_core(library.core)
    assert isinstance(core.learner, Voiced)
    row_P = library.memory.embeddings_NP[library.memory.index(row)].detach()
    same, at = 0, 0
    for word in words:
        sample_T = core.learner.say(core.net, text_frames(str(word), 8000)[0], row_P).sample_T
        same += np.array_equal(sample_T, speech.sound.sample_T[at : at + len(sample_T)])
        at += len(sample_T)
    assert at == len(speech.sound.sample_T)
    return same


def voiced(found: Counter[str], here: Runs, row: str, limit: int = 20) -> None:
    """Count the stretches of the first sounds beside the voice alone."""
    speaker = Library.open(place("speaker"))
    for reading, speech in zip(here.readings[:limit], here.said[:limit], strict=True):
        found["SAY"] += stretches(speaker, row, reading["SPOKEN"], speech)
        found["SAY of"] += len(reading["SPOKEN"])


def announce() -> Result:
    here, (first, second) = runs("announce"), voice_rows()
    other = runs("announce", {"SAY": second})
    found, swapped = Counter[str](), Counter[str]()
    for one, two in zip(here.readings, other.readings, strict=True):
        swapped["same words"] += one == two
    for problem, reading in zip(here.problems, here.readings, strict=True):
        total: Any = problem.values["a"] + problem.values["b"]  # type: ignore[operator]
        found["whole"] += list(reading["SPOKEN"]) == [*map(int, str(total))] == list(reading["OUT"])
        found["whole of"] += 1
    voiced(found, here, first)
    voiced(swapped, other, second)
    sounds = sum(
        not np.array_equal(a.sound.sample_T, b.sound.sample_T) for a, b in zip(here.said, other.said, strict=True)
    )
    return {
        **shares(found, "whole", "SAY"),
        "swap": f"SAY={second}",
        "swapped": f"other sounds in {sounds} of {len(here.said)}; the same words and results in "
        f"{swapped['same words']}; {swapped['SAY']} of {swapped['SAY of']} stretches are the other voice alone",
    }


def clerk() -> Result:
    here, (first, second) = runs("clerk"), voice_rows()
    found = Counter[str]()
    for reading in here.readings:
        (label,), (answer,), (said,) = reading["LABELS"], reading["ANSWERS"], reading["SPOKEN"]
        right = {place: 1 + block for place, block in enumerate(reading["ORDER"])}
        for name, holds in (("whole", said == right[label]), ("READ", answer == label),
                            ("the experiment", said == right[answer])):  # fmt: skip
            found[name] += holds
            found[f"{name} of"] += 1
    voiced(found, here, first)
    other = runs("clerk", {"HEAVIEST": "ranks.LIGHTEST", "SAY": second})
    asked = [(r["ANSWERS"][0], r["SPOKEN"][0], [1 + block for block in r["ORDER"]]) for r in other.readings]
    lightest = sum(said == order[3] for answer, said, order in asked if answer == 0)
    same = sum(
        a["SPOKEN"] == b["SPOKEN"] for a, b in zip(here.readings, other.readings, strict=True) if a["ANSWERS"] != [0]
    )
    return {
        **shares(found, "whole", "READ", "the experiment", "SAY"),
        "swap": f"HEAVIEST=ranks.LIGHTEST, SAY={second}",
        "swapped": f"of cards read as 1, {lightest} of {sum(answer == 0 for answer, *_ in asked)} are answered "
        f"with the lightest block; of the others {same} of {sum(answer != 0 for answer, *_ in asked)} as before",
    }


def weigh() -> Result:
    here, other = runs("weigh"), runs("weigh", {"HEAVIEST": "ranks.LIGHTEST"})
    found, swapped = Counter[str](), Counter[str]()
    names = ("HEAVIEST", "SECOND", "THIRD", "LIGHTEST")
    for reading, after in zip(here.readings, other.readings, strict=True):
        found["whole"] += list(reading["A"]) == list(reading["ORDER"])
        found["whole of"] += 1
        for number, name in enumerate(names):
            found[name] += reading["A"][number] == reading["ORDER"][number]
            found[f"{name} of"] += 1
        swapped["lightest first"] += after["A"][0] == after["ORDER"][3]
        swapped["same rest"] += list(after["A"][1:]) == list(reading["A"][1:])
    return {
        **shares(found, "whole", *names),
        "swap": "HEAVIEST=ranks.LIGHTEST",
        "swapped": f"the lightest stands first in {swapped['lightest first']} of {len(here.readings)}; the other three "
        f"as before in {swapped['same rest']}",
    }


def sortcards() -> Result:
    here, row = runs("sortcards"), "alphabet.READ_ONE"
    other = runs("sortcards", {"readcard.READ": row})
    found, swapped = Counter[str](), Counter[str]()
    for counts, group in ((found, here), (swapped, other)):
        for reading in group.readings:
            assert list(reading["A"]) == sorted(reading["ANSWERS"]), "what is certified does not hold"
            counts["whole"] += list(reading["A"]) == sorted(reading["LABELS"])
            counts["whole of"] += 1
            counts["READ"] += sum(a == b for a, b in zip(reading["LABELS"], reading["ANSWERS"], strict=True))
            counts["READ of"] += len(reading["LABELS"])
    changed = sum(a["ANSWERS"] != b["ANSWERS"] for a, b in zip(here.readings, other.readings, strict=True))
    return {
        **shares(found, "whole", "READ"),
        "swap": f"readcard.READ={row}",
        "swapped": f"{swapped['READ']} of {swapped['READ of']} cards named right; other names in {changed} of "
        f"{len(here.readings)} lists, all sorted as they are named",
    }


def build() -> Result:
    here = runs("build")
    found, letters = Counter[str](), stacking.LETTERS
    wanted = [[letters.index(str(letter)) for letter in stacking.plan(problem)] for problem in here.problems]
    for reading, tower in zip(here.readings, wanted, strict=True):
        found["whole"] += list(reading["TOWER"]) == tower
        found["whole of"] += 1
    other = runs("build", {"PLACE_ON": "pick.PICK"})
    built = sum(list(reading["TOWER"]) == tower for reading, tower in zip(other.readings, wanted, strict=True))
    skills = stacking.skill_stage(0)
    return {
        **shares(found, "whole"),
        "PICK": [skills["pick"]["inferred"], stacking.TRIED],
        "PLACE_ON": [skills["place"]["inferred"], stacking.TRIED],
        "swap": "PLACE_ON=pick.PICK",
        "swapped": f"the tower stands in {built} of {len(wanted)}",
    }


def tuned() -> Result:
    here, other = runs("tune"), runs("tune", {"SUGGEST": "gp3.SEARCH"})
    told = [[min(reading["TOLD"]) for reading in group.readings] for group in (here, other)]
    kept = sum(list(r["BEST_LOSS"]) == [min(r["TOLD"])] for r in here.readings)
    asked = sum(a["TOLD"] != b["TOLD"] for a, b in zip(here.readings, other.readings, strict=True))
    return {
        "whole": [kept, len(here.readings)],
        "swap": "SUGGEST=gp3.SEARCH",
        "swapped": f"other questions in {asked} of {len(here.readings)} problems; the mean of the best levels "
        f"{fmean(told[0]):.1f} before, {fmean(told[1]):.1f} after (less is better)",
    }


MEASURES: dict[str, Callable[[], Result]] = {
    "announce": announce, "clerk": clerk, "sortcards": sortcards, "weigh": weigh, "build": build, "tune": tuned,
}  # fmt: skip

WHOLE = {
    "announce": "all digits of the sum of two numbers of 5 digits are said, in order",
    "clerk": "the number that is said is that of the block whose place by weight is on the card",
    "sortcards": "5 cards stand in order",
    "weigh": "four blocks stand in the order of their weights (β 3)",
    "build": "the tower of 4 blocks is the planned one",
    "tune": "the loss that is written down is the least that was told",
}
"""What is counted as right."""

SPOKEN = {"a": 96, "b": 125}
"""The sum that can be heard and seen on the page."""


# --- the page --------------------------------------------------------------------------------------------------------


def contents(done: Mapping[str, Result]) -> dict[str, Content | bytes]:
    rows = [["program", "whole", "each tool that it calls", "swapped, without training", "then"]]
    for name, result in done.items():
        tools = [f"`{tool}` {share(*counts)}" for tool, counts in result.items()
                 if isinstance(counts, list) and tool != "whole"]  # fmt: skip
        rows.append([name, share(*result["whole"]), "; ".join(tools) or "[its page](tune.md)", f"`{result['swap']}`",
                     result["swapped"]])  # fmt: skip
    whole = "; ".join(f"{name}: {WHOLE[name]}" for name in done)
    return {"programs": rows, "made-of": cores(), "speaker": f"{seconds('speaker'):.0f}", "whole": whole, **sounds()}


def sounds() -> dict[str, Content | bytes]:
    """One sum as two voices say it, a picture of the first, and the largest sample of each voice."""
    library = place("announce")
    said = {row: npi.run("announce", SPOKEN, library=library, rows={"SAY": row}).heard[0] for row in all_voices()}
    one, other = (said[row] for row in voice_rows())
    return {
        "announce.wav": wav_bytes(one.sound),
        "announce-other.wav": wav_bytes(other.sound),
        "announce.png": drawn(one.sound, one.phones, one.text),
        "peaks": ", ".join(f"{np.abs(speech.sound.sample_T).max():.3f}" for speech in said.values()),
    }


def share(right: int, count: int) -> str:
    return f"{100 * right / count:.1f} % of {count:,}"


def seconds(name: str) -> float:
    found: float = read_record(RUNS / NAME / name / "made.json").result["seconds"]
    return found


def cores() -> Rows:
    """What was trained for the page, and for how long."""
    proved = {name: read_record(RUNS / NAME / name / "made.json").result["proved"]
              for name in ("announce", "clerk", "sortcards", "weigh")}  # fmt: skip
    tools = {"speaker": "WaveNet, 4 voices", "experimenter": "experiments, 4 questions",
             "reader": "a row of one alphabet, beside the core that comes with the engine"}  # fmt: skip
    rows: list[list[str]] = [["trained", "CPU s", "proved"]]
    rows += [[words, f"{seconds(name):.0f}", ""] for name, words in tools.items()]
    rows += [[f"bodies of {name}.npi", f"{seconds(name):.0f}", "yes" if yes else "no"] for name, yes in proved.items()]
    return rows


def measured(name: str) -> Result:
    return finished(f"{NAME}/{name}/measured", MEASURES[name], count=COUNTS[name])


def main() -> None:
    parser = plain_arguments(__doc__)
    parser.add_argument("--table", action="store_true", help="only write the page from the stages that are finished")
    parser.add_argument("--only", nargs="+", choices=[*MEASURES], default=[*MEASURES], help="some of the programs")
    parser.add_argument("--merge", type=Path, help="put all libraries into one collection in this folder")
    parser.add_argument("--also", type=Path, nargs="+", default=[], help="with those that lie in these folders")
    options = parser.parse_args()
    there = {name: RUNS / NAME / name / "measured.json" for name in MEASURES}
    if not options.table:
        for name in options.only:
            measured(name)
    if options.merge is not None:
        sums()
        collection(options.also).save(options.merge)
    records = {name: read_record(path) for name, path in there.items() if path.exists()}
    if not records:
        raise SystemExit("no program is measured yet, so there is nothing to write")
    dated = [record.result | {"date": record.date, "machine": record.machine} for record in records.values()]
    write(NAME, contents({name: dict(record.result) for name, record in records.items()}), dated)


if __name__ == "__main__":
    main()
