"""Folders of voices, hostile ones among them; prepared files; what espeak-ng adds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from envs.speech import espeak
from envs.speech.corpus import open_corpus, prepare
from envs.speech.making import finished_voice, make_voice, voices
from envs.speech.phones import FEATURES, PHONE, PLACE, STRESS, Phone, frames, phone_number, stretched
from envs.speech.voices import read_voices
from npi.cli.main import main
from tests.support.tiny_voices import said, wav_bytes, write_voices

needs_espeak = pytest.mark.skipif(not espeak.available(), reason="espeak-ng's library is not installed")


def test_a_folder_is_prepared_and_comes_back_from_its_file(tmp_path: Path) -> None:
    corpus = prepare(read_voices(write_voices(tmp_path / "voices")))
    corpus.save(tmp_path / "corpus.npz")
    again = open_corpus(tmp_path / "corpus.npz")
    assert again.voices == corpus.voices == ("voice1", "voice2", "voice3")
    assert (again.code_N == corpus.code_N).all()
    assert np.abs(again.frame_MF - corpus.frame_MF).max() < 5e-3
    assert len(corpus.codes(0)) == 80 * len(corpus.frames(0))
    splits = [corpus.recordings(1, split).tolist() for split in ("train", "validation", "test")]
    assert splits == [[6, 7, 8, 9], [10], [11]]


def test_a_text_beside_each_recording_is_as_good_as_a_list(tmp_path: Path) -> None:
    (listed,) = read_voices(write_voices(tmp_path / "one", count=1) / "voice1")
    home = tmp_path / "two" / "voice1"
    home.mkdir(parents=True)
    for utterance in listed.utterances:
        (home / f"{utterance.name}.wav").write_bytes(utterance.path.read_bytes())
        (home / f"{utterance.name}.txt").write_text(utterance.text)
    (beside,) = read_voices(home)
    assert [(u.name, u.text) for u in beside.utterances] == [(u.name, u.text) for u in listed.utterances]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("../../secret|x", "no name of a file in this folder"),
        ("..|x", "no name of a file in this folder"),
        ("r0\\x|x", "no name of a file in this folder"),
        ("r0|ah\nr0|ah", "r0 was there before"),
        ("r0", "is not NAME|TEXT"),
        ("r0| ", "is not NAME|TEXT"),
        ("nowhere|ah", "there is no nowhere.wav"),
        ("", "no line NAME|TEXT"),
    ],
)
def test_transcripts_that_lead_nowhere_are_refused(tmp_path: Path, line: str, says: str) -> None:
    home = write_voices(tmp_path, count=1) / "voice1"
    (home / "metadata.csv").write_text(line)
    with pytest.raises(ValueError, match=says.replace("|", r"\|")):
        read_voices(home)


def test_links_out_of_the_folder_times_out_of_order_and_missing_transcripts_are_refused(tmp_path: Path) -> None:
    home = write_voices(tmp_path, count=1) / "voice1"
    (tmp_path / "elsewhere.wav").write_bytes((home / "wavs" / "r0.wav").read_bytes())
    (home / "wavs" / "r0.wav").unlink()
    (home / "wavs" / "r0.wav").symlink_to(tmp_path / "elsewhere.wav")
    with pytest.raises(ValueError, match="link to a file outside"):
        read_voices(home)
    other = write_voices(tmp_path / "b", count=1) / "voice1"
    (other / "phones.csv").write_text("r0|0.5|0.2|0|a\n")
    with pytest.raises(ValueError, match="times in order"):
        read_voices(other)
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "x.wav").write_bytes(wav_bytes(said(np.random.default_rng(0), 100, 1)[0]))
    with pytest.raises(ValueError, match=r"x\.wav has no transcript"):
        read_voices(bare)
    with pytest.raises(ValueError, match="has no voices"):
        read_voices(_new(tmp_path / "nothing"))


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_changed_file_is_no_corpus(tmp_path: Path) -> None:
    corpus = prepare(read_voices(write_voices(tmp_path / "voices", count=1)))
    good = {"rate": np.array(8000), "voices": np.array(corpus.voices), "voice_U": corpus.voice_U,
            "code_N": corpus.code_N, "end_U": corpus.end_U, "frame_MF": corpus.frame_MF,
            "text_U": corpus.text_U}  # fmt: skip
    for name, bad in {
        "end_U": corpus.end_U + 1, "voice_U": corpus.voice_U + 1, "frame_MF": corpus.frame_MF * np.nan,
        "code_N": corpus.code_N.astype(np.int64), "rate": np.array(8001), "text_U": corpus.text_U[:-1],
    }.items():  # fmt: skip
        np.savez(tmp_path / "bad.npz", **{**good, name: bad})
        with pytest.raises(ValueError, match=r"bad\.npz: it is no prepared corpus"):
            open_corpus(tmp_path / "bad.npz")
    np.savez(tmp_path / "good.npz", **good)
    with pytest.raises(ValueError, match="8,000 samples a second, and 16,000 are wanted"):
        open_corpus(tmp_path / "good.npz", rate=16000)


def test_frames_say_what_is_said_when() -> None:
    found_LF = frames([Phone("a", 0.0, 0.04, 2), Phone("s", 0.04, 0.05)], 7, np.ones(7), np.ones(7))
    assert found_LF.shape == (7, len(FEATURES))
    assert found_LF[:, PHONE].tolist() == [phone_number("a")] * 4 + [phone_number("s")] + [0, 0]
    assert found_LF[:4, PLACE].tolist() == [0.125, 0.375, 0.625, 0.875]
    assert found_LF[:, STRESS].tolist() == [2, 2, 2, 2, 0, 0, 0]
    moved = stretched([Phone("a", 0.0, 0.04)], 2 * np.arange(8.0))
    assert (moved[0].start, moved[0].end) == (0.0, 0.08)
    assert phone_number("ˈʈːx") == phone_number("ʈ")
    assert phone_number("♜") == phone_number("?")


@needs_espeak
def test_a_reading_has_its_sounds_with_times_and_stress() -> None:
    reading = espeak.read_aloud("Good morning")
    sounds = [phone.symbol for phone in reading.phones if phone.symbol != "_"]
    assert sounds[:3] == ["ɡ", "ʊ", "d"]
    assert {phone.symbol for phone in reading.phones if phone.stress == 2} >= {"ʊ", "ɔːɹ"}
    assert all(0 <= p.start < p.end <= reading.sound.seconds + 1e-6 for p in reading.phones)
    espeak.read_aloud("Something else is said in between")
    again = espeak.read_aloud("Good morning")
    assert (again.sound.sample_T == reading.sound.sample_T).all()
    with pytest.raises(ValueError, match="no voice 'xx'"):
        espeak.read_aloud("a", espeak.Speaker("xx"))
    with pytest.raises(ValueError, match="nothing to say"):
        espeak.read_aloud("...")


@needs_espeak
def test_recordings_without_times_are_aligned_with_espeaks_reading(tmp_path: Path) -> None:
    """Of a made voice the true times are known: most frames have their sound."""
    (voice,) = voices(1, programs=["espeak-ng"])
    make_voice(tmp_path, voice, 8)
    assert finished_voice(tmp_path, voice) >= 8
    known = prepare(read_voices(tmp_path))
    (tmp_path / voice.name / "phones.csv").unlink()
    found = prepare(read_voices(tmp_path))
    assert (found.frame_MF[:, PHONE] == known.frame_MF[:, PHONE]).mean() > 0.7


def test_without_espeak_the_package_is_named(monkeypatch, tmp_path: Path, capsys) -> None:
    espeak.available.cache_clear()
    monkeypatch.setattr(espeak, "LIBRARIES", ("libno-such.so.9",))
    monkeypatch.setattr(espeak.ctypes.util, "find_library", lambda name: None)
    home = write_voices(tmp_path, count=1) / "voice1"
    (home / "phones.csv").unlink()
    assert main(["voices", "prepare", str(home), "--out", str(tmp_path / "x.npz")]) == 2
    assert "apt-get install espeak-ng" in capsys.readouterr().err
    assert not espeak.available()
    monkeypatch.undo()
    espeak.available.cache_clear()


def test_voices_are_listed(tmp_path: Path, capsys) -> None:
    write_voices(tmp_path / "v", count=2)
    assert main(["voices", "prepare", str(tmp_path / "v"), "--out", str(tmp_path / "c.npz"), "--programs",
                 str(tmp_path / "p.npi")]) == 0  # fmt: skip
    assert "program VOICE2" in (tmp_path / "p.npi").read_text()
    capsys.readouterr()
    assert main(["voices", "list", str(tmp_path / "c.npz"), "--json"]) == 0
    assert '"voice2"' in capsys.readouterr().out


def test_prompts_become_a_voice(tmp_path: Path, capsys) -> None:
    sounds = tmp_path / "sounds"
    (sounds / "digits").mkdir(parents=True)
    for name in ("hello", "digits/1", "beep"):
        (sounds / f"{name}.wav").write_bytes(wav_bytes(said(np.random.default_rng(0), 120, 1)[0]))
    texts = tmp_path / "texts.txt"
    texts.write_text("; of nobody\n\nhello: Hello: there.\ndigits/1: one\nbeep: [a tone]\nmissing: Not there.\n")
    assert main(["voices", "import", str(sounds), str(texts), str(tmp_path / "voice")]) == 0
    (voice,) = read_voices(tmp_path / "voice")
    assert [(u.name, u.text) for u in voice.utterances] == [("hello", "Hello: there."), ("digits-1", "one")]
    texts.write_text("../hello: out\n")
    assert main(["voices", "import", str(sounds), str(texts), str(tmp_path / "other")]) == 2
    assert "no name of a file" in capsys.readouterr().err
