"""Names of data sets and what they are bound to."""

from __future__ import annotations

import json

import pytest

from envs.images.bindings import VARIABLE, bind, bound
from envs.images.data import drawings, hold
from tests.support.tape_programs import npi
from tests.support.tiny_drawings import tiny_drawings


@pytest.fixture(autouse=True)
def _none_bound(monkeypatch):
    monkeypatch.setenv(VARIABLE, "{}")


def test_names_are_bound_to_whole_paths_that_other_processes_see(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        bind(f"{name}={name}")
    assert bound() == {name: str(tmp_path / name) for name in ("one", "two")}
    bind("one=two")
    assert bound()["one"] == str(tmp_path / "two")


@pytest.mark.parametrize(
    ("binding", "message"),
    [
        ("omniglot", "is not NAME=FOLDER"),
        ("omniglot=", "is not NAME=FOLDER"),
        ("Omni glot=.", "small letters, digits and _"),
        ("strokes=.", "come with the engine"),
        ("omniglot=nowhere", "there is no file or folder nowhere"),
    ],
)
def test_what_is_no_binding_is_refused(binding, message, capsys):
    with pytest.raises(ValueError, match=message):
        bind(binding)
    code, _, told = npi(capsys, "run", "read", "--data", binding)
    assert code == 2
    assert "--data" in told


@pytest.mark.parametrize("text", ["[]", "{", '{"one": 1}'])
def test_another_variable_is_refused(text, monkeypatch):
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(ValueError, match="give a JSON object of names and paths"):
        bound()


def test_data_that_are_bound_to_nothing_say_how_to_bind_them(monkeypatch):
    monkeypatch.setenv(VARIABLE, json.dumps({"omniglot": "."}))
    with pytest.raises(ValueError, match=r"did you mean 'omniglot'\?; say where they lie: --data omniglott=FOLDER"):
        drawings("omniglott", 8)


def test_drawings_of_this_process_need_no_folder():
    found = tiny_drawings({"One": 2, "Two": 2})
    hold("held", found)
    assert drawings("held", 8) is found
