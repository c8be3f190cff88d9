"""Options by command and kind of call: all have a place, and one that does not apply is refused with the reason."""

from pathlib import Path
from typing import Any

import pytest
import typer.main

from envs.images.bindings import VARIABLE
from npi.cli.main import made, main
from npi.cli.options import DEPTH, REFUSED
from npi.library.manifest import FORMAT, NAME, sealed
from npi.universal.core import SHIPPED
from tests.support.tiny import CORE, LSTM, STRIP, untrained
from traces.machine.outcome import Budget

SIGNALS = """
world arms is bandit(arms: 2, steps: 20)

program PLAY "Find the better arm":
    maximise reward over 20 steps
    core "meta-rl"
"""


def commands(group, before: str = "") -> dict[str, dict[str, object]]:
    """Of each command the options, by their first name."""
    found: dict[str, dict[str, object]] = {}
    for name, one in group.commands.items():
        if one.params and not getattr(one, "commands", None):
            options = [p for p in one.params if p.param_type_name == "option" and p.name != "help"]
            found[before + name] = {option.opts[0]: option for option in options}
        else:
            found |= commands(one, f"{name} ")
    return found


COMMANDS = commands(typer.main.get_command(made()))
CASES = [
    (command, kind, option) for command, kinds in REFUSED.items() for kind in kinds for option in kinds[kind].refused
]

CALLS = {
    "check": {"programs": "{file}", "traces": "{traces}", "no run": "{file} --no-run"},
    "show": {
        "program": "{file}", "traces": "{traces}", "library": "{discrete}", "inputs": "{file} 1,2",
        "page": "{file} --html {new}",
    },
    "train": {
        "bodies": "{file}", "lstm": "{file} --core lstm", "forced": "{file} --states forced",
        "learners": "{signals}", "universal": "--universal",
        "traces": "{traces}", "seeds": "{file} --seeds 0,1",
    },
    "run": {
        "teacher": "both 1 --teacher {file}", "quiet": "both 1 --quiet", "silent": "both 1",
        "speech": "say hello --wav {new} --library {new}",
    },
    "eval": {
        "core": "--library {discrete}", "teacher": "--teacher {file}", "learners": "--library {learners}",
        "meshes": "turn --meshes {traces}",
    },
    "certify": {"check": "--check {new}"},
    "learn": {
        "discrete": "{file} --library {discrete}", "lstm": "{file} --library {lstm}",
        "universal": "{file} --library {universal}", "learners": "{signals}",
        "row": "{signals} --row a.B", "traces": "{traces} --library {discrete}",
    },
    "reproduce": {
        "npi-paper": "npi-paper --quick --out {new}", "tools-that-learn": "tools-that-learn --quick --out {new}",
    },
    "library info": {"row file": "{file}"},
}  # fmt: skip
"""A call of each kind that refuses options."""

BODIES = (
    "--out --core --states --bits --universal --traces --frames --updates --rate --certify --device --precision "
    "--compile --log --steps --depth --fresh --seed --seeds --host --data --json"
)
ROWS = "--library --core --out --steps --depth --starts --updates --traces --keep --seed --host --json"
RUN = "--teacher --every --step --quiet --limit --steps --depth --html --animation --wav --picture --data --json"
EVAL = "--teacher --count --meshes --device --seed --data --json"

