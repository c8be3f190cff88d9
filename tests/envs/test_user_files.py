"""What is read of a user's files: regular ones of a bounded size, and nothing that never ends or never answers."""

import os
import socket

import pytest

from envs.support.user_files import check_regular, has_content, read_file, real_path


def test_a_regular_file_is_read_whole(tmp_path):
    for size in (0, 1, 70_000):
        (tmp_path / "a").write_bytes(os.urandom(size))
        assert read_file(tmp_path / "a", 70_000) == (tmp_path / "a").read_bytes()
        (tmp_path / "link").unlink(missing_ok=True)
        (tmp_path / "link").symlink_to("a")
        assert read_file(str(tmp_path / "link"), 70_000) == (tmp_path / "a").read_bytes()


def test_larger_files_are_refused_before_they_are_read(tmp_path):
    with (tmp_path / "a").open("wb") as file:
        file.truncate(1 << 40)  # sparse
    with pytest.raises(ValueError, match=r"a: more than 4 MiB, the most that is read"):
        read_file(tmp_path / "a", 4 << 20)
    (tmp_path / "b").write_bytes(b"abc")
    assert read_file(tmp_path / "b", 3) == b"abc"
    with pytest.raises(ValueError, match="more than"):
        read_file(tmp_path / "b", 2)


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="no files of the kernel here")
def test_files_that_do_not_tell_their_size_are_read_up_to_the_limit():
    assert os.stat("/proc/self/maps").st_size == 0
    assert len(read_file("/proc/self/maps", 1 << 20)) > 100
    with pytest.raises(ValueError, match="more than"):
        read_file("/proc/self/maps", 100)


def test_what_never_ends_or_never_answers_is_refused(tmp_path, monkeypatch):
    found = {tmp_path: "a folder", "/dev/zero": "a device", "/dev/tty": "a device"}
    os.mkfifo(tmp_path / "pipe")
    found[tmp_path / "pipe"] = "a pipe"
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        for path, kind in (found | {"socket": "a socket"}).items():
            with pytest.raises(ValueError, match=f"{path}: {kind}; give a regular file"):
                read_file(path, 1 << 20)


def test_what_cannot_be_read_is_an_error_that_names_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="none"):
        read_file(tmp_path / "none", 1)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="loop"):
        read_file(tmp_path / "loop", 1)


def test_a_path_without_links_is_found_also_where_they_lead_nowhere(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "loop").symlink_to("loop")
    assert real_path(tmp_path / "link") == (tmp_path / "a").resolve()
    assert real_path(tmp_path / "loop").name == "loop"


def test_what_is_no_regular_file_is_refused_before_it_is_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe: a pipe; give a regular file"):
        check_regular(tmp_path / "pipe")
    (tmp_path / "a").touch()
    check_regular(tmp_path / "a")


def test_the_same_content_is_that_of_a_regular_file(tmp_path):
    """Red where what is there is opened to compare it: nobody writes to the pipe."""
    (tmp_path / "a").write_bytes(b"abc")
    os.mkfifo(tmp_path / "pipe")
    assert has_content(tmp_path / "a", b"abc")
    for name, data in (("a", b"ab"), ("a", b"abd"), ("a", b"abcd"), ("pipe", b""), ("none", b""), (".", b"")):
        assert not has_content(tmp_path / name, data)
