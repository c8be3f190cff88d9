"""Changes of the code that tests must turn red: ``python -m benchmarks.faults.mutants``.

A mutant is one change in one place of a module: another comparison, operator or bound, a condition that always or never
holds, a statement left out (DeMillo, Lipton and Sayward 1978; the operators of Offutt et al. 1996, for Python). Each is
put into a copy of the repository in turn, and the tests of its module run there until one fails. A mutant that no test
turns red has survived: either it changes nothing that anybody could see, or a test is missing. The five
:data:`NAMED` ones stand for faults that tests once missed.

Each mutant runs in a fork of this process, quick tests before slow ones, each test with a limit of CPU time from that
of the test without a change, so that it is the same on a busy machine; a test that does not end counts as red. Results
lie in ``runs/mutants``, so that the recipe resumes where it stopped; ``--again`` judges anew what was still green.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.common import ROOT, RUNS, finished, plain_arguments, results, write
from benchmarks.faults.judging import imported, tested
from npi.reproduce.ledger import Result, read_record
from npi.reproduce.pages import NOTHING, Rows

NAME = "mutants"
COUNT = 300
SEED = 0

PROOF = ("tests/npi/proof/test_prove.py", "tests/npi/proof/test_history_walk.py", "tests/npi/training/test_places.py")
CHECKER = ("tests/npi/proof/test_check_certificate.py", "-k", "not find_the_same or addition or gray")
ROWS = "tests/npi/universal/test_row_faults.py"
UNIVERSAL = (
    ROWS, "tests/npi/universal/test_splitting.py", "tests/npi/universal/test_universal.py",
    "tests/npi/universal/test_universal_row_checks.py",
)  # fmt: skip
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

    @property
    def number(self) -> int:
        """The digest as a number, which names the file of its result."""
        return int(self.digest, 16)


@dataclass(frozen=True)
class Named:
    """A change that is looked for by its text, and the test that must turn red."""

    module: str
    before: str
    after: str
    test: str

    def mutant(self) -> Mutant:
        """Raises ``ValueError`` where the text is not there exactly once."""
        change = f"{_line(self.module, self.before)}: {self.before} → {self.after}"
        text = (ROOT / self.module).read_text(encoding="utf-8")
        return Mutant(self.module, change, text.replace(self.before, self.after), [self.test])


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


@dataclass(frozen=True)
class Equivalent:
    """A change without any effect: ``text`` stands once in the module and ends on the line that is changed."""

    module: str
    text: str
    change: str
    why: str

    def named(self) -> tuple[str, str]:
        """The module, and the change as :class:`Mutant` tells it; raises ``ValueError`` where the text is not there."""
        line = _line(self.module, self.text) + self.text.count("\n")
        return self.module, f"{line}: {self.change}"


EQUIVALENT = (
    Equivalent("npi/proof/check_certificate.py", "self.radix = [*(max(t) + 1 for t in self.tokens)", "1 → (2)",
               "a larger radix numbers configurations as well, and what there cannot be is refused beside it"),
    Equivalent("envs/scratchpad/transitions.py", "order = self.order(one, two)\n        if order is not None:",
               "order is not None → (False)",
               "what is allowed then is struck out by the rule that two pointers on one cell show the same"),
    Equivalent("npi/universal/code_search.py", "zip(*vars(functions.spans).values(), strict=True)", "True → (False)",
               "functions have as many first places as lengths"),
    Equivalent("envs/scratchpad/world.py",
               "state.at_BP += tables.step_CP.index_select(0, combination_B)\n        if self._any_listed:",
               "self._any_listed → (True)", "the storage grows before a pointer of an endless row comes to its end"),
)  # fmt: skip


def _line(module: str, part: str) -> int:
    """Where a part of a module's text begins; raises ``ValueError`` where it is not there exactly once."""
    text = (ROOT / module).read_text(encoding="utf-8")
    if text.count(part) != 1:
        raise ValueError(f"{module} has not exactly one {part!r}; name the change anew")
    return text[: text.index(part)].count("\n") + 1


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


def judge(mutant: Mutant, folder: Path, usual: Mapping[str, float]) -> Result:
    """Put a mutant into the copy, run its tests, and take it out again."""
    path = folder / mutant.module
    was = path.read_bytes()
    path.write_text(mutant.text, encoding="utf-8")
    try:
        _forget(path)
        found = tested(folder, mutant.tests, usual, limited=True)
    finally:
        path.write_bytes(was)
        _forget(path)
    print(f"  {found.found:5} {found.seconds:5.1f} s  {mutant.module}:{mutant.change}", flush=True)
    return {"module": mutant.module, "change": mutant.change, "found": found.found}


