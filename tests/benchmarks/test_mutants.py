"""The recipe that changes the code in one place at a time: what it changes, and that the named ones are there."""

from pathlib import Path

import pytest

from benchmarks.faults import judging, mutants

TEXT = '''
"""A module: 1 < 2."""

LIMIT = 7


def least(found: list[int], most: int = 3) -> int:
    """Not 1 + 1."""
    assert most > 0
    if not found and most >= 2:
        found.append(1)
    return min(found)
'''


def test_every_change_is_made_once_and_nothing_else_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written out by hand; red where docstrings, constants of modules, defaults or assertions are changed, too."""
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    monkeypatch.setattr(mutants, "MODULES", {"m.py": ("tests/test_m.py",)})
    (tmp_path / "m.py").write_text(TEXT)
    changes = {
        ("not found and most >= 2", "(not found or most >= 2)"),
        ("not found and most >= 2", "(True)"),
        ("not found and most >= 2", "(False)"),
        ("not found", "(found)"),
        ("most >= 2", "(most > 2)"),
        ("2", "(3)"),
        ("found.append(1)", "pass"),
        ("1", "(2)"),
        ("min(found)", "(max(found))"),
    }
    made = mutants.mutants_of("m.py")
    assert {tuple(one.change.partition(": ")[2].split(" → ")) for one in made} == changes
    assert len({one.text for one in made}) == len(made) == len(changes)
    for one in made:
        before, after = one.change.partition(": ")[2].split(" → ")
        line = int(one.change.partition(":")[0]) - 1
        was, now = TEXT.split("\n"), one.text.split("\n")
        assert [n for n, pair in enumerate(zip(was, now, strict=True)) if pair[0] != pair[1]] == [line]
        assert was[line].replace(before, after, 1) == now[line]
        compile(one.text, "m.py", "exec")


def test_the_named_changes_are_there_and_others_are_refused() -> None:
    assert len({one.mutant().digest for one in mutants.NAMED}) == len(mutants.NAMED) == 5
    with pytest.raises(ValueError, match="has not exactly one"):
        mutants.Named("npi/universal/proof.py", "no such line", "", "").mutant()


def test_draws_repeat_and_differ_by_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutants, "MODULES", {"npi/proof/coverage.py": (), "npi/proof/call_effects.py": ()})
    one, same, other = (mutants.drawn(20, seed) for seed in (0, 0, 1))
    assert one == same != other
    assert len({mutant.digest for mutant in one}) == 20


@pytest.mark.thorough
def test_a_run_is_green_red_or_late(tmp_path: Path) -> None:
    """Late by CPU time of one test, however long the clock says that all take; red where a test has all the time of all
    tests."""
    texts = {"green": "pass", "red": "assert False", "late": "while True: pass"}
    for name, body in texts.items():
        (tmp_path / f"test_{name}.py").write_text(f"def test_it():\n    {body}\n")
    for name in texts:
        usual = {f"test_{name}.py::test_it": 0.001, "test_others.py::test_it": 100.0}
        found = judging.tested(tmp_path, [f"test_{name}.py"], usual, limited=True)
        assert found.found == name
        assert 0 < found.seconds < 2 * judging.LONGER


def test_quick_tests_come_first_and_none_is_left_out(tmp_path: Path) -> None:
    """The order is read from what the tests write; red where files are mixed or a test without a time is left out."""
    for name in ("one", "two"):
        body = "".join(
            f"def test_{test}():\n    with open('order', 'a') as f: f.write('{name} {test},')\n" for test in "abc"
        )
        (tmp_path / f"test_{name}.py").write_text(body)
    usual = {"test_two.py::test_a": 3.0, "test_two.py::test_b": 2.0, "test_one.py::test_a": 0.1}
    found = judging.tested(tmp_path, ["test_two.py", "test_one.py"], usual, limited=True)
    order = (tmp_path / "order").read_text().split(",")[:-1]
    assert order == ["two c", "two b", "two a", "one b", "one c", "one a"]
    assert found.found == "green"
    assert {name.replace(".py::test_", " ").removeprefix("test_") for name in found.tests} == set(order)


@pytest.mark.parametrize("one", mutants.EQUIVALENT, ids=lambda one: one.change)
def test_what_has_no_effect_is_apart_only_where_it_is_green(one: mutants.Equivalent) -> None:
    """Every change without effect is one of the code as it is; red where its line has changed or is there twice."""
    module, change = one.named()
    assert change in {mutant.change for mutant in mutants.mutants_of(module)}
    assert mutants.equivalent({"module": module, "change": change, "found": "green"}) == one.why
    assert mutants.equivalent({"module": module, "change": change, "found": "red"}) is None
