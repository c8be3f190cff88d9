"""The texts that fuzzing starts from: every program file, and the wrong and fixed files of docs/errors.md."""

import re
from functools import cache

from tests.support.paths import ROOT

BLOCK = re.compile(r"^```npi[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@cache
def seeds() -> tuple[str, ...]:
    """Every text once, shortest first."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "programs").rglob("*.npi")]
    for page in (ROOT / "docs" / "errors.md", ROOT / "docs" / "language.md"):
        texts += BLOCK.findall(page.read_text(encoding="utf-8"))
    return tuple(sorted(set(texts), key=lambda text: (len(text), text)))
