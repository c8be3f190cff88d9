"""The rows of the talk, in its order."""

from __future__ import annotations

from collections.abc import Mapping

from meta.talk.row import Row
from meta.talk.rows import (
    bandits,
    black_box,
    experiments,
    few_shot,
    harlow,
    imitation,
    mimic,
    modules,
    optimiser,
    programs,
    speech,
)

ROWS: Mapping[str, Row] = {
    row.key: row
    for row in (
        programs.TABLE, programs.MAXIMUM, programs.MANY, bandits.BANDITS, bandits.TWO_STEP, harlow.ROW, experiments.ROW,
        optimiser.ROW, black_box.SAMPLES, black_box.TABLES, few_shot.ROW, modules.ROW, speech.WAVENET_ROW,
        speech.WAVERNN_ROW, imitation.ROW, mimic.OVER_IMITATION, mimic.METAMIMIC, mimic.NETWORKS,
    )
}  # fmt: skip
