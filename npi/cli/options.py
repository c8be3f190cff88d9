"""Options that several commands take, and a table of which do not apply to which kind of call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

MAX_NUMBER = 10**9
"""Of a number in an option."""

MAX_NUMBERS = {
    "--seed": 2**63 - 1,
    "--count": 1_000_000,
    "--traces": 10_000_000,
    "--programs": 100_000,
    "--frames": 1_000_000,
    "--starts": 10_000,
    "--processes": 1024,
}
"""Of numbers of things that are held in memory, or of which none is too large."""


def option(name: str, text: str, metavar: str | None = None, **settings: Any) -> Any:
    """An option of a command, with what ``--help`` says of it; a number with a least one has a greatest one, too."""
    if "min" in settings:
        settings.setdefault("max", MAX_NUMBERS.get(name, MAX_NUMBER))
    return typer.Option(name, help=text, metavar=metavar, **settings)


def output(name: str, text: str, metavar: str, **settings: Any) -> Any:
    """An option that names a file to write, refused before the work where it could not be written after it."""
    return option(name, text, metavar, callback=_writable, **settings)


def _writable(file: Path | None) -> Path | None:
    if file is not None and file.is_dir():
        raise typer.BadParameter(f"{file} is a folder; name a file")
    if file is not None and not file.absolute().parent.is_dir():
        raise typer.BadParameter(f"{file}: there is no folder {file.parent}; make it, or name a file elsewhere")
    return file


def argument(text: str, metavar: str | None = None) -> Any:
    """What a command takes by its place."""
    return typer.Argument(help=text, metavar=metavar, show_default=False)


JsonOption = Annotated[bool, option("--json", "Print one JSON document, and nothing else, on stdout.")]
SeedOption = Annotated[int, option("--seed", "Of everything random; the same seed gives the same result.", "N", min=0)]
LibraryOption = Annotated[Path, option("--library", "Folder of a library (npi train makes one).", "DIR")]
TeacherOption = Annotated[
    Path | None, option("--teacher", "Run this file's program text instead of a trained core.", "FILE.npi")
]
HostOption = Annotated[
    list[Path] | None,
    option("--host", "A learner's library, for programs with a learning signal; repeatable.", "DIR"),
]
CoreOption = Annotated[
    str | None,
    option("--core", "Of a collection: the member of this core, such as universal, or how its hash begins.", "CORE"),
]
RowsOption = Annotated[
    list[str] | None,
    option(
        "--use-row",
        "Let another row of the same core stand in for a program with a learning signal; repeatable.",
        "PROGRAM=ROW",
    ),
]
OutOption = Annotated[Path | None, option("--out", "Write there instead of into the library itself.", "DIR")]


def _bind(values: list[str] | None) -> list[str] | None:
    """Bind data before the command reads a program file."""
    from envs.images.bindings import bind

    for value in values or ():
        try:
            bind(value)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    return values


DataOption = Annotated[
    list[str] | None,
    option(
        "--data", "Where the pictures, strokes or voices lie that a world names: a folder or file; repeatable.",
        "NAME=FOLDER", callback=_bind,
    ),
]  # fmt: skip
HtmlOption = Annotated[Path | None, output("--html", "Write a page to step through the run in a browser.", "PAGE.html")]
AnimationOption = Annotated[
    Path | None,
    output(
        "--animation", "Write an animated picture of the run, in a world that has pictures or is drawn.", "FILE.gif"
    ),
]
DEPTH = 10_000
StepsOption = Annotated[
    int | None,
    option("--steps", "The most steps of a run; by default far more than inputs of that size need.", "N", min=1),
]
DepthOption = Annotated[int, option("--depth", "How deep calls may go inside each other.", "N", min=1)]
DeviceOption = Annotated[str, option("--device", "auto (CUDA where there is one), cpu, cuda, cuda:1 …", "NAME")]


@dataclass(frozen=True)
class Kind:
    """A kind of call.

    Attributes:
        where: completes "does not apply ...".
        refused: options that do not, each with the reason and, after a semicolon, what to do but leave it out.
    """

    where: str
    refused: Mapping[str, str]


def _all(options: str, why: str) -> dict[str, str]:
    """Several options that are refused for one reason."""
    return dict.fromkeys(options.split(), why)


_SET = {"--set": "it changes settings of learners, which programs with a learning signal name"}
_BODIES = {**_SET, "--programs": "it is the number of random programs; give --universal, too"}
_SIGNALS = {
    "--certify": "without a body there is nothing to prove them against",
    "--host": "they call no programs; it is for programs with bodies that call theirs",
}
_NOT_TRACED = "they are learned from their learning signal, not from traces"
_TRACED = Kind("to folders of traces", {"--traces": "they hold their traces; npi trace makes more"})
_UNTIMED = _all("--steps --depth", "an episode is as long as its program says")
_SHOWN = {
    "--demonstration": "its programs have texts or traces; a demonstration shows one with a learning signal",
    "--row": "it is for programs with a learning signal, whose rows run in any world that their learner can act in",
}
_INFERRED = {**_SET, "--from-traces": "its rows are always learned from traces"}
_MESHES = _all("--up --forward", "it says how meshes lie; give --meshes FOLDER, too")
_PICTURE = {"--picture": "it draws episodes of pictures with classes, which a learner's core names"}
_TEXT = {
    **_all("--library --core", "the program text decides in place of a core"),
    "--use-row": "the program text decides, and it has no rows",
}

REFUSED: Mapping[str, Mapping[str, Kind]] = {
    "check": {
        "traces": Kind(
            "to folders of traces",
            _all("--run --count --steps --depth --seed", "all their frames are compared, and nothing runs"),
        ),
        "no run": Kind("with --no-run", _all("--count --steps --depth --seed", "nothing runs")),
    },
    "show": {
        "program": Kind(
            "to a program file",
            {"--trace": "it numbers the traces of a folder; inputs say which run of a file is shown"},
        ),
        "traces": Kind(
            "to a folder of traces",
            {
                "--task": "a folder has the traces of one task",
                "--seed": "nothing is drawn; --trace chooses",
                **_all("--steps --depth", "nothing runs"),
            },
        ),
        "library": Kind(
            "to a library",
            {
                **_all("--trace --obs --returns --limit", "its programs are listed, and no run"),
                **_all("--steps --depth", "nothing runs"),
                **_all("--task --seed", "its programs and tasks are listed, all of them"),
                "--html": "a page shows a run: npi run TASK ... --library DIR --html PAGE.html",
            },
        ),
        "inputs": Kind("with inputs", {"--seed": "nothing is drawn"}),
        "page": Kind("with --html", _all("--obs --returns --limit", "the page has all of it")),
    },
    "train": {
        "bodies": Kind("to programs with bodies", _BODIES),
        "lstm": Kind(
            "to an lstm",
            {
                "--states": "its state has no codes to be set to; it finds one by itself",
                "--bits": "its state is real numbers",
            },
        ),
        "forced": Kind("with forced states", {"--frames": "different steps are learned, not frames; see --states"}),
        "learners": Kind(
            "to programs with a learning signal",
            {
                **_SIGNALS,
                **_UNTIMED,
                "--programs": "it is the number of random programs of --universal",
                "--core": "their learner has a core of its own; --set changes its shape",
                "--states": "its state is what its learner says",
                "--bits": "its state is what its learner says",
                "--traces": _NOT_TRACED,
                "--frames": "episodes are drawn, not frames; --set help lists how many",
                "--precision": "a learner's core trains in float32",
                "--compile": "a learner's core is not compiled",
                "--seeds": "a learner's core trains with one --seed at a time",
            },
        ),
        "universal": Kind(
            "with --universal",
            {
                **_SET,
                **_all("--steps --depth", "random programs are read, and not run"),
                "--core": "a universal core has a shape of its own",
                "--states": "a universal core has none to find",
                "--bits": "a universal core's rows have states of their own",
                "--traces": "random programs are read, and not traced; --programs says how many",
                "--frames": "functions of random programs are drawn, not frames",
                "--certify": "it has no programs yet; npi learn compares each with its text",
                "--device": "it trains on the CPU",
                "--precision": "it trains in float32",
                "--compile": "its layers are too small to gain from it",
                "--seeds": "it trains with one --seed at a time",
                "--host": "random programs call no programs of learners",
            },
        ),
        "traces": _TRACED,
        "seeds": Kind("with --seeds", {"--seed": "name it among --seeds"}),
    },
    "run": {
        "teacher": Kind("with --teacher", {**_TEXT, "--seed": "a program text draws nothing"}),
        "speech": Kind(
            "with --wav or --picture",
            {
                **_all("--every --step --limit --quiet", "speech has no calls to show, and one result"),
                **_all("--steps --depth", "a text is as long as it is"),
                **_all("--html --animation", "they show calls; --picture draws what was said"),
                "--teacher": "no program text speaks",
            },
        ),
        "silent": Kind("without --wav", {"--temperature": "it is for a text that is said; give --wav FILE, too"}),
        "quiet": Kind("with --quiet", _all("--every --step --limit", "only the result is printed")),
    },
    "eval": {
        "core": Kind("without --meshes", {**_MESHES, **_PICTURE}),
        "teacher": Kind("with --teacher", {**_TEXT, **_MESHES, **_PICTURE}),
        "learners": Kind(
            "to a learner's library", {"--sizes": "its tasks are judged at their test sizes", **_UNTIMED, **_MESHES}
        ),
        "meshes": Kind(
            "with --meshes",
            {
                "--teacher": "a program text reads no pictures",
                "--use-row": "programs that read meshes have bodies",
                **_PICTURE,
                **_all("--steps --depth", "the program text says how many a run may take"),
                "--sizes": "meshes are shown from all starts; --count takes some of them",
            },
        ),
    },
    "certify": {
        "check": Kind(
            "with --check",
            {
                **_all("--out --counterexamples", "a certificate is checked, and nothing is proved"),
                "--core": "a certificate names its core",
            },
        ),
    },
    "learn": {
        "discrete": Kind("to the library of a discrete core", {**_INFERRED, **_SHOWN}),
        "lstm": Kind(
            "to the library of an lstm core", {**_INFERRED, **_SHOWN, "--certify": "rows of an lstm are not proved"}
        ),
        "universal": Kind(
            "to the library of a universal core",
            {
                **_SET,
                **_SHOWN,
                "--certify": "its rows are always compared with their texts",
                "--device": "its rows take a second on the CPU, and are the same everywhere",
            },
        ),
        "learners": Kind(
            "to programs with a learning signal",
            {
                **_SIGNALS,
                **_UNTIMED,
                **_all("--traces --from-traces", _NOT_TRACED),
                "--keep": "their rows are always written, since there is no bar to pass",
                "--device": "a row is learned on the CPU",
            },
        ),
        "row": Kind("with --row", _all("--starts --updates --seed --set --demonstration", "nothing is learned")),
        "traces": _TRACED,
    },
    "reproduce": {
        "npi-paper": Kind("to npi-paper", {"--data": "its programs name no data"}),
        "tools-that-learn": Kind(
            "to tools-that-learn",
            {
                "--programs": "its program files are the engine's",
                "--device": "its cores are small, and train on the CPU",
            },
        ),
    },
    "library info": {
        "row file": Kind(
            "to a row file",
            {
                "--text": "it is for a row of a library; npi library add makes it one",
                "--core": "a row file is for one core",
            },
        ),
    },
}
"""By command and kind of call; kinds that refuse nothing have no place here."""


def refuse_others(context: typer.Context, *kinds: str) -> None:
    """Raise ``ValueError`` for an option of the running command that was given and does not apply to these kinds.

    A kind that the table does not have, such as a core that a package registers, refuses nothing.
    """
    table = REFUSED[context.command_path.partition(" ")[2]]
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is None or source.name != "COMMANDLINE":
            continue
        for kind in (table[name] for name in kinds if name in table):
            why = kind.refused.get(parameter.opts[0])
            if why is not None:
                option = "/".join([*parameter.opts, *parameter.secondary_opts])
                advice = "" if ";" in why else "; leave it out"
                raise ValueError(f"{option} does not apply {kind.where}: {why}{advice}")
