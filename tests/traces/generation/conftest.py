"""Tests of tracing in several processes."""

import pytest


@pytest.fixture(autouse=True)
def no_kinds_of_other_tests(monkeypatch) -> None:
    """A kind of world that another test has registered would have to be known to the processes, too."""
    monkeypatch.setattr("traces.generation.generate.registered_kinds", dict)
