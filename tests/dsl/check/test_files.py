"""Files as they come: byte order marks, line ends and paths of Windows, pipes, and texts of any size."""

import os

import pytest

import dsl
from dsl.check.modules import FILES_DEEP, PROGRAM_BYTES

LOW = "world pad is scratchpad:\n    row A of digit\n\nprogram GO:\n    ACT(A, RIGHT)\n"
TOP = 'use "low.npi"\n\nprogram ON:\n    GO\n'


def mistakes(folder, text):
    return dsl.diagnose(text, path=str(folder / "top.npi"), folder=folder).errors


def test_a_byte_order_mark_means_nothing(tmp_path):
    (tmp_path / "low.npi").write_bytes(b"\xef\xbb\xbf" + LOW.encode())
    (tmp_path / "top.npi").write_bytes(b"\xef\xbb\xbf" + TOP.encode())
    marked = dsl.load(tmp_path / "top.npi")
    (tmp_path / "low.npi").write_text(LOW)
    (tmp_path / "top.npi").write_text(TOP)
    assert marked.digest == dsl.load(tmp_path / "top.npi").digest
    texts = {"low.npi": "\ufeff" + LOW}
    assert dsl.loads("\ufeff" + TOP, path="top.npi", texts=texts).digest == marked.digest
    (error,) = mistakes(tmp_path, TOP + "\ufeff\n")
    assert error.code == "NPI006", "elsewhere it does"


@pytest.mark.parametrize("written", ["sub\\low.npi", "sub\\\\low.npi"])
def test_paths_of_windows_are_told_how_they_are_written(tmp_path, written):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "low.npi").write_text(LOW)
    (error,) = mistakes(tmp_path, TOP.replace("low.npi", written))
    assert error.fix.replace('"', "") == "paths are written with /: sub/low.npi"
    assert mistakes(tmp_path, TOP.replace("low.npi", "sub/low.npi")) == ()


def test_pipes_and_devices_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "low.npi")
    (error,) = mistakes(tmp_path, TOP)
    assert error.code == "NPI036"
    assert "a pipe" in error.message
    (tmp_path / "low.npi").unlink()
    (tmp_path / "low.npi").symlink_to("/dev/zero")
    (error,) = mistakes(tmp_path, TOP)
    assert error.code == "NPI031", "outside the folder"
    with pytest.raises(ValueError, match="/dev/zero: a device; give a regular file"):
        dsl.load("/dev/zero")
    os.mkfifo(tmp_path / "top.npi")
    with pytest.raises(ValueError, match="a pipe"):
        dsl.load(tmp_path / "top.npi")


def test_texts_are_bounded_together(tmp_path):
    comment = "# " + "x" * (PROGRAM_BYTES // 2) + "\n"
    (tmp_path / "low.npi").write_text(comment + LOW)
    assert mistakes(tmp_path, TOP) == ()
    (error,) = mistakes(tmp_path, TOP + comment)
    assert (error.line, error.code) == (1, "NPI036")
    assert "more than 4 MiB" in error.message
    (tmp_path / "low.npi").write_text(comment * 2)
    with pytest.raises(ValueError, match=r"low\.npi: more than 4 MiB"):
        dsl.load(tmp_path / "low.npi")


def test_a_long_chain_of_files_is_told(tmp_path):
    texts = {f"f{k}.npi": f'use "f{k + 1}.npi"\nprogram P{k}:\n    P{k + 1}\n' for k in range(2 * FILES_DEEP)}
    texts[f"f{2 * FILES_DEEP}.npi"] = LOW + f"program P{2 * FILES_DEEP}:\n    GO\n"
    found = dsl.diagnose(texts["f0.npi"], path="f0.npi", texts=texts)
    (error,) = found.errors
    assert f"more than {FILES_DEEP} deep" in error.message
    start = 2 * FILES_DEEP - FILES_DEEP
    assert dsl.diagnose(texts[f"f{start}.npi"], path=f"f{start}.npi", texts=texts).errors == ()
