"""Where the sounds of a recording lie: its features beside those of a synthetic reading, by dynamic time warping
(Sakoe and Chiba 1978).

Shape legend: ``T`` samples, ``L`` frames of one reading, ``M`` of the other, ``K`` features.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from envs.speech.audio import Sound
from envs.speech.phones import FRAMES

BANDS = 24
"""Of the spectrum, equally wide on the mel scale."""

COEFFICIENTS = 13
"""Of the cosine transform of their logarithms that are compared; the first, of loudness, counts as any other."""

FLOOR = 1e-7
"""Of the power of a band, against the logarithm of silence."""

STEP_COST = 0.05
"""Of a frame of one reading that stays while the other moves: long stays are for silence and held vowels."""


def mel_matrix(rate: int, size: int, bands: int = BANDS) -> np.ndarray:
    """bands × (size / 2 + 1): triangles over the bins of a Fourier transform."""
    top = 2595 * np.log10(1 + rate / 2 / 700)
    corner_K = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1)
    bin_X = np.fft.rfftfreq(size, 1 / rate)
    rises_KX = (bin_X - corner_K[:-2, None]) / (corner_K[1:-1] - corner_K[:-2])[:, None]
    falls_KX = (corner_K[2:, None] - bin_X) / (corner_K[2:] - corner_K[1:-1])[:, None]
    return np.clip(np.minimum(rises_KX, falls_KX), 0, None)


def log_mel(sound: Sound, bands: int = BANDS) -> np.ndarray:
    """L × bands: logarithms of the power in bands, of frames of 10 ms with a window of 32 ms about their middles."""
    step = sound.rate // FRAMES
    width = int(0.032 * sound.rate)
    size = 1 << (width - 1).bit_length()
    count = len(sound.sample_T) // step
    if not count:
        return np.zeros((0, bands))
    padded_T = np.pad(sound.sample_T.astype(np.float64), (width // 2 - step // 2, width))
    frame_LT = np.lib.stride_tricks.sliding_window_view(padded_T, width)[: count * step : step] * np.hanning(width)
    power_LX = np.abs(np.fft.rfft(frame_LT, size)) ** 2 / width
    return np.log(power_LX @ mel_matrix(sound.rate, size, bands).T + FLOOR)


def cepstra(sound: Sound, count: int = COEFFICIENTS) -> np.ndarray:
    """L × count mel-cepstral coefficients, from the zeroth, by an orthonormal cosine transform."""
    mel_LK = log_mel(sound)
    place = (np.arange(BANDS) + 0.5) * np.pi / BANDS
    basis_CK = np.cos(np.arange(count)[:, None] * place) * np.sqrt(2 / BANDS)
    basis_CK[0] /= np.sqrt(2)
    return mel_LK @ basis_CK.T


def standardised(feature_LK: np.ndarray) -> np.ndarray:
    """Each feature with mean 0 and deviation 1 along a reading: what is left are sounds, and not the speaker."""
    return (feature_LK - feature_LK.mean(0)) / np.maximum(feature_LK.std(0), 1e-6)


def aligned(one: Sound, other: Sound) -> np.ndarray:
    """For each frame of one reading, and its end, the frame of the other one: L + 1 numbers that never fall."""
    one_LK, other_MK = (standardised(_with_changes(cepstra(sound))) for sound in (one, other))
    if not len(one_LK) or not len(other_MK):
        raise ValueError("a reading shorter than 10 ms cannot be aligned")
    return warped(one_LK, other_MK)


def warped(one_LK: np.ndarray, other_MK: np.ndarray) -> np.ndarray:
    """As :func:`aligned`, by features: the cheapest way from beginning to end through the distances of frames."""
    distance_LM = np.sqrt(
        np.maximum((one_LK**2).sum(1)[:, None] + (other_MK**2).sum(1) - 2 * one_LK @ other_MK.T, 0) / one_LK.shape[1]
    )
    first_L = _path(distance_LM, STEP_COST)
    return np.append(first_L, float(len(other_MK)))


def _with_changes(feature_LK: np.ndarray) -> np.ndarray:
    return np.concatenate([feature_LK, np.gradient(feature_LK, axis=0) if len(feature_LK) > 1 else 0 * feature_LK], 1)


@njit(cache=True, nogil=True)
def _path(distance_LM, step_cost):  # type: ignore[no-untyped-def]
    """For each frame of the first reading, the mean of the frames that the cheapest path pairs it with."""
    L, M = distance_LM.shape
    total_LM = np.full((L, M), np.inf)
    came_LM = np.zeros((L, M), np.int8)
    for l in range(L):
        for m in range(M):
            if l == 0 and m == 0:
                total_LM[0, 0] = distance_LM[0, 0]
                continue
            best, came = np.inf, 0
            if l > 0 and m > 0:
                best, came = total_LM[l - 1, m - 1] + 2 * distance_LM[l, m], 0
            if l > 0 and total_LM[l - 1, m] + distance_LM[l, m] + step_cost < best:
                best, came = total_LM[l - 1, m] + distance_LM[l, m] + step_cost, 1
            if m > 0 and total_LM[l, m - 1] + distance_LM[l, m] + step_cost < best:
                best, came = total_LM[l, m - 1] + distance_LM[l, m] + step_cost, 2
            total_LM[l, m], came_LM[l, m] = best, came
    first_L = np.zeros(L)
    l, m = L - 1, M - 1
    first_L[l] = m
    while l > 0 or m > 0:
        came = came_LM[l, m]
        if came != 2:
            l -= 1
        if came != 1:
            m -= 1
        first_L[l] = m
    return first_L
