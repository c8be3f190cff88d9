"""``npi voices``: make synthetic voices, prepare recordings, and list them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from npi.cli.console import Column, Meter, Screen, number
from npi.cli.options import JsonOption, SeedOption, argument, option, output
from npi.cli.words import duration, file_size, plural

if TYPE_CHECKING:
    from envs.speech.corpus import Corpus

MAX_MINUTES = 600

CORES = ("wavenet", "wavernn")
"""Learners that speak."""

RateOption = Annotated[int, option("--rate", "Samples a second, a multiple of 100.", "N", min=1000, max=48_000)]


def make(
    folder: Annotated[Path, argument("A new folder, or one that make did not finish.", "FOLDER")],
    count: Annotated[int, option("--count", "Voices that differ.", "N", min=1)] = 48,
    minutes: Annotated[float, option("--minutes", "Of each voice, at least.", "M", min=0.05)] = 3.0,
    program: Annotated[
        list[str] | None,
        option("--program", "espeak-ng, flite or festival alone; repeatable. All that are installed.", "NAME"),
    ] = None,
    rate: RateOption = 8000,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Make a corpus of synthetic voices that differ, each reading sentences of its own.

    espeak-ng speaks with variants, accents, pitches and speeds; flite and festival have a few voices besides, where
    they are installed (Debian: apt-get install espeak-ng flite festival). Each voice is a folder of wav files with
    metadata.csv as in LJ Speech, and phones.csv where the times of sounds are known. A voice that is there is left as
    it is, so what was interrupted goes on.

    \b
    Example:
      npi voices make mine --count 8 --minutes 2
    """
    from envs.speech.making import PROGRAMS, finished_voice, installed, make_voice, voices
    from envs.support.atomic_files import claimed

    screen = Screen(json=json)
    there = installed()
    for name in program or ():
        if name not in PROGRAMS:
            raise ValueError(f"--program {name}: there are {', '.join(PROGRAMS)}")
        if name not in there:
            raise ValueError(f"--program {name}: it is not installed; on Debian and Ubuntu: apt-get install {name}")
    if not there:
        raise ValueError(
            "no program that speaks is installed; on Debian and Ubuntu: apt-get install espeak-ng flite festival"
        )
    if not minutes <= MAX_MINUTES:
        raise ValueError(f"--minutes {minutes:g}: give at most {MAX_MINUTES}")
    if rate % 100:
        raise ValueError(f"--rate {rate}: give a multiple of 100")
    chosen, made = voices(count, seed=seed, programs=program or there), list[dict[str, object]]()
    with claimed(folder), Meter("making voices") as meter:
        for place, voice in enumerate(chosen):
            meter.update(place, len(chosen), voice.name)
            kept = finished_voice(folder, voice)
            seconds = kept or make_voice(folder, voice, 60 * minutes, seed=seed, rate=rate)
            made.append({"voice": voice.name, "program": voice.program, "speaks": voice.speaker.voice, "time": seconds})
    screen.table(made, Column("voice", "voice"), Column("program", "program"), Column("speaks", "speaks"),
                 number("time", lambda row: duration(row["time"])))  # fmt: skip
    screen.line(f"{plural(len(made), 'voice')} in {folder}; next: npi voices prepare {folder} --out corpus.npz")
    screen.document({"folder": folder, "voices": made})


