"""What a page says first stays to be read where it is narrow: the style, without a browser.

A header that does not wrap, or a verdict that is cut behind the end of its line, turns these tests red.
"""

import re

from tests.support.paths import ROOT

STYLE = (ROOT / "traces" / "viewing" / "assets" / "page.css").read_text(encoding="utf-8")
NARROW = re.search(r"@media \(max-width: (\d+)px\) \{\n(.*?)\n\}", STYLE, re.DOTALL)


def rule(selector: str, style: str = STYLE) -> dict[str, str]:
    """The declarations of the first rule for exactly this selector."""
    found = re.search(rf"^ *{re.escape(selector)} \{{(.*?)\}}", style, re.DOTALL | re.MULTILINE)
    assert found is not None, selector
    return dict(re.split(r":\s*", part.strip(), maxsplit=1) for part in found[1].split(";") if part.strip())


def test_the_verdict_wraps_and_is_not_cut() -> None:
    verdict = rule("#verdict")
    assert (verdict["white-space"], verdict["overflow-wrap"]) == ("normal", "anywhere")
    assert "text-overflow" not in verdict
    assert rule("header")["flex-wrap"] == "wrap"


def test_on_a_telephone_the_verdict_has_a_line_of_its_own() -> None:
    assert NARROW is not None
    assert int(NARROW[1]) > 390
    assert rule("#verdict", NARROW[2])["flex"] == "1 0 100%"
