"""What was said as a picture: waveform, spectrogram, and the sounds with their times."""

from __future__ import annotations

import importlib.util
import io
import warnings
from collections.abc import Sequence

import numpy as np

from envs.speech.audio import Sound
from envs.speech.phones import PAUSE, Phone

DECIBELS = 70
"""From the loudest to the softest that is shown."""


def check_drawable() -> None:
    """Raise ``ValueError`` where what draws is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ValueError("drawing what was said needs matplotlib: pip install 'npi-engine[pictures]'")


def drawn(sound: Sound, phones: Sequence[Phone], title: str = "") -> bytes:
    """A PNG, its time axis shared by waveform, spectrogram and sounds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(6.0, min(24.0, 4 * sound.seconds)), 4.5), layout="constrained")
    wave, spectrum = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2))
    time_T = np.arange(len(sound.sample_T)) / sound.rate
    wave.plot(time_T, sound.sample_T, linewidth=0.5)
    wave.set_ylim(-1, 1)
    wave.set_ylabel("sample")
    wave.set_title("".join(letter if letter.isprintable() else " " for letter in title[:100]), parse_math=False)
    if len(sound.sample_T) >= 256:
        heard_T = sound.sample_T + 1e-5 * np.random.default_rng(0).standard_normal(len(sound.sample_T))  # log of 0
        power = spectrum.specgram(heard_T, NFFT=256, Fs=sound.rate, noverlap=192, cmap="magma")[3]
        top = power.get_clim()[1]
        power.set_clim(top - DECIBELS, top)
    spectrum.set_ylabel("hertz")
    spectrum.set_xlabel("seconds")
    for phone in phones:
        if phone.symbol == PAUSE:
            continue
        spectrum.axvline(phone.start, color="white", linewidth=0.4)
        spectrum.text((phone.start + phone.end) / 2, 0.46 * sound.rate, phone.symbol, color="white", ha="center",
                      fontsize=8, fontweight="bold" if phone.stress == 2 else "normal")  # fmt: skip
    spectrum.set_xlim(0, sound.seconds)
    found = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # letters that the font does not have are drawn as boxes
        figure.savefig(found, format="png", dpi=110)
    return found.getvalue()
