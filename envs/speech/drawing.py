"""An episode as text: its sounds, and under them how loud it is.

Shape legend: ``T`` samples, ``L`` frames, ``F`` features of a frame.
"""

from __future__ import annotations

from itertools import groupby

import numpy as np

from envs.speech.audio import decode
from envs.speech.phones import PHONE, PHONES

BLOCKS = " ▁▂▃▄▅▆▇█"


def drawing(code_T: np.ndarray | None, frame_LF: np.ndarray, share: float, width: int) -> str:
    """Sounds, loudness where there is a recording, and how much is over, in lines of ``width`` characters."""
    count = max(1, min(width, len(frame_LF)))
    place_W = np.linspace(0, len(frame_LF) - 1, count).astype(int)
    row = list(" " * count)
    phone_W = frame_LF[place_W, PHONE].astype(int)
    for phone, members in groupby(range(count), key=lambda column: int(phone_W[column])):
        columns = list(members)
        for column, sign in zip(columns, PHONES[phone], strict=False):
            row[column] = sign
    lines = ["".join(row)]
    if code_T is not None and len(code_T):
        parts = np.array_split(np.abs(decode(code_T)), count)
        loud_W = np.array([part.max(initial=0) for part in parts])
        level_W = np.ceil(loud_W / max(1e-9, float(loud_W.max())) * (len(BLOCKS) - 1)).astype(int)
        lines.append("".join(BLOCKS[level] for level in level_W))
    over = round(share * count)
    return "\n".join([*lines, "=" * over + "-" * (count - over)])
