"""Rules about the code itself: imports run one way, nothing executes data, every package is listed."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT

LAYERS = ["envs", "dsl", "traces", "npi", "meta", "benchmarks"]
"""A layer imports itself and those before it."""

FILES = sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))
ROOMS: dict[str, Any] = tomllib.loads((ROOT / "tests" / "import_order.toml").read_text(encoding="utf-8"))
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}


parsed = cache(ast.parse)
"""Several rules read a file."""


def imported(tree: ast.AST) -> Iterator[str]:
    """Full names of the modules that a file imports, wherever in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def upward(source: str, layer: str) -> list[str]:
    """Imports of a file in ``layer`` that run against the one way."""
    above = LAYERS[LAYERS.index(layer) + 1 :]
    return [name for name in imported(parsed(source)) if name.partition(".")[0] in above]


def of_the_command_line(source: str) -> list[str]:
    return [name for name in imported(parsed(source)) if name == "npi.cli" or name.startswith("npi.cli.")]


def arrows(source: str, package: str) -> set[str]:
    """The rooms of its own package that a file imports."""
    names = [name.split(".") for name in imported(parsed(source))]
    return {parts[1] for parts in names if parts[0] == package and len(parts) > 1}


def backward(files: Mapping[str, str], package: str, order: Sequence[Sequence[str]]) -> list[str]:
    """Arrows between rooms of a package that run against its order, as ``"room -> room (file)"``.

    Args:
        files: sources by path, such as ``"npi/core/lstm.py"``.
        order: rooms, bottom to top; those of one line do not import each other.
    """
    floor = {room: number for number, rooms in enumerate(order) for room in rooms}
    found = []
    for path, source in sorted(files.items()):
        room = path.split("/")[1].removesuffix(".py")
        if room == "__init__":
            continue
        for other in sorted(arrows(source, package) & floor.keys() - {room}):
            if floor[other] >= floor[room]:
                found.append(f"{room} -> {other} ({path})")
    return found


def executing(source: str) -> list[str]:
    """Ways in which a file could turn data into running code."""
    tree = parsed(source)
    found = [name for name in imported(tree) if name.partition(".")[0] in FORBIDDEN_MODULES]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
            found.append(node.func.id)
        # torch.load unpickles; what it stores here goes through safetensors.
        if isinstance(node.func, ast.Attribute) and ast.unparse(node.func) == "torch.load":
            found.append("torch.load")
    return found


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_rules_of_a_file(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    parts = path.relative_to(ROOT).parts
    assert upward(source, parts[0]) == []
    assert executing(source) == []
    if parts[:2] != ("npi", "cli"):
        assert of_the_command_line(source) == []


@pytest.mark.parametrize("package", ROOMS)
def test_rooms(package: str) -> None:
    """No arrow runs back up, every room has its place in the order, and there are not too many (printed with -s)."""
    rules = ROOMS[package]
    files = {str(p.relative_to(ROOT)): p.read_text(encoding="utf-8") for p in FILES if p.is_relative_to(ROOT / package)}
    rooms = {path.split("/")[1].removesuffix(".py") for path in files} - {"__init__"}
    found = backward(files, package, rules["order"])
    counted = rooms - set(rules["worlds"])
    print(f"{package}: {len(counted)} rooms (at most {rules['at_most']}), {len(found)} arrows back up")
    assert rooms == {room for line in rules["order"] for room in line}
    assert len(counted) <= rules["at_most"]
    assert found == []


def test_the_rules_can_fail() -> None:
    files = {"p/a.py": "from p.b import x", "p/b/c.py": "import p.d", "p/d.py": "import p.a"}
    assert backward(files, "p", [["a"], ["b"], ["d"]]) == ["a -> b (p/a.py)", "b -> d (p/b/c.py)"]
    assert backward(files, "p", [["b", "d"], ["a"]]) == ["b -> d (p/b/c.py)", "d -> a (p/d.py)"]
    assert backward({"p/a.py": "import p.b\nimport p.a"}, "p", [["b"], ["a"]]) == []
    assert upward("from npi.core.base import Core", "dsl") == ["npi.core.base", "npi.core.base.Core"]
    assert upward("def f():\n    import traces", "envs") == ["traces"]
    assert upward("import envs.spec", "dsl") == []
    assert of_the_command_line("from npi import cli") == ["npi.cli"]
    assert of_the_command_line("from npi.cli.main import main") == ["npi.cli.main", "npi.cli.main.main"]
    assert executing("import pickle") == ["pickle"]
    assert executing("from torch import nn\nnn.Module().eval()") == []
    assert executing("eval('1')\ntorch.load(path)") == ["eval", "torch.load"]


ONE_STEP = """
import torch
from npi.training.loop import Group
weight = torch.nn.Parameter(torch.ones(1))
weight.sum().backward()
optimizer = Group([weight], 0.1, "adamw").optimizer()
optimizer.step()
optimizer.load_state_dict(optimizer.state_dict())
"""
"""What every training does, and what imports torch's compiler where its optimisers are used as they are."""


def test_what_is_optional_is_not_imported() -> None:
    used = "envs, envs.cars.mesh_files, envs.cars.image_cache, dsl, traces, traces.viewing.animation, npi, "
    used += "npi.running.mesh_accuracy, npi.cli.run_files"
    optional = {"gymnasium", "matplotlib", "PIL", "pygls", "sklearn", "stable_baselines3", "tensorboard", "trimesh"}
    code = f"import sys, {used}; print(*sorted({optional} & set(sys.modules)))"
    code += f"\n{ONE_STEP}\nprint('torch._dynamo' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "\nFalse\n"


def test_every_package_is_listed() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in FILES if path.name == "__init__.py"}
    assert set(listed) - {"npi.programs"} == {name for name in found if not name.startswith("benchmarks")}


def optimiser_steps(source: str) -> list[int]:
    """Lines that call a ``.step()`` without arguments, as optimisers and schedulers of PyTorch have."""
    calls = [node for node in ast.walk(parsed(source)) if isinstance(node, ast.Call)]
    return [
        call.lineno
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == "step" and not call.args and not call.keywords
    ]


def test_optimisers_step_in_the_one_training_loop_alone() -> None:
    assert optimiser_steps("for x in y:\n    self.adam.step()\n    core.step(x)\n") == [2]
    found = {
        path.relative_to(ROOT).as_posix(): lines
        for path in FILES
        if path.relative_to(ROOT).parts[0] != "benchmarks" and (lines := optimiser_steps(path.read_text("utf-8")))
    }
    assert found.keys() == {"npi/training/loop.py"}
    assert len(found["npi/training/loop.py"]) == 1
