"""Options that several commands take, and a table of which apply to which kind of call; others are refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer


def option(name: str, text: str, metavar: str | None = None, **settings: Any) -> Any:
    """An option of a command, with what ``--help`` says of it."""
    return typer.Option(name, help=text, metavar=metavar, **settings)


def argument(text: str, metavar: str | None = None) -> Any:
    """What a command takes by its place."""
    return typer.Argument(help=text, metavar=metavar, show_default=False)


JsonOption = Annotated[bool, option("--json", "Print one JSON document, and nothing else, on stdout.")]
SeedOption = Annotated[int, option("--seed", "Of everything random; the same seed gives the same result.", "N")]
LibraryOption = Annotated[Path, option("--library", "Folder of a library (npi train makes one).", "DIR")]
TeacherOption = Annotated[
    Path | None, option("--teacher", "Run this file's program text instead of a trained core.", "FILE.npi")
]
HostOption = Annotated[
    list[Path] | None,
    option("--host", "A learner's library, for programs with a learning signal; repeatable.", "DIR"),
]
OutOption = Annotated[Path | None, option("--out", "Write there instead of into the library itself.", "DIR")]
HtmlOption = Annotated[Path | None, option("--html", "Write a page to step through the run in a browser.", "PAGE.html")]
AnimationOption = Annotated[
    Path | None, option("--animation", "Write an animated picture of the run, in a world with pictures.", "FILE.gif")
]
DeviceOption = Annotated[str, option("--device", "auto (CUDA where there is one), cpu, cuda, cuda:1 …", "NAME")]


@dataclass(frozen=True)
class Kind:
    """A kind of call.

    Attributes:
        where: completes "does not apply ...".
        applies: the options that do; ``None`` for a kind that is added to another one, and refuses more.
        refused: the other options, each with the reason and, after a semicolon, what to do but leave it out.
    """

    where: str
    applies: str | None = None
    refused: Mapping[str, str] = field(default_factory=dict)


_BODIES = (
    "--out --universal --core --updates --traces --frames --rate --certify --device --precision --compile --log "
    "--fresh --seed --seeds --host --json"
)
_WITH_BODIES = {
    "--programs": "it is the number of random programs; give --universal, too",
    "--set": "it changes settings of learners, which programs with a learning signal name",
}
_LEARN = "--library --out --starts --updates --traces --keep --seed --host --json"
_TRACED = Kind("to folders of traces", refused={"--traces": "they hold their traces; npi trace makes more"})
_NO_SIGNAL = {"--set": "it changes settings of learners, which programs with a learning signal name"}
_MESHES = dict.fromkeys(("--up", "--forward"), "it says how meshes lie; give --meshes FOLDER, too")
_TEXT = "the program text decides in place of a core"

OPTIONS: Mapping[str, Mapping[str, Kind]] = {
    "check": {
        "programs": Kind("to program files", "--run --count --steps --seed --json"),
        "traces": Kind(
            "to folders of traces",
            "--json",
            dict.fromkeys(("--run", "--count", "--steps", "--seed"), "all their frames are compared, and nothing runs"),
        ),
        "no run": Kind("with --no-run", refused=dict.fromkeys(("--count", "--steps", "--seed"), "nothing runs")),
    },
    "fmt": {"any": Kind("", "--check --diff")},
    "graph": {"any": Kind("", "--program --mermaid --dot --out --json")},
    "trace": {"any": Kind("", "--out --task --traces --sizes --processes --part --shards --seed --json")},
    "merge": {"any": Kind("", "--out --json")},
    "show": {
        "program": Kind(
            "to a program file",
            "--task --obs --returns --limit --seed --html --json",
            {"--trace": "it numbers the traces of a folder; inputs say which run of a file is shown"},
        ),
        "traces": Kind(
            "to a folder of traces",
            "--trace --obs --returns --limit --html --json",
            {"--task": "a folder has the traces of one task", "--seed": "nothing is drawn; --trace chooses"},
        ),
        "library": Kind(
            "to a library",
            "--json",
            {
                **dict.fromkeys(("--trace", "--obs", "--returns", "--limit"), "its programs are listed, and no run"),
                **dict.fromkeys(("--task", "--seed"), "its programs and tasks are listed, all of them"),
                "--html": "a page shows a run: npi run TASK ... --library DIR --html PAGE.html",
            },
        ),
        "inputs": Kind("with inputs", refused={"--seed": "nothing is drawn"}),
        "page": Kind("with --html", refused=dict.fromkeys(("--obs", "--returns", "--limit"), "the page has all of it")),
    },
    "train": {
        "discrete": Kind("to programs with bodies", _BODIES, _WITH_BODIES),
        "lstm": Kind("to programs with bodies", _BODIES, _WITH_BODIES),
        "learners": Kind(
            "to programs with a learning signal",
            "--out --universal --updates --rate --device --fresh --seed --set --json",
            {
                "--programs": "it is the number of random programs of --universal",
                "--core": "their learner has a core of its own; --set changes its shape",
                "--traces": "they are learned from their learning signal, not from traces",
                "--frames": "episodes are drawn, not frames; --set help lists how many",
                "--certify": "without a body there is nothing to prove them against",
                "--precision": "a learner's core trains in float32",
                "--compile": "a learner's core is not compiled",
                "--log": "no scalars are written of a learner's core",
                "--seeds": "a learner's core trains with one --seed at a time",
                "--host": "they call no programs; it is for programs with bodies that call theirs",
            },
        ),
        "universal": Kind(
            "with --universal",
            "--out --universal --programs --updates --rate --fresh --seed --json",
            {
                "--core": "a universal core has a shape of its own",
                "--traces": "random programs are read, and not traced; --programs says how many",
                "--frames": "functions of random programs are drawn, not frames",
                "--certify": "it has no programs yet; npi learn compares each with its text",
                "--device": "it trains on the CPU",
                "--precision": "it trains in float32",
                "--compile": "its layers are too small to gain from it",
                "--log": "no scalars are written of it",
                "--seeds": "it trains with one --seed at a time",
                "--set": "it changes settings of learners, which programs with a learning signal name",
                "--host": "random programs call no programs of learners",
            },
        ),
        "traces": _TRACED,
        "seeds": Kind("with --seeds", refused={"--seed": "name it among --seeds"}),
    },
    "run": {
        "core": Kind(
            "", "--library --teacher --every --step --quiet --limit --steps --html --animation --seed --json"
        ),
        "teacher": Kind(
            "with --teacher",
            "--teacher --every --step --quiet --limit --steps --html --animation --json",
            {"--library": _TEXT, "--seed": "a program text draws nothing"},
        ),
        "quiet": Kind(
            "with --quiet", refused=dict.fromkeys(("--every", "--step", "--limit"), "only the result is printed")
        ),
    },
    "eval": {
        "core": Kind(
            "without --meshes", "--library --teacher --sizes --count --meshes --device --seed --json", _MESHES
        ),
        "teacher": Kind(
            "with --teacher", "--teacher --sizes --count --meshes --device --seed --json",
            {"--library": _TEXT, **_MESHES},
        ),
        "learners": Kind(
            "to a learner's library",
            "--library --teacher --count --meshes --device --seed --json",
            {"--sizes": "its tasks are judged at their test sizes", **_MESHES},
        ),
        "meshes": Kind(
            "with --meshes",
            "--library --count --meshes --up --forward --device --seed --json",
            {
                "--teacher": "a program text reads no pictures",
                "--sizes": "meshes are shown from all starts; --count takes some of them",
            },
        ),
    },
    "certify": {
        "prove": Kind("", "--library --out --check --counterexamples --json"),
        "check": Kind(
            "with --check",
            "--library --check --json",
            dict.fromkeys(("--out", "--counterexamples"), "a certificate is checked, and nothing is proved"),
        ),
    },
    "compile": {"any": Kind("", "--library --out --json")},
    "learn": {
        "discrete": Kind(
            "to the library of a discrete core",
            f"{_LEARN} --certify --device",
            {"--from-traces": "its rows are always learned from traces", **_NO_SIGNAL},
        ),
        "lstm": Kind(
            "to the library of an lstm core",
            f"{_LEARN} --device",
            {
                "--from-traces": "its rows are always learned from traces",
                "--certify": "rows of an lstm are not proved",
                **_NO_SIGNAL,
            },
        ),
        "universal": Kind(
            "to the library of a universal core",
            f"{_LEARN} --from-traces",
            {
                "--certify": "its rows are always compared with their texts",
                "--device": "its rows take a second on the CPU, and are the same everywhere",
                **_NO_SIGNAL,
            },
        ),
        "learners": Kind(
            "to programs with a learning signal",
            "--library --out --starts --updates --seed --set --json",
            {
                "--traces": "they are learned from their learning signal, not from traces",
                "--from-traces": "they are learned from their learning signal, not from traces",
                "--keep": "their rows are always written, since there is no bar to pass",
                "--certify": "without a body there is nothing to prove them against",
                "--device": "a row is learned on the CPU",
                "--host": "they call no programs; it is for programs with bodies that call theirs",
            },
        ),
        "traces": _TRACED,
    },
    "lsp": {"any": Kind("", "--tcp")},
    "demo": {"any": Kind("", "--programs --out --seed --json")},
    "reproduce": {"any": Kind("", "--out --programs --seeds --quick --only --device --json")},
    "library list": {"any": Kind("", "--name --calls --world --json")},
    "library info": {
        "library": Kind("", "--text --json"),
        "row file": Kind(
            "to a row file", "--json", {"--text": "it is for a row of a library; npi library add makes it one"}
        ),
    },
    "library pack": {"any": Kind("", "--out --alone --json")},
    "library add": {"any": Kind("", "--replace --out --json")},
    "library remove": {"any": Kind("", "--with-callers --out --json")},
    "library diff": {"any": Kind("", "--json")},
    "library merge": {"any": Kind("", "--out --prefer --json")},
}  # fmt: skip


def refuse_others(context: typer.Context, *kinds: str) -> None:
    """Raise ``ValueError`` for an option of the running command that was given and does not apply to these kinds.

    A kind that the table does not have, such as a core that a package registers, refuses nothing.
    """
    table = OPTIONS[context.command_path.partition(" ")[2]]
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
