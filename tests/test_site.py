"""The documentation as a site: it is built without a warning, links lead somewhere, and the reference is complete."""

import re
import subprocess
import sys
from html import unescape
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.paths import ROOT


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    spec = spec_from_file_location("site_hooks", ROOT / ".ci" / "site.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build(config: Path, to: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "-f", str(config), "-d", str(to)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_site_is_built_and_its_reference_has_every_export(tmp_path: Path) -> None:
    built = build(ROOT / "mkdocs.yml", tmp_path)
    assert built.returncode == 0, built.stdout + built.stderr
    page = (tmp_path / "api" / "index.html").read_text(encoding="utf-8")
    packages = re.findall(r"^::: (\S+)$", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"npi", "envs", "dsl", "traces"} <= set(packages)
    for package in packages:
        for name in import_module(package).__all__:
            assert name.startswith("__") or f'id="{package}.{name}"' in page, f"{package}.{name}"
    start = unescape(re.sub(r"<[^>]+>", "", (tmp_path / "index.html").read_text(encoding="utf-8")))
    assert "make demo" in start
    assert (tmp_path / "programs" / "max.npi").read_bytes() == (ROOT / "programs" / "max.npi").read_bytes()


@pytest.mark.parametrize("link", ["nowhere.md", "../programs/none.npi", "language.md#no-such-heading"])
def test_a_link_that_leads_nowhere_fails(tmp_path: Path, link: str) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text(f"# One\n\n[two](page.md#sh-run--text) [three]({link})\n")
    (docs / "page.md").write_text("# Two\n\n## `sh run` – text\n")
    (docs / "language.md").write_text("# Language\n")
    config = tmp_path / "mkdocs.yml"
    own = "docs_dir: docs\nhooks: []\nplugins: []\nnav: [index.md, page.md, language.md]\n"
    config.write_text(f"INHERIT: {ROOT / 'mkdocs.yml'}\n{own}")
    built = build(config, tmp_path / "site")
    assert built.returncode == 1
    assert link in built.stdout + built.stderr
    assert "page.md" not in built.stdout + built.stderr


def test_links_and_dialect_by_hand(hooks: ModuleType) -> None:
    assert hooks.site_link("index.md", "docs/cli.md") == "cli.md"
    assert hooks.site_link("extending.md", "../README.md") == "index.md"
    assert hooks.site_link("extending.md", "../envs/world.py") == "envs/world.py"
    assert hooks.site_link("results/harlow.md", "../../programs/max.npi") == "../programs/max.npi"
    assert hooks.site_link("index.md", "programs/") == "programs/index.md"
    assert hooks.site_link("editor.md", "../editors/vscode") == "editors/vscode/README.md"
    assert hooks.site_link("cli.md", "none.md") == "none.md"
    assert hooks.site_link("cli.md", "https://arxiv.org") == "https://arxiv.org"
    text = "- a\n  b\n\n1. c\n\n   ```sh run\n   npi demo\n     x\n   ```\n   d\n```npi tail.npi\n  e\n```\n"
    assert hooks.dialect(text) == (
        "- a\n    b\n\n1. c\n\n    ```sh\n    npi demo\n      x\n    ```\n    d\n```npi\n  e\n```\n"
    )
