"""Changes of the code that tests must turn red: ``python -m benchmarks.faults.mutants``.

A mutant is one change in one place of a module: another comparison, operator or bound, a condition that always or never
holds, a statement left out (DeMillo, Lipton and Sayward 1978; the operators of Offutt et al. 1996, for Python). Each is
put into a copy of the repository in turn, and the tests of its module run there until one fails. A mutant that no test
turns red has survived: either it changes nothing that anybody could see, or a test is missing. The five
:data:`NAMED` ones stand for faults that tests once missed.

Each mutant runs in a fork of this process, with a limit of CPU time from that of the tests without a change, so that
it is the same on a busy machine; a test that does not end counts as red. Results lie in ``runs/mutants``, so that the
recipe resumes where it stopped.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import math
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import ROOT, finished, plain_arguments, results, write
from npi.reproduce.ledger import Result
from npi.reproduce.pages import NOTHING, Rows

NAME = "mutants"
COUNT = 300
SEED = 0
PROJECT = {"benchmarks", "dsl", "envs", "meta", "npi", "tests", "traces"}
ASLEEP = 20.0
"""Seconds of the clock for each CPU second of a limit, after which tests wait for what does not come."""

PROOF = ("tests/npi/proof/test_prove.py", "tests/npi/proof/test_history_walk.py", "tests/npi/training/test_places.py")
CHECKER = ("tests/npi/proof/test_check_certificate.py", "-k", "not find_the_same or addition or gray")
ROWS = "tests/npi/universal/test_row_faults.py"
UNIVERSAL = (ROWS, "tests/npi/universal/test_universal.py", "tests/npi/universal/test_universal_row_checks.py")
EPISODIC = ("tests/envs/episodic/test_episodic.py", "tests/meta/baselines/test_agents.py")
PAD = ("tests/envs/scratchpad/test_transitions.py", "tests/envs/scratchpad/test_scratchpad.py")

MODULES: Mapping[str, Sequence[str]] = {
    "npi/proof/prove.py": PROOF,
    "npi/proof/configuration_walk.py": PROOF,
    "npi/proof/call_effects.py": PROOF,
    "npi/proof/check_certificate.py": CHECKER,
    "npi/universal/proof.py": UNIVERSAL,
    "npi/universal/rows.py": UNIVERSAL,
    "npi/universal/code_search.py": UNIVERSAL,
    "npi/universal/row_search.py": UNIVERSAL,
    "npi/universal/splitting.py": ("tests/npi/universal/test_universal_steps.py", *UNIVERSAL),
    "envs/episodic/bandit.py": EPISODIC,
    "envs/episodic/two_step.py": EPISODIC,
    "envs/scratchpad/transitions.py": PAD,
    "envs/scratchpad/world.py": PAD,
    "envs/scratchpad/actions.py": PAD,
}
"""Modules whose faults nobody would notice otherwise, and the tests that judge them."""


@dataclass(frozen=True)
class Mutant:
    """A module's text with one change; ``change`` tells it as ``line: before → after``."""

    module: str
    change: str
    text: str
    tests: Sequence[str]

    @property
    def digest(self) -> str:
        """Of the changed text, 12 characters."""
        return hashlib.sha256((self.module + self.text).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Named:
    """A change that is looked for by its text, and the test that must turn red."""

    module: str
    before: str
    after: str
    test: str

    def mutant(self) -> Mutant:
        """Raises ``ValueError`` where the text is not there exactly once."""
        text = (ROOT / self.module).read_text(encoding="utf-8")
        if text.count(self.before) != 1:
            raise ValueError(f"{self.module} has not exactly one {self.before!r}; name the change anew")
        line = text[: text.index(self.before)].count("\n") + 1
        return Mutant(
            self.module, f"{line}: {self.before} → {self.after}", text.replace(self.before, self.after), [self.test]
        )


NAMED = (
    Named("npi/universal/proof.py", "            waiting.append(pair)", "            pass", ROWS),
    Named("npi/universal/training_stream.py", ", exclude=held):", "):", ROWS),
    Named(
        "npi/universal/code_search.py", "if len(wrong[candidate]) < len(self.best.wrong[function]):",
        "if len(wrong[candidate]) > len(self.best.wrong[function]):", ROWS,
    ),
    Named(
        "npi/proof/check_certificate.py", "if not (margin >= self.tolerance).all():", "if not (margin >= 0).all():",
        f"{CHECKER[0]}::test_a_call_that_hardly_leads_does_not_hold",
    ),
    Named("envs/episodic/bandit.py", "first_B = 1 - (1 - (state.chance_BA[:, 0] + step_B).abs()).abs()",
          "first_B = (state.chance_BA[:, 0] + step_B).clamp(0, 1)",
          f"{EPISODIC[0]}::test_restless_chances_come_back_from_0_and_1"),
)  # fmt: skip
"""Only the first pair of states is proved; training programs may be held-out ones; the worst row is kept; the checker's
tolerance is 0; restless arms stick to 0 and 1."""

# --- changes ---------------------------------------------------------------------------------------------------------

COMPARISONS: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
OPERATORS: Mapping[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
CALLS = {"min": "max", "max": "min", "all": "any", "any": "all"}


def changed(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in the place of a node of the syntax tree."""
    other = copy.deepcopy(node)
    match other:
        case ast.Compare(ops=[op]) if type(op) in COMPARISONS:
            other.ops = [COMPARISONS[type(op)]()]
            yield other
        case ast.BoolOp():
            other.op = ast.Or() if isinstance(other.op, ast.And) else ast.And()
            yield other
        case ast.BinOp(op=op) if type(op) in OPERATORS:
            other.op = OPERATORS[type(op)]()
            yield other
        case ast.UnaryOp(op=ast.Not() | ast.Invert()):
            yield other.operand
        case ast.Constant(value=bool()):
            yield ast.Constant(not other.value)
        case ast.Constant(value=int()):
            yield ast.Constant(other.value + 1)
        case ast.Call(func=ast.Name(id=name)) if name in CALLS:
            other.func = ast.Name(CALLS[name])
            yield other
        case ast.Call(func=ast.Attribute(attr=name)) if name in CALLS:
            other.func = ast.Attribute(other.func.value, CALLS[name])  # type: ignore[attr-defined]
            yield other
        case ast.Expr(value=ast.Call()) | ast.AugAssign():
            yield ast.Pass()
        case ast.Continue() | ast.Break():
            yield ast.Pass()


def conditions(node: ast.AST) -> Iterator[ast.AST]:
    """The condition of a branch or filter, which may always hold, or never."""
    match node:
        case ast.If(test=test) | ast.IfExp(test=test):
            yield test
        case ast.comprehension(ifs=tests):
            yield from tests


def mutants_of(module: str) -> list[Mutant]:
    """Every mutant of a module, in the order of its lines; nothing is changed in annotations and docstrings."""
    text = (ROOT / module).read_text(encoding="utf-8")
    tree = ast.parse(text)
    found: dict[str, Mutant] = {}
    for node in _code(tree):
        others = [*changed(node)]
        for other in others:
            _add(found, module, text, node, other)
        for test in conditions(node):
            for value in (True, False):
                _add(found, module, text, test, ast.Constant(value))
    return list(found.values())


def _add(found: dict[str, Mutant], module: str, text: str, node: ast.AST, other: ast.AST) -> None:
    before = ast.get_source_segment(text, node)
    assert before is not None
    after = ast.unparse(other)
    if not isinstance(node, ast.stmt):
        after = f"({after})"
    data = text.encode()  # columns count bytes
    lines = data.splitlines(keepends=True)
    begin, end = (
        sum(map(len, lines[: line - 1])) + column
        for line, column in ((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset))  # type: ignore[attr-defined]
    )
    new = (data[:begin] + after.encode() + data[end:]).decode()
    short = " ".join(before.split())
    line = node.lineno  # type: ignore[attr-defined]
    found.setdefault(new, Mutant(module, f"{line}: {short} → {' '.join(after.split())}", new, MODULES[module]))


def _code(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes of functions' bodies, without annotations, messages and assertions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            waiting: list[ast.AST] = list(node.body)
            while waiting:
                inner = waiting.pop(0)
                if isinstance(inner, ast.Raise | ast.Assert | ast.JoinedStr | ast.FunctionDef | ast.AnnAssign):
                    continue
                yield inner
                waiting += ast.iter_child_nodes(inner)


def drawn(count: int, seed: int, only: str = "") -> list[Mutant]:
    """So many mutants of all modules (whose path begins so), each module by how many it has; no two alike."""
    every = [mutant for module in MODULES if module.startswith(only) for mutant in mutants_of(module)]
    return random.Random(seed).sample(every, min(count, len(every)))


# --- running ---------------------------------------------------------------------------------------------------------


def copied(folder: Path) -> Path:
    """A copy of all files that are tracked, without what Python compiled."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout.decode()
    for name in filter(None, names.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


def tested(folder: Path, tests: Sequence[str], limit: float) -> tuple[str, float]:
    """``green``, ``red`` or ``late``, and CPU seconds: the tests in a copy, in a fork of this process.

    Late is what takes ``limit`` CPU seconds, or :data:`ASLEEP` times as many of the clock."""
    began = time.monotonic()
    if not (child := os.fork()):
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(limit), math.ceil(limit) + 5))
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        for name in [name for name in sys.modules if name.split(".")[0] in PROJECT]:
            del sys.modules[name]  # the tests import those of the copy
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        os._exit(_pytest(tests))
    while not (waited := os.wait4(child, os.WNOHANG))[0]:
        if time.monotonic() > began + ASLEEP * limit:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "late", limit
        time.sleep(0.05)
    _, status, used = waited
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what its tests have started
    late = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)
    return "late" if late else "green" if status == 0 else "red", used.ru_utime + used.ru_stime


def _pytest(tests: Sequence[str]) -> int:
    import pytest

    try:
        return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]))
    except BaseException:
        return 70


