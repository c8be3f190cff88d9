"""Sound: wav files of any width and rate beside closed forms; µ-law; pitch of tones; warping of a known stretch."""

from __future__ import annotations

import io
import struct
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.speech.alignment import aligned, warped
from envs.speech.audio import CODES, SILENCE, Sound, decode, encode, parse_wav, read_wav, resampled, wav_bytes
from envs.speech.pitch import normalised, pitch, speaker_scale


def wav(raw: bytes, *, channels: int = 1, width: int = 2, rate: int = 8000) -> bytes:
    found = io.BytesIO()
    with wave.open(found, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(raw)
    return found.getvalue()


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_samples_of_any_width_are_read(width: int) -> None:
    share = np.array([0.0, 0.5, -0.5, -1.0, 0.25])
    whole = (share * 2 ** (8 * width - 1)).astype(int).tolist()
    raw = b"".join((n + 128).to_bytes(1, "little") if width == 1 else n.to_bytes(width, "little", signed=True)
                   for n in whole)  # fmt: skip
    assert np.allclose(parse_wav(wav(raw, width=width), "x").sample_T, share, atol=1e-7)


def test_of_several_channels_the_mean_is_read() -> None:
    raw = struct.pack("<6h", 16384, 0, -16384, 16384, 8192, 8192)
    assert parse_wav(wav(raw, channels=2), "x").sample_T.tolist() == [0.25, 0.0, 0.25]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no wav file"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "no wav file"),
        (wav(b""), "0 samples are there"),
        (wav(b"\0\0" * 100)[:-50], "75 samples are there, and its header says 100"),
        (wav(b"\0\0" * 100, rate=500), "500 samples a second"),
        (wav(b"\0\0" * 90, channels=9), "9 channels"),
    ],
)
def test_what_is_no_sound_is_refused_by_name(tmp_path, data: bytes, says: str) -> None:
    path = tmp_path / "broken.wav"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=says) as error:
        read_wav(path)
    assert "broken.wav" in str(error.value)


def test_what_is_written_is_read_again() -> None:
    sample_T = np.linspace(-1, 32767 / 32768, 501).astype(np.float32)
    assert np.abs(parse_wav(wav_bytes(Sound(sample_T, 8000)), "x").sample_T - sample_T).max() <= 0.51 / 32768


@pytest.mark.parametrize(("before", "after"), [(22050, 8000), (8000, 22050), (16000, 8000), (44100, 16000)])
def test_a_tone_is_the_same_at_another_rate_and_what_a_rate_cannot_hold_is_left_out(before: int, after: int) -> None:
    def tone(hertz: float, rate: int) -> np.ndarray:
        return np.sin(2 * np.pi * hertz * np.arange(rate // 4) / rate)

    found = resampled(Sound(tone(700, before).astype(np.float32), before), after)
    inside = slice(after // 50, -after // 50)
    assert len(found.sample_T) == -(-(before // 4) * after // before)
    assert np.abs(found.sample_T[: after // 4][inside] - tone(700, after)[inside]).max() < 2e-3
    if after < before:
        high = resampled(Sound(tone(0.75 * after, before).astype(np.float32), before), after)
        assert np.abs(high.sample_T[inside]).max() < 5e-3


@given(st.floats(-1, 1))
def test_a_code_is_the_nearest_on_the_folded_scale(x: float) -> None:
    code = int(encode(np.array([x]))[0])
    fold = lambda v: np.sign(v) * np.log(1 + 255 * abs(v)) / np.log(256)  # noqa: E731
    distances = [abs(fold(x) - (2 * c / 255 - 1)) for c in range(CODES)]
    assert distances[code] <= min(distances) + 1e-9
    assert int(encode(decode(np.array([code])))[0]) == code


def test_silence_has_the_middle_code() -> None:
    assert encode(np.zeros(3)).tolist() == [SILENCE] * 3


@pytest.mark.parametrize("hertz", [75.0, 121.0, 233.0, 410.0])
def test_the_pitch_of_a_tone_with_overtones_is_found(hertz: float) -> None:
    time = np.arange(4000) / 8000
    sample_T = 0.3 * np.sin(2 * np.pi * hertz * time) + 0.25 * np.sin(4 * np.pi * hertz * time + 1)
    found_L, voiced_L = pitch(Sound(sample_T.astype(np.float32), 8000))
    assert voiced_L[3:-3].all()
    assert np.abs(found_L[3:-3] / hertz - 1).max() < 0.02


def test_noise_and_silence_have_no_pitch() -> None:
    noise_T = 0.1 * np.random.default_rng(0).standard_normal(4000)
    assert pitch(Sound(noise_T.astype(np.float32), 8000))[1].mean() < 0.1
    assert not pitch(Sound(np.zeros(4000, np.float32), 8000))[1].any()


def test_pitch_is_normalised_by_speaker() -> None:
    low, high = (np.exp(np.log(base) + 0.1 * np.array([-1.0, 0.0, 1.0])) for base in (100.0, 250.0))
    assert np.allclose(normalised(low, speaker_scale([low])), normalised(high, speaker_scale([high])), atol=1e-9)
    assert normalised(np.array([0.0]), (1.0, 1.0)).tolist() == [0.0]


def test_a_known_stretch_is_found() -> None:
    feature_LK = np.random.default_rng(1).standard_normal((40, 6))
    slow_MK = feature_LK.repeat(3, 0)
    place_L = warped(feature_LK, slow_MK)
    assert np.abs(place_L[:-1] - (3 * np.arange(40) + 1)).max() <= 1
    assert place_L[-1] == 120
    assert (np.diff(place_L) >= 0).all()


def test_a_sound_is_aligned_with_itself_after_silence() -> None:
    time = np.arange(8000) / 8000
    sweep_T = 0.3 * np.sin(2 * np.pi * (200 * time + 600 * time**2))
    late = Sound(np.concatenate([np.zeros(1600), sweep_T]).astype(np.float32), 8000)
    place_L = aligned(Sound(sweep_T.astype(np.float32), 8000), late)
    assert np.abs(place_L[10:90] - np.arange(10, 90) - 20).max() <= 3
