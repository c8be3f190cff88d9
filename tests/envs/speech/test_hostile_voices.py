"""Voices that anybody may have made, and writers that are killed or not alone."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from envs.speech.corpus import prepare
from envs.speech.espeak import EspeakError, Speaker, read_aloud
from envs.speech.making import finished_voice, voices
from envs.speech.picture import drawn
from envs.speech.prompts import import_prompts
from envs.speech.voices import read_voices
from envs.support.atomic_files import claimed
from npi.cli.main import main
from tests.support.forks import killed
from tests.support.tiny_voices import said, wav_bytes, write_voices


@pytest.mark.parametrize("name", ["metadata.csv", "phones.csv"])
def test_what_is_there_and_cannot_be_read_is_not_passed_over(tmp_path: Path, name: str) -> None:
    """Red where only regular files are looked for: the voice would be left out, or its sounds guessed."""
    path = write_voices(tmp_path, count=2) / "voice1" / name
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ValueError, match=f"{name}: a pipe"):
        read_voices(tmp_path)
    path.unlink()
    path.symlink_to(name)
    with pytest.raises(OSError, match=name):
        read_voices(tmp_path)


def test_sounds_beyond_their_recording_or_out_of_order_are_refused(tmp_path: Path) -> None:
    home = write_voices(tmp_path, count=1) / "voice1"
    for lines, told in (
        ("r0|0|50|0|a\n", "its sounds end after 50"),
        ("r0|0|.3|0|a\nr0|.1|.2|0|s\n", "times in order"),
    ):
        (home / "phones.csv").write_text(lines)
        with pytest.raises(ValueError, match=told):
            prepare(read_voices(tmp_path))


def test_recordings_without_a_transcript_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = write_voices(tmp_path / "v", count=1) / "voice1"
    (home / "metadata.csv").write_text("r0|ah sss ah\nr1|ah\nr2|ah\n")
    assert main(["voices", "prepare", str(tmp_path / "v"), "--out", str(tmp_path / "c.npz")]) == 0
    assert "3 recordings of voice1 without a transcript left out" in capsys.readouterr().err
    assert main(["voices", "prepare", str(tmp_path / "v"), "--core", "\x1b"]) == 2
    assert main(["voices", "prepare", str(tmp_path / "v"), "--out", str(tmp_path)]) == 2
    assert main(["voices", "prepare", str(tmp_path / "v"), "--out", str(tmp_path / "no" / "c.npz")]) == 2
    assert "there is no folder" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["[1]", '{"seconds": null}', '{"seconds": 1e308}', "{}", "[" * 9999])
def test_a_damaged_record_of_a_made_voice_is_named(tmp_path: Path, text: str) -> None:
    (voice,) = voices(1, programs=["espeak-ng"])
    assert finished_voice(tmp_path, voice) == 0
    home = tmp_path / voice.name
    home.mkdir()
    (home / "metadata.csv").touch()
    (home / "voice.json").write_text(text)
    with pytest.raises(ValueError, match=r"voice\.json: .*; remove"):
        finished_voice(tmp_path, voice)


def test_one_process_at_a_time_makes_voices_in_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("fcntl")
    from threading import Thread

    ends = list[int]()
    with claimed(tmp_path):
        make = ["voices", "make", str(tmp_path), "--count", "1", "--minutes", "0.05"]
        other = Thread(target=lambda: ends.append(main(make)))
        other.start()
        other.join()
    assert ends == [2]
    assert capsys.readouterr().err.count("\n") == 1


def test_a_kill_while_prompts_are_imported_does_not_bar_the_way(tmp_path: Path) -> None:
    sounds, texts, voice = tmp_path / "sounds", tmp_path / "texts", tmp_path / "voice"
    (sounds / "digits").mkdir(parents=True)
    for name in ("digits/1", "digits-1"):
        (sounds / f"{name}.wav").write_bytes(wav_bytes(said(np.random.default_rng(0), 120, 1)[0]))
    texts.write_text("digits/1: one\ndigits-1: two\n")
    for _ in killed(lambda: import_prompts(sounds, texts, voice)):
        assert not voice.exists() or len(read_voices(voice)[0].utterances) == 2
        if not voice.exists():
            continue
    if not voice.exists():
        assert import_prompts(sounds, texts, voice) == (2, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sounds", "texts", "voice"]
    (sounds / "hello.wav").symlink_to("hello.wav")
    texts.write_text("hello: there\n")
    with pytest.raises(OSError, match=r"hello\.wav"):
        import_prompts(sounds, texts, tmp_path / "other")


def test_texts_and_voices_that_are_none_are_refused_before_the_library_reads_them() -> None:
    with pytest.raises(ValueError, match="written in UTF-8"):
        read_aloud("a\udcff")
    with pytest.raises(EspeakError, match="no voice"):
        read_aloud("a", Speaker("../../../dev/zero"))


def test_any_title_can_be_drawn(recwarn: pytest.WarningsRecorder) -> None:
    """Red where a title is read as mathematics, and where letters that the font lacks are warned of."""
    pytest.importorskip("matplotlib")
    sound, phones = said(np.random.default_rng(0), 120, 1)
    assert drawn(sound, phones, "costs $\\foo{$ \x1b]0; 漢").startswith(b"\x89PNG")
    assert not recwarn.list
