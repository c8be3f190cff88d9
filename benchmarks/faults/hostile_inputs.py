"""Hostile values of every option, hostile files in place of every file, and odd surroundings of commands.

    python -m benchmarks.faults.hostile_inputs

The options are read off the commands themselves, so a new one is tried without being named here. Each trial is a
command in a process of its own with little memory and time, in a fresh folder. It must do its work, or refuse in one
message that names the option, the value or the file.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import resource
import shlex
import signal
import socket
import sys
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import typer

from benchmarks.common import plain_arguments
from benchmarks.faults import forks
from benchmarks.faults.forks import NPI, Ended, Running, folders, row, scratch, warm, write_page

COMMAND_LINE = sys.modules[NPI.load().__module__]
"""The command line as it is installed, with what it prints names as."""

visible: Callable[[str], str] = COMMAND_LINE.visible

FAULTS = ("unnamed", "wordy", "control characters", "memory", "traceback", "crash", "hang")

MEMORY = 4 << 30
"""Bytes of address space that a command may take beside what its process had before."""

CPU_SECONDS = 60

LONGEST = 20_000
"""Characters of a message; a usage error repeats the value."""

USES = 'use "{}"\n\nprogram GO:\n    SCAN\n'

COMMANDS: Mapping[str, str] = {
    "check": "check small.npi --count 2",
    "check, of traces": "check set",
    "fmt": "fmt small.npi --check",
    "graph": "graph small.npi",
    "trace": "trace small.npi --traces 2 --sizes 2 --out new",
    "merge": "merge one two --out new",
    "show": "show small.npi 0,1,2",
    "show, of traces": "show set",
    "show, of a library": "show core",
    "train": "train small.npi --bits 2 --updates 1 --traces 1 --out new",
    "train, of a learner": "train arms.npi --updates 1 --set batch=4 --set problems=2 --out new",
    "train, of traces": "train set --bits 2 --updates 1 --out new",
    "run": "run scan 0,1,2 --library core",
    "run --teacher": "run scan 0,1,2 --teacher small.npi",
    "run, of a compiled file": "run scan 0,1,2 --library core.npic",
    "eval": "eval scan --library core --sizes 2 --count 2",
    "certify": "certify --library core",
    "certify --check": "certify --library core --check core.certificate",
    "compile": "compile --library core --out new.npic",
    "learn": "learn back.npi --library mine --updates 1 --traces 1",
    "library list": "library list mine",
    "library info": "library info mine HOME",
    "library info, of a file": "library info back.npirow",
    "library pack": "library pack mine HOME --out new.npirow",
    "library add": "library add mine back.npirow",
    "library remove": "library remove mine HOME",
    "library diff": "library diff mine yours",
    "library merge": "library merge mine yours --out new",
    "examples": "examples --copy new",
}
"""What is done undisturbed, in a folder of :func:`benchmarks.faults.forks.folders` with a few more files."""

ALONE: Mapping[str, str] = {"demo": "demo", "lsp": "lsp", "reproduce": "reproduce npi-paper --quick"}
"""Commands that take minutes, or never end: they are given values that no option takes."""

NUMBERS = (
    "-1", "0", "1.5", "1e9", "1e309", "nan", "-inf", "", " ", "x", "٣", "0x10", "1_0", str(10**12), str(10**30),
    "9" * 5000, "-" + "9" * 40, "1..1000000000000", "5..1", "1,,2", "1/0", "0/0", "3:1",
    "0:999999999999", "1\x1b]0;x\x07",
)  # fmt: skip
"""Values of options that take a number, or a list or a range of numbers."""

WORDS = (
    "", "x", "\x1b]0;x\x07", "\u202e\u2066", "x" * 5000, "../..", "--", "a=b", "rate=nan", "rate=1e999", "=",
    "é" * 300, "\udcff", "cuda:99", "0", "-1",
)  # fmt: skip

NEVER = ("-1", "nan", "x\x1b]0;x\x07", str(10**30))
"""Values that are tried with commands of :data:`ALONE`; the words among them name no file, folder or choice."""


# --- hostile files ----------------------------------------------------------------------------------------------------


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one, contextlib.chdir(path.parent):
        one.bind(path.name)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 42)


FILES: Mapping[str, Callable[[Path], object]] = {
    "a device without an end": lambda path: path.symlink_to("/dev/zero"),
    "a device of random bytes": lambda path: path.symlink_to("/dev/urandom"),
    "a full device": lambda path: path.symlink_to("/dev/full"),
    "memory": lambda path: path.symlink_to("/proc/self/mem"),
    "a pipe": _fifo,
    "a socket": _socket,
    "a folder": Path.mkdir,
    "a folder of a pipe": lambda path: (path.mkdir(), _fifo(path / "manifest.json")),
    "nothing": lambda path: None,
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "an empty file": Path.touch,
    "bytes": lambda path: path.write_bytes(random.Random(0).randbytes(5000)),
    "zeros": lambda path: path.write_bytes(bytes(5000)),
    "4 TiB": _sparse,
    "line feeds": lambda path: path.write_bytes(b"\n" * 3_000_000),
    "brackets": lambda path: path.write_bytes(b"[" * 300_000),
    "control characters": lambda path: path.write_bytes(b"world w\x1b]0;x\x07 is \xff\x9b\n" * 9),
}
"""How each is made at a path. Devices keep their ends from a recipe that runs as anybody, too."""

NAME = "bad\x1b]0;x\x07.npi"
"""The name of a hostile file; a terminal would take part of it for a command."""


# --- trials -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """One command line.

    Attributes:
        words: of the command. what: changed in them: an option, or a file. names: one of these a refusal has to say.
        file: the kind of the hostile file, which lies at :data:`NAME`; empty for none.
    """

    words: tuple[str, ...]
    what: str
    names: tuple[str, ...]
    file: str = ""


@dataclass(frozen=True)
class Option:
    """An option that takes a value: whether it is a path, a number, or words of which some may be numbers."""

    name: str
    path: bool
    number: bool


@cache
def options_of(command: str) -> tuple[Option, ...]:
    """The options of a command, read off the command line's own description."""
    found = typer.main.get_command(COMMAND_LINE.made())
    for word in command.split():
        if word in getattr(found, "commands", {}):
            found = found.commands[word]  # type: ignore[attr-defined]
    every = []
    for parameter in found.params:
        if parameter.param_type_name == "option" and not parameter.is_flag:  # type: ignore[attr-defined]
            annotation = str(parameter.type_descriptor.annotation)  # type: ignore[attr-defined]
            number = bool(re.search("int|float", annotation)) or parameter.metavar in (
                "SIZES",
                "K/N",
                "A:B",
                "0..3",
                "SEEDS",
            )  # type: ignore[attr-defined]
            every.append(Option(parameter.opts[0], "Path" in annotation, number))
    return tuple(every)


