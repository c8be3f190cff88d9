"""One language server for all tests that ask it as an editor does; those that harm it start their own."""

import shutil
from collections.abc import Iterator

import pytest

from tests.support.editor import Client
from tests.support.paths import PROGRAMS


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """An editor with a copy of the shipped programs open as its folder; a test closes the texts that it opens."""
    folder = tmp_path_factory.mktemp("editor").resolve() / "programs"
    shutil.copytree(PROGRAMS, folder)
    client = Client(folder)
    yield client
    code, told = client.end()
    client.stop()
    assert code == 0
    assert "Traceback" not in told