def _forget(path: Path) -> None:
    """Remove what Python compiled of a module: it goes by size and second, and a change may keep both."""
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()


def page() -> None:
    """Write the page of all mutants of the modules as they are that are judged."""
    every = [one for module in MODULES for one in mutants_of(module)] + [one.mutant() for one in NAMED]
    numbers = {one.number for one in every}
    done = [result for result in results(NAME) if result["seed"] in numbers]
    if not done:
        raise SystemExit("no mutant is judged yet, so there is nothing to write")
    rows: Rows = [["module", "mutants", "red", "share", "without effect", "share of the others"]]
    for module in [*MODULES, "all"]:
        mine = [r for r in done if module in (r["module"], "all")]
        red, same = sum(r["found"] != "green" for r in mine), sum(equivalent(r) is not None for r in mine)
        share = f"{red / (len(mine) - same):.0%}" if len(mine) > same else "–"
        rows += [[module, len(mine), red, f"{red / len(mine):.0%}", same, share]] if mine else []
    green = [r for r in done if r["found"] == "green"]
    alive = [f"* `{r['module']}` {r['change']}" for r in green if equivalent(r) is None]
    without = [f"* `{r['module']}` {r['change']}: {equivalent(r)}" for r in green if equivalent(r) is not None]
    lists = {"survivors": "\n".join(alive) or NOTHING, "equivalent": "\n".join(without) or NOTHING}
    write(NAME, {"count": str(len(done)), "table": rows, **lists}, done)


def equivalent(result: Result) -> str | None:
    """Why a mutant that is green has no effect, where that is known."""
    why = {one.named(): one.why for one in EQUIVALENT}
    return why.get((result["module"], result["change"])) if result["found"] == "green" else None


def main() -> None:
    parser = plain_arguments(__doc__)
    parser.add_argument("--count", type=int, default=COUNT, help=f"of mutants, beside the named ones; {COUNT}")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of drawing them; {SEED}")
    parser.add_argument("--only", default="", help="modules whose path begins so, such as npi/proof")
    parser.add_argument("--named", action="store_true", help="only the named ones")
    parser.add_argument("--again", action="store_true", help="judge anew what was green, as after a test was added")
    parser.add_argument("--table", action="store_true", help="only write the page from what is judged")
    options = parser.parse_args()
    if options.table:
        return page()
    more = [] if options.named else drawn(options.count, options.seed, options.only)
    chosen = [*(one.mutant() for one in NAMED), *more]
    if options.again:
        chosen = [one for one in chosen if _was_green(one)]
    usual: dict[tuple[str, ...], Mapping[str, float]] = {}
    imported()
    with tempfile.TemporaryDirectory() as place:
        folder = copied(Path(place))
        for mutant in chosen:
            tests = tuple(mutant.tests)
            if tests not in usual and (options.again or not _path(mutant).exists()):
                usual[tests] = unchanged(folder, tests)
            if options.again:
                _path(mutant).unlink()
            make = partial(judge, mutant, folder, usual.get(tests, {}))
            finished(f"{NAME}/{mutant.number}", make, change=mutant.change)
    return page()


def unchanged(folder: Path, tests: Sequence[str]) -> Mapping[str, float]:
    """CPU seconds of each test without a change, in the order of the runs to come; all have to be green."""
    first = tested(folder, tests, {}, limited=False)  # Python compiles
    second = tested(folder, tests, first.tests, limited=False)
    if (first.found, second.found) != ("green", "green"):
        raise SystemExit(f"without a change these tests are {first.found}, then {second.found}: {' '.join(tests)}")
    print(f"{second.seconds:.1f} s: {' '.join(tests)}", flush=True)
    return second.tests


def _path(mutant: Mutant) -> Path:
    """Where its result lies."""
    return RUNS / NAME / f"{mutant.number}.json"


def _was_green(mutant: Mutant) -> bool:
    path = _path(mutant)
    if not path.exists():
        return False
    result = read_record(path).result
    return result["found"] == "green" and equivalent(result) is None


if __name__ == "__main__":
    main()