def value_trials(line: str, chooser: random.Random, each: int, values: Sequence[str] = ()) -> Iterator[Trial]:
    """Hostile values of each option of a command that takes no file."""
    words = tuple(line.split())
    for option in options_of(line):
        if not option.path:
            known = values or (NUMBERS if option.number else WORDS)
            for value in chooser.sample(known, min(each, len(known))):
                told = visible(value.encode("utf-8", "backslashreplace").decode())[:20]
                names = (option.name, option.name.strip("-"), *([told] if told.strip() else ()))
                yield Trial((*words, f"{option.name}={value}"), option.name, names)


def file_trials(line: str, folder: Path) -> Iterator[Trial]:
    """Hostile files in place of each file that a command is given, and of each that an option takes."""
    words = line.split()
    places = [
        number for number, word in enumerate(words) if (number and (folder / word).exists()) or word.startswith("new")
    ]
    named = (visible(NAME), *(word for word in words if word.startswith("--")))
    for kind in FILES:
        for place in places:
            yield Trial((*words[:place], NAME, *words[place + 1 :]), words[place], named, kind)
        for option in options_of(line):
            if option.path and option.name not in words:
                yield Trial((*words, f"{option.name}={NAME}"), option.name, (*named, option.name), kind)


def used_trials() -> Iterator[Trial]:
    """Hostile files behind ``use``."""
    for kind in FILES:
        yield Trial(("check", "uses.npi", "--no-run"), "use", ("bad.npi", "uses.npi"), kind)


