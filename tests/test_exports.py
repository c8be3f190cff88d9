"""The public face: what packages export is there, for Python and for type checkers, and nothing hides it."""

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PACKAGES = sorted(
    ".".join(path.parent.relative_to(ROOT).parts)
    for package in ("envs", "dsl", "traces", "npi", "meta")
    for path in (ROOT / package).rglob("__init__.py")
    if "__all__" in path.read_text(encoding="utf-8")
)


def shown_to_type_checkers(package: str) -> set[str]:
    """The names that a package's ``__init__`` imports or defines, those under ``TYPE_CHECKING`` too."""
    tree = ast.parse((ROOT.joinpath(*package.split(".")) / "__init__.py").read_text(encoding="utf-8"))
    names = {alias.asname or alias.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for alias in n.names}
    names |= {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
    return names | {t.id for n in tree.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_export_is_there(package: str) -> None:
    module = import_module(package)
    assert sorted(module.__all__) == sorted(set(module.__all__))
    assert set(module.__all__) <= set(dir(module))
    assert set(module.__all__) <= shown_to_type_checkers(package)
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        module.nothing  # noqa: B018


@pytest.mark.parametrize("package", PACKAGES)
def test_no_export_is_hidden_by_a_submodule(package: str) -> None:
    """``npi.learn`` must not turn into a module once some module of that name was imported."""
    submodules = {
        path.stem for path in ROOT.joinpath(*package.split(".")).iterdir() if path.suffix == ".py" or path.is_dir()
    }
    assert submodules & set(import_module(package).__all__) == set()


def test_importing_a_package_imports_no_torch() -> None:
    code = "import sys, importlib\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\n"
    code += "    assert 'torch' not in sys.modules, name\n"
    subprocess.run([sys.executable, "-c", code, *PACKAGES], cwd=ROOT, check=True)


STRICT = (
    "# mypy: disallow-any-generics, disallow-subclassing-any, disallow-untyped-calls, disallow-untyped-defs\n"
    "# mypy: disallow-untyped-decorators, warn-return-any, warn-unused-ignores, strict-equality, extra-checks\n"
)
"""For one file, what ``mypy --strict`` asks of all."""


def test_a_users_script_is_typed(tmp_path: Path) -> None:
    """The README's Python, as a script of a user's, passes what ``mypy --strict`` asks of a file. What ``make lint``
    found of the engine is not found again: the cache of the configuration is used, whose rule about exports is that
    of ``--strict``."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    script = tmp_path / "script.py"
    script.write_text("\n".join([STRICT, *re.findall(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)]))
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", str(script)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout
    assert all((ROOT / package / "py.typed").exists() for package in ("envs", "dsl", "traces", "npi", "meta"))


def python(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", [("-c", "import npi"), ("-m", "npi.cli.main", "--version")])
@pytest.mark.parametrize(("file", "hiding"), [("envs/__init__.py", "envs"), ("traces.py", "traces.py")])
def test_a_module_that_hides_a_package(tmp_path: Path, words: tuple[str, ...], file: str, hiding: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).touch()
    done = python(tmp_path, *words)
    name = hiding.removesuffix(".py")
    message = f"ImportError: {tmp_path / hiding} hides the package {name!r} of the engine ({ROOT / name})"
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.rstrip().endswith("rename it, or run from another folder")


def test_what_hides_nothing(tmp_path: Path) -> None:
    """A folder of data, and modules of other names."""
    for name in ("traces", "meta"):
        (tmp_path / name).mkdir()
    (tmp_path / "worlds.py").touch()
    done = python(tmp_path, "-c", "import npi, meta, traces; print(meta.__file__, traces.__file__)")
    assert done.stdout.split() == [str(ROOT / name / "__init__.py") for name in ("meta", "traces")], done.stderr