def prepare(
    folder: Annotated[Path, argument("A folder of voices, or one voice.", "FOLDER")],
    out: Annotated[Path, output("--out", "The prepared file.", "FILE.npz")] = Path("corpus.npz"),
    programs: Annotated[
        Path | None, output("--programs", "Write a program file for it, too, with a program a voice.", "FILE.npi")
    ] = None,
    core: Annotated[str, option("--core", "That the program file names: wavenet or wavernn.", "NAME")] = "wavenet",
    language: Annotated[
        str, option("--language", "Of espeak-ng, for recordings without times of sounds: en-us, it, fr …", "NAME")
    ] = "en-us",
    rate: RateOption = 8000,
    json: JsonOption = False,
) -> None:
    """Read, align and encode recordings into one file, which training reads in an instant, without espeak-ng.

    A voice is a folder of wav files: metadata.csv beside them has NAME|TEXT for each (as LJ Speech), or NAME.txt lies
    beside each NAME.wav. Where phones.csv does not say when each sound begins, espeak-ng reads the text, and its
    reading is warped onto the recording. Use recordings of speakers alone who agreed to it.

    \b
    Example:
      npi voices prepare mine --out mine.npz --programs mine.npi
      npi voices prepare anna --out anna.npz --language it
    """
    from envs.speech.corpus import prepare as prepared
    from envs.speech.voices import read_voices
    from envs.support.atomic_files import write_whole
    from npi.learners.voice_programs import program_file

    screen = Screen(json=json)
    if rate % 100:
        raise ValueError(f"--rate {rate}: give a multiple of 100")
    if core not in CORES:
        raise ValueError(f"--core {core}: there are {' and '.join(CORES)}")
    with Meter("preparing") as meter:
        found = read_voices(folder)
        corpus = prepared(found, rate=rate, language=language, report=meter.update)
    for voice in found:
        if voice.untold:
            screen.note(f"npi: {plural(voice.untold, 'recording')} of {voice.name} without a transcript left out")
    corpus.save(out)
    if programs is not None:
        write_whole(programs, program_file(corpus.voices, core=core, rate=rate).encode())
        screen.note(f"wrote {programs}; next: npi train {programs} --data voices={out} --out speakers")
    tell(screen, out, corpus)
    screen.note(f"wrote {out}, {file_size(out.stat().st_size)}")


def take(
    sounds: Annotated[Path, argument("The folder of a speaker's recordings.", "SOUNDS")],
    transcript: Annotated[Path, argument("A list of lines NAME: TEXT, as it is or packed.", "TEXTS")],
    folder: Annotated[Path, argument("The voice's new folder.", "FOLDER")],
    json: JsonOption = False,
) -> None:
    """Make a voice of the prompts of Asterisk, studio recordings of one speaker with a list of what they say.

    Debian has them in several languages: apt-get install asterisk-core-sounds-en-wav asterisk-core-sounds-en. They are
    CC-BY-SA-3.0, which what is made of them has to name.

    \b
    Example:
      npi voices import /usr/share/asterisk/sounds/en_US_f_Allison core-sounds-en.txt.gz allison
    """
    from envs.speech.prompts import import_prompts

    screen = Screen(json=json)
    if folder.exists():
        raise ValueError(f"{folder} is there already; name a new folder")
    count, left_out = import_prompts(sounds, transcript, folder)
    screen.line(f"{plural(count, 'recording')} in {folder}; {left_out} left out: tones, silence, and texts without one")
    screen.document({"folder": folder, "recordings": count, "left_out": left_out})


def list_voices(
    place: Annotated[Path, argument("A prepared file, or a folder of voices.", "PLACE")],
    rate: RateOption = 8000,
    json: JsonOption = False,
) -> None:
    """List voices with their numbers, which programs name them by (VOICE = digits(3)), and their lengths.

    \b
    Example:
      npi voices list mine.npz
    """
    from envs.speech.corpus import open_corpus

    tell(Screen(json=json), place, open_corpus(place, rate=rate))


def tell(screen: Screen, place: Path, corpus: Corpus) -> None:
    """The voices of a corpus."""
    rows = [
        {
            "number": place + 1, "voice": name, "recordings": int((corpus.voice_U == place).sum()),
            "time": corpus.seconds(place),
        }
        for place, name in enumerate(corpus.voices)
    ]  # fmt: skip
    screen.table(rows, number("number", lambda row: row["number"]), Column("voice", "voice"),
                 number("recordings", lambda row: row["recordings"]),
                 number("time", lambda row: duration(row["time"])))  # fmt: skip
    screen.document({"place": place, "rate": corpus.rate, "voices": rows})


COMMANDS = (
    ("make", make, "Make synthetic voices."),
    ("prepare", prepare, "Align and encode recordings, into one file."),
    ("import", take, "Make a voice of Asterisk's prompts."),
    ("list", list_voices, "List voices with their numbers."),
)