def prepared(folder: Path, trial: Trial) -> Callable[[], None]:
    """Make the file of a trial in its folder; what the process does before the command."""
    if trial.file:
        name = "bad.npi" if trial.what == "use" else NAME
        FILES[trial.file](folder / name)
    return bounded


def bounded() -> None:
    """Little memory and time for this process, and nothing to read."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    spent = int(sum(os.times()[:2]))
    resource.setrlimit(resource.RLIMIT_CPU, (spent + CPU_SECONDS, spent + CPU_SECONDS))
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115


def installed(words: Sequence[str]) -> Callable[[], int]:
    """The command as the shell starts it, with its streams settled."""

    def run() -> int:
        sys.argv = ["npi", *words]
        return int(COMMAND_LINE.main())

    return run


def faults_of(trial: Trial, ended: Ended) -> list[str]:
    """What is wrong with how a command ended."""
    text, found = ended.text, []
    if ended.traceback:
        found.append("traceback")
    if ended.status is None or ended.status == -signal.SIGXCPU:
        found.append("hang")
    elif ended.status < 0 or ended.status not in (0, 1, 2):
        found.append("crash")
    if any(unicodedata.category(letter) in ("Cc", "Cf") for letter in set(text) - {"\n", "\t", "\r"}):
        found.append("control characters")
    if "not enough memory" in text:
        found.append("memory")
    if ended.status == 2 and not any(name in text for name in trial.names):
        found.append("unnamed")
    if ended.status == 2 and len(text) > LONGEST:
        found.append("wordy")
    return found


def outcome(source: Path, trial: Trial) -> list[str]:
    """The faults of one trial; ``refused`` or ``done`` where there are none."""
    with scratch(source) as folder:
        ended = Running(folder, installed(trial.words), prepared(folder, trial)).end()
    found = faults_of(trial, ended)
    if found:
        shown = shlex.join(word if len(word) < 200 else f"{word[:200]}…" for word in trial.words)
        print(f"npi {shown} ({trial.file}): {found} {ended.status}\n{ended.text[-1500:]}", flush=True)
    return found or ["refused" if ended.status == 2 else "done"]


# --- surroundings -----------------------------------------------------------------------------------------------------


def without(number: int) -> Callable[[Path], None]:
    """Without one of the three streams, as ``npi … >&-`` begins."""

    def prepare(folder: Path) -> None:
        setattr(sys, ("stdin", "stdout", "stderr")[number], None)
        os.close(number)

    return prepare


def onto(number: int, path: str) -> Callable[[Path], None]:
    """With a stream that goes to a file."""

    def prepare(folder: Path) -> None:
        os.dup2(os.open(path, os.O_WRONLY), number)
        setattr(sys, ("stdin", "stdout", "stderr")[number], os.fdopen(number, "w", closefd=False))

    return prepare


def unheard(folder: Path) -> None:
    """With a reader of standard output that is gone."""
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 1)
    sys.stdout = os.fdopen(1, "w", closefd=False)


def ascii_only(folder: Path) -> None:
    for number, name in ((1, "stdout"), (2, "stderr")):
        setattr(sys, name, os.fdopen(number, "w", encoding="ascii", closefd=False))


def variable(name: str, value: str) -> Callable[[Path], None]:
    return lambda folder: os.environ.update({name: value})


def removed(folder: Path) -> None:
    """In a folder that is gone."""
    os.mkdir("gone")
    os.chdir("gone")
    os.rmdir("../gone")


def read_only(folder: Path) -> None:
    """In a folder in which nothing may be written."""
    os.chmod(folder.parent, 0o755)
    os.chmod(folder, 0o555)
    if os.geteuid() == 0:  # whom no mode of a file keeps from writing
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)


SURROUNDINGS: Mapping[str, Callable[[Path], None]] = {
    "no standard input": without(0),
    "no standard output": without(1),
    "no standard error": without(2),
    "standard output is full": onto(1, "/dev/full"),
    "standard error is full": onto(2, "/dev/full"),
    "nobody reads": unheard,
    "streams of ASCII": ascii_only,
    **{f"COLUMNS={value}": variable("COLUMNS", value) for value in ("abc", "0", "-5", "1", "9", str(10**12), "٣")},
    "LINES=x": variable("LINES", "x"),
    "TERM=": variable("TERM", ""),
    "no home": variable("HOME", "/nowhere"),
    "no folder for temporary files": variable("TMPDIR", "/nowhere"),
    "16 open files": lambda folder: resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16)),
    "a folder that is gone": removed,
    "a folder that is read only": read_only,
}

READERS = (
    "check", "fmt", "graph", "show", "show, of traces", "run", "run --teacher", "run, of a compiled file", "eval",
    "certify", "library list", "library info",
)  # fmt: skip
"""Commands that have to work where nothing can be written."""


def surrounded(source: Path, words: str, name: str) -> list[str]:
    """The faults of a command in a surrounding; ``refused`` or ``done`` where there are none."""
    with scratch(source) as folder:

        def prepare() -> None:
            bounded()
            SURROUNDINGS[name](folder)

        ended = Running(folder, installed(words.split()), prepare).end()
    quiet = name in ("no standard error", "standard error is full", "nobody reads", "no standard output")
    found = faults_of(Trial((), "", ("",)), ended)
    if ended.status == 2 and not ended.text and not quiet:
        found.append("unnamed")
    if ended.status == 2 and name == "a folder that is read only" and words in [COMMANDS[one] for one in READERS]:
        found.append("crash")
    if found:
        print(f"npi {words}, {name}: {found} {ended.status}\n{ended.text[-1500:]}", flush=True)
    return found or ["refused" if ended.status == 2 else "done"]


def more_files(made_folders: Mapping[str, Path]) -> Path:
    """One folder with all that :data:`COMMANDS` name."""
    place = made_folders["library"]
    for name, target in (("parts", ("one", "two")), ("trained", ("core",))):
        for one in target:
            (made_folders[name] / one).rename(place / one)
    (place / "arms.npi").write_text(forks.ARMS)
    (place / "uses.npi").write_text(USES.format("bad.npi"))
    for words in (
        "trace small.npi --traces 2 --out set", "compile --library core --out core.npic",
        "certify --library core --out core.certificate",
    ):  # fmt: skip
        forks.done(place, words)
    for line in COMMANDS.values():  # here, so that what is imported and compiled on the way is there in every fork
        with scratch(place) as folder:
            warm(folder, line)
    return place


def tried(trials: Sequence[Callable[[], list[str]]]) -> list[object]:
    """A row of the table."""
    counts: Counter[str] = Counter()
    for trial in trials:
        counts.update(trial())
    print(f"{len(trials)} trials, {dict(counts)}", flush=True)
    return [len(trials), counts["refused"], counts["done"], *(counts[fault] for fault in FAULTS)]


def main() -> None:
    parser = plain_arguments(__doc__)
    parser.add_argument("--each", type=int, default=8, help="hostile values of each option")
    options = parser.parse_args()
    chooser = random.Random(0)
    with tempfile.TemporaryDirectory() as place:
        source = more_files(folders(Path(place), ()))

        def enter(kind: str, name: str, trials: Sequence[Callable[[], list[str]]]) -> None:
            if not trials:
                return
            head = ["command" if kind != "surroundings" else "in", "trials", "refused", "done", *FAULTS]
            row(kind, f"`{name}`", head, partial(tried, trials), each=options.each)

        for name, line in {**COMMANDS, **ALONE}.items():
            values = value_trials(line, chooser, options.each, NEVER if name in ALONE else ())
            enter("options", f"npi {line}", [partial(outcome, source, trial) for trial in values])
        for line in COMMANDS.values():
            enter("files", f"npi {line}", [partial(outcome, source, trial) for trial in file_trials(line, source)])
        enter("files", 'use "…"', [partial(outcome, source, trial) for trial in used_trials()])
        for name in SURROUNDINGS:
            enter("surroundings", name, [partial(surrounded, source, line, name) for line in COMMANDS.values()])
    write_page("faults-inputs", ("options", "files", "surroundings"))


if __name__ == "__main__":
    main()
