"""The rows of the talk, in its order."""

from __future__ import annotations

from collections.abc import Mapping

from meta.talk.row import Row
from meta.talk.rows import few_shot, optimiser

ROWS: Mapping[str, Row] = {row.key: row for row in (optimiser.ROW, few_shot.ROW)}