def judge(mutant: Mutant, folder: Path, limit: float) -> Result:
    """Put a mutant into the copy, run its tests, and take it out again."""
    path = folder / mutant.module
    was = path.read_bytes()
    path.write_text(mutant.text, encoding="utf-8")
    try:
        _forget(path)
        found, seconds = tested(folder, mutant.tests, limit)
    finally:
        path.write_bytes(was)
        _forget(path)
    print(f"  {found:5} {seconds:5.1f} s  {mutant.module}:{mutant.change}", flush=True)
    return {"module": mutant.module, "change": mutant.change, "found": found}


def _forget(path: Path) -> None:
    """Remove what Python compiled of a module: it goes by size and second, and a change may keep both."""
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()


def imported() -> None:
    """Import what tests take long to import; forks have it."""
    import hypothesis  # noqa: F401
    import numba  # noqa: F401
    import numpy  # noqa: F401
    import pydantic  # noqa: F401
    import pytest  # noqa: F401
    import torch  # noqa: F401


def page() -> None:
    """Write the page of all that is judged."""
    done = results(NAME)
    if not done:
        raise SystemExit("no mutant is judged yet, so there is nothing to write")
    rows: Rows = [["module", "mutants", "red", "share"]]
    for module in [*MODULES, "all"]:
        mine = [r for r in done if module in (r["module"], "all")]
        red = sum(r["found"] != "green" for r in mine)
        rows += [[module, len(mine), red, f"{red / len(mine):.0%}"]] if mine else []
    alive = [f"* `{r['module']}` {r['change']}" for r in done if r["found"] == "green"]
    write(NAME, {"count": str(len(done)), "table": rows, "survivors": "\n".join(alive) or NOTHING}, done)