APPLIES = {
    "check": {"traces": "--data --json", "": "--run --count --steps --depth --seed --data --json"},
    "show": {
        "program": "--task --obs --returns --limit --steps --depth --seed --html --data --json",
        "traces": "--trace --obs --returns --limit --html --data --json",
        "library": "--data --json",
    },
    "train": {
        "bodies": BODIES,
        "learners": "--out --universal --updates --rate --device --log --fresh --seed --set --data --json",
        "universal": "--out --universal --programs --updates --rate --log --fresh --seed --data --json",
    },
    "run": {
        "": f"--library --core --use-row --seed --temperature {RUN}",
        "teacher": f"--temperature {RUN}",
        "silent": f"--library --core --use-row --seed {RUN}",
        "speech": "--library --core --use-row --wav --picture --temperature --data --seed --json",
    },
    "eval": {
        "core": f"--library --core --use-row --steps --depth --sizes {EVAL}",
        "teacher": "--teacher --steps --depth --sizes --count --meshes --device --seed --data --json",
        "learners": f"--library --core --use-row --picture {EVAL}",
        "meshes": "--library --core --count --meshes --up --forward --device --seed --data --json",
    },
    "certify": {"": "--library --core --out --check --counterexamples --json", "check": "--library --check --json"},
    "learn": {
        "discrete": f"{ROWS} --certify --data --device",
        "lstm": f"{ROWS} --data --device",
        "universal": f"{ROWS} --from-traces --data",
        "learners": "--library --core --out --starts --updates --seed --set --demonstration --row --data --json",
    },
    "reproduce": {
        "npi-paper": "--out --programs --seeds --quick --only --device --json",
        "tools-that-learn": "--out --seeds --quick --only --data --json",
    },
    "library info": {"": "--text --core --json", "row file": "--json"},
}
"""The options of each kind of call of the commands that have several; the kind without a name refuses nothing."""

ONE_KIND = {
    "fmt", "graph", "trace", "merge", "compile", "lsp", "demo", "examples", "library list", "library pack",
    "library add", "library remove", "library diff", "library merge", "library extract", "voices make",
    "voices prepare", "voices import", "voices list",
}  # fmt: skip
"""Commands whose options all apply to all of their calls."""


def test_the_depth_of_the_options_is_that_of_the_machine() -> None:
    """``--help`` does not load the machine to say so."""
    assert Budget().depth == DEPTH


def test_every_command_has_its_place() -> None:
    assert APPLIES.keys() | ONE_KIND == COMMANDS.keys()
    assert REFUSED.keys() == APPLIES.keys()


@pytest.mark.parametrize(("command", "kind"), [(command, kind) for command in APPLIES for kind in APPLIES[command]])
def test_every_option_has_its_place(command: str, kind: str) -> None:
    """A new option fails here until it is said which kinds of call it is for."""
    refused = REFUSED[command][kind].refused if kind else {}
    assert sorted([*APPLIES[command][kind].split(), *refused]) == sorted(COMMANDS[command])


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("options")
    (folder / "strip.npi").write_text(STRIP)
    (folder / "signals.npi").write_text(SIGNALS)
    (folder / "traces").mkdir()
    (folder / "learners").mkdir()
    empty: dict[str, Any] = {name: [] for name in ("worlds", "rows", "programs", "history")}
    manifest = {"format": FORMAT, "config": {"kind": "meta-rl"}, "core": "0" * 64, **empty, "files": {}}
    (folder / "learners" / NAME).write_bytes(sealed(manifest))
    untrained(CORE).save(folder / "discrete")
    untrained(LSTM).save(folder / "lstm")
    names = {name: folder / name for name in ("traces", "learners", "discrete", "lstm", "new")}
    return names | {"file": folder / "strip.npi", "signals": folder / "signals.npi", "universal": SHIPPED}


@pytest.mark.parametrize(("command", "kind", "option"), CASES, ids=["-".join(case) for case in CASES])
def test_an_option_that_does_not_apply_is_refused(
    command: str, kind: str, option: str, places: dict[str, Path], capsys, monkeypatch
) -> None:
    """One line that names the option, the reason and what to do, and nothing is begun."""
    monkeypatch.setenv(VARIABLE, "{}")  # data are bound as the command line is read
    found = COMMANDS[command][option]
    if found.is_flag:
        given = [found.secondary_opts[0] if option in ("--run", "--certify") and found.secondary_opts else option]
    else:
        given = [
            option,
            {
                "--core": "lstm",
                "--states": "learned",
                "--precision": "bfloat16",
                "--device": "cpu",
                "--use-row": "A=B",
                "--data": "some=.",
            }.get(option, "1"),
        ]
    words = [*command.split(), *CALLS[command][kind].format(**places).split(), *given]
    assert main(words) == 2
    out, err = capsys.readouterr()
    row = REFUSED[command][kind]
    assert out == ""
    assert err.startswith(f"npi: {option}")
    why = row.refused[option]
    assert err.endswith(f" does not apply {row.where}: {why}{'' if ';' in why else '; leave it out'}\n")
    assert err.count("\n") == 1
    assert not places["new"].exists()
