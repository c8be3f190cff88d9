"""The pitch of a voice (de Cheveigné and Kawahara 2002, "YIN", steps 1 to 5), and its normalisation by speaker.

Shape legend: ``T`` samples, ``L`` frames, ``K`` lags.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from envs.speech.audio import Sound
from envs.speech.phones import FRAMES

LOWEST, HIGHEST = 60.0, 500.0
"""Hertz."""

THRESHOLD = 0.25
"""Of the normalised difference, under which a frame has a pitch (YIN, step 4)."""

QUIET = 0.003
"""The root mean square of a frame under which it has none."""


def pitch(sound: Sound) -> tuple[np.ndarray, np.ndarray]:
    """hertz_L (0 where there is none) and voiced_L (bool), of frames of 10 ms about their middles."""
    rate, step = sound.rate, sound.rate // FRAMES
    longest = int(rate / LOWEST) + 2
    window = longest + longest % 2
    count = len(sound.sample_T) // step
    start = window - step // 2
    padded_T = np.pad(sound.sample_T.astype(np.float64), (start, 2 * window + step))
    frame_LT = np.lib.stride_tricks.sliding_window_view(padded_T, 2 * window)[: count * step : step]
    if not count:
        return np.zeros(0), np.zeros(0, bool)
    normal_LK = _normalised(_difference(frame_LT, window), longest)
    shortest = max(2, int(rate / HIGHEST))
    lag_L = _dip(normal_LK, shortest)
    here_L, lag_K = np.arange(count), np.clip(lag_L, 1, normal_LK.shape[1] - 2)
    before_L, at_L, after_L = (normal_LK[here_L, lag_K + by] for by in (-1, 0, 1))
    bend_L = before_L - 2 * at_L + after_L
    shift_L = np.where(np.abs(bend_L) > 1e-9, 0.5 * (before_L - after_L) / np.where(bend_L == 0, 1, bend_L), 0)
    loud_L = np.sqrt((frame_LT[:, window // 2 : window + window // 2] ** 2).mean(1)) > QUIET
    voiced_L = (at_L < THRESHOLD) & loud_L
    return np.where(voiced_L, rate / (lag_K + np.clip(shift_L, -1, 1)), 0.0), voiced_L


def _difference(frame_LT: np.ndarray, window: int) -> np.ndarray:
    """L × K: the sum of squared differences of a window and itself a lag later (equation 6), by Fourier transforms."""
    size = 1 << (3 * window).bit_length()
    head_LX = np.fft.rfft(frame_LT[:, :window], size)
    product_LK = np.fft.irfft(np.conj(head_LX) * np.fft.rfft(frame_LT, size), size)[:, :window]
    total_LT = np.pad(np.cumsum(frame_LT**2, 1), ((0, 0), (1, 0)))
    power_LK = total_LT[:, window : 2 * window] - total_LT[:, :window]
    return np.maximum(power_LK[:, :1] + power_LK - 2 * product_LK, 0)


def _normalised(difference_LK: np.ndarray, longest: int) -> np.ndarray:
    """The difference over its mean at all shorter lags (equation 8)."""
    lag_K = np.arange(1, longest)
    mean_LK = np.cumsum(difference_LK[:, 1:longest], 1) / lag_K
    return np.pad(difference_LK[:, 1:longest] / np.maximum(mean_LK, 1e-12), ((0, 0), (1, 0)), constant_values=1.0)


def _dip(normal_LK: np.ndarray, shortest: int) -> np.ndarray:
    """The bottom of the first dip under the threshold, or the lowest of all lags (step 4)."""
    part_LK = normal_LK[:, shortest:]
    falls_LK = np.pad(part_LK[:, 1:] >= part_LK[:, :-1], ((0, 0), (0, 1)), constant_values=True)
    bottom_LK = (part_LK < THRESHOLD) & falls_LK
    return shortest + np.where(bottom_LK.any(1), bottom_LK.argmax(1), part_LK.argmin(1))


def speaker_scale(hertz_UL: Sequence[np.ndarray]) -> tuple[float, float]:
    """The mean and the standard deviation of the log pitch of a speaker's utterances, over frames that have one."""
    log_L = np.log(np.concatenate([hertz_L[hertz_L > 0] for hertz_L in hertz_UL] or [np.zeros(0)]) + 1e-9)
    return (float(log_L.mean()), max(float(log_L.std()), 0.02)) if len(log_L) else (0.0, 1.0)


def normalised(hertz_L: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    """Log pitch in a speaker's deviations from the speaker's mean, cut at 4; 0 where there is none."""
    log_L = np.log(np.maximum(hertz_L, 1e-9))
    return np.where(hertz_L > 0, np.clip((log_L - scale[0]) / scale[1], -4, 4), 0.0)
