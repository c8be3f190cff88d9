"""Prints the line ``N passed, N failed, N skipped`` of a JUnit report; fails where a test failed or none ran."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from pathlib import Path


def tally(report: str) -> tuple[int, int, int]:
    """Passed, failed (errors too) and skipped tests; ``ValueError`` for a report without tests."""
    suites = list(ET.fromstring(report).iter("testsuite"))
    tests, failures, errors, skipped = (
        sum(int(suite.get(name, 0)) for suite in suites) for name in ("tests", "failures", "errors", "skipped")
    )
    if tests - skipped < 1:
        raise ValueError("no test ran")
    return tests - failures - errors - skipped, failures + errors, skipped


def main(path: Path) -> int:
    if not path.is_file() or not path.stat().st_size:
        print("no report of tests was written", file=sys.stderr)
        return 1
    try:
        passed, failed, skipped = tally(path.read_text(encoding="utf-8"))
    except (ValueError, ET.ParseError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