def main() -> None:
    parser = plain_arguments(__doc__)
    parser.add_argument("--count", type=int, default=COUNT, help=f"of mutants, beside the named ones; {COUNT}")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of drawing them; {SEED}")
    parser.add_argument("--only", default="", help="modules whose path begins so, such as npi/proof")
    parser.add_argument("--named", action="store_true", help="only the named ones")
    parser.add_argument("--table", action="store_true", help="only write the page from what is judged")
    options = parser.parse_args()
    if options.table:
        return page()
    more = [] if options.named else drawn(options.count, options.seed, options.only)
    chosen = [*(one.mutant() for one in NAMED), *more]
    limits: dict[tuple[str, ...], float] = {}
    imported()
    with tempfile.TemporaryDirectory() as place:
        folder = copied(Path(place))
        for mutant in chosen:
            tests = tuple(mutant.tests)
            if tests not in limits:
                found, seconds = tested(folder, tests, 600)
                if found != "green":
                    raise SystemExit(f"without a change these tests are {found}: {' '.join(tests)}")
                found, seconds = tested(folder, tests, 600)  # now with what Python has compiled
                limits[tests] = 20 + 5 * seconds
                print(f"{seconds:.1f} s: {' '.join(tests)}", flush=True)
            number = int(mutant.digest, 16)
            finished(f"{NAME}/{number}", lambda m=mutant, t=tests: judge(m, folder, limits[t]), change=mutant.change)
    return page()


if __name__ == "__main__":
    main()
