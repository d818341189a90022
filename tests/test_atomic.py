"""Files that appear whole: what stands there at each moment, whose rights it has, and what the dead leave."""

from __future__ import annotations

import errno
import os
import signal
import stat
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from entropic import Store
from entropic._fs import abandoned_drafts, remove_drafts, replacing

KILLED_WHILE_WRITING = """
import os, signal, sys
from entropic._fs import replacing
with replacing(sys.argv[1]) as draft:
    with open(draft, "w") as file:
        file.write("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file that stands there."""
    path = tmp_path / "file.txt"
    path.write_text("old")
    return path


def write(path: Path, text: str = "new") -> None:
    """Replace a file."""
    with replacing(path, durable=True) as draft:
        assert Path(draft).parent == path.resolve().parent
        Path(draft).write_text(text)


def test_the_old_file_stands_until_the_new_one_is_whole(old: Path) -> None:
    """Whoever has it open goes on reading the old one."""
    with old.open() as reader, replacing(old) as draft:
        Path(draft).write_text("new")
        assert old.read_text() == "old"
        assert abandoned_drafts(str(old)) == []

    assert old.read_text() == "new"
    assert os.listdir(old.parent) == [old.name]
    assert reader.closed


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), ValueError()])
def test_what_fails_leaves_the_old_file(old: Path, error: BaseException) -> None:
    """And no draft."""
    with pytest.raises(type(error)), replacing(old) as draft:
        Path(draft).write_text("half")
        raise error

    assert old.read_text() == "old"
    assert os.listdir(old.parent) == [old.name]


def test_a_crash_leaves_the_old_file_and_a_draft_that_is_known_to_be_dead(old: Path) -> None:
    """Drafts of the living, and files that only look like drafts, are not taken for dead ones."""
    program = [sys.executable, "-c", KILLED_WHILE_WRITING, str(old)]
    assert subprocess.run(program, check=False).returncode == -signal.SIGKILL
    bystanders = [old.with_name(name) for name in (".file.txt.x.draft", ".file.txt.bak.0123456789abcdef.draft")]
    for path in bystanders:
        path.write_text("")

    (dead,) = abandoned_drafts(str(old))
    with replacing(old) as draft:
        Path(draft).write_text("new")
        assert old.read_text() == "old"
        remove_drafts(str(old))
        assert not os.path.exists(dead)
        assert os.path.exists(draft)

    assert old.read_text() == "new"
    assert sorted(old.parent.iterdir()) == sorted([old, *bystanders])


def test_writers_and_cleaners_at_once(old: Path) -> None:
    """A cleaner that comes between the making of a draft and its lock takes nothing from the writer."""
    done = threading.Event()

    def clean() -> None:
        while not done.is_set():
            remove_drafts(str(old))

    cleaner = threading.Thread(target=clean)
    cleaner.start()
    try:
        for number in range(300):
            write(old, str(number))
            assert old.read_text() == str(number)
    finally:
        done.set()
        cleaner.join()


def test_a_first_file_has_the_mode_of_the_umask(tmp_path: Path) -> None:
    """As that of any other program."""
    before = os.umask(0o027)
    try:
        write(tmp_path / "file.txt")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "file.txt").stat().st_mode) == 0o640


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o2664, 0o777])
def test_a_new_file_keeps_the_mode_of_the_old(old: Path, mode: int) -> None:
    """A private file stays private, a shared one shared."""
    old.chmod(mode)

    write(old)

    assert stat.S_IMODE(old.stat().st_mode) == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="root is needed to give files away")
def test_a_new_file_keeps_owner_and_group(old: Path) -> None:
    """Of a file that root replaces as well."""
    os.chown(old, 65534, 65533)

    write(old)

    assert (old.stat().st_uid, old.stat().st_gid) == (65534, 65533)


def access_list(*entries: tuple[int, int, int]) -> bytes:
    """An access list in the form of the kernel: tag, rights and id of each entry."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="a system whose access lists Python does not know")
def test_a_new_file_keeps_the_access_list(old: Path) -> None:
    """And other extended attributes; it has none that the folder gives to new files."""
    nobody = 0xFFFFFFFF
    shared = access_list((1, 6, nobody), (2, 6, 65533), (4, 4, nobody), (16, 6, nobody), (32, 0, nobody))
    given = access_list((1, 7, nobody), (2, 7, 65532), (4, 5, nobody), (16, 7, nobody), (32, 5, nobody))
    plain = old.with_name("plain.txt")
    plain.write_text("old")
    plain.chmod(0o640)
    try:
        os.setxattr(old, "system.posix_acl_access", shared)
        os.setxattr(old, "user.note", b"ours")
        os.setxattr(old.parent, "system.posix_acl_default", given)
    except OSError as error:
        pytest.skip(str(error))

    write(old)
    write(plain)

    assert os.getxattr(old, "system.posix_acl_access") == shared
    assert os.getxattr(old, "user.note") == b"ours"
    assert os.listxattr(plain) == []
    assert stat.S_IMODE(plain.stat().st_mode) == 0o640


def test_a_link_stays(old: Path) -> None:
    """What it leads to is replaced, or made."""
    for target in (old, old.with_name("new.txt")):
        link = old.with_name(f"to-{target.name}")
        link.symlink_to(target)

        write(link)

        assert link.is_symlink()
        assert target.read_text() == "new"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """An error names the file that was to be written."""
    with pytest.raises(FileNotFoundError, match=r"nowhere/file\.txt'"), replacing(tmp_path / "nowhere" / "file.txt"):
        pytest.fail("there is nothing to write to")


def test_what_is_no_file_is_written_in_place(tmp_path: Path) -> None:
    """If that is wanted: a device, a pipe."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        for path in (Path("/dev/null"), pipe):
            with replacing(path, or_in_place=True) as draft, open(draft, "w") as file:
                file.write("text")
            assert not path.is_file()
        assert os.read(reader, 100) == b"text"
    finally:
        os.close(reader)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_in_a_folder_that_cannot_be_written(old: Path) -> None:  # pragma: no cover
    """It is written in place, if that is wanted, and refused if not."""
    old.parent.chmod(0o555)
    try:
        with replacing(old, or_in_place=True) as draft:
            Path(draft).write_text("new")
        with pytest.raises(PermissionError), replacing(old):
            pytest.fail("there is nothing to write to")
    finally:
        old.parent.chmod(0o755)

    assert old.read_text() == "new"


# ---- who uses it ----------------------------------------------------------------------------------------------------


ON_A_FULL_DISK = """
import resource, signal, sys
sys.argv = ["entropic", "page", "-o", "page.html"]
from entropic import Store
from entropic.__main__ import main
records = Store("results", "runs.json", ".txt").list()
from entropic._tables import page
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))
for write in (
    lambda: records.to_csv("runs.csv"),
    lambda: records.to_html("runs.html"),
    lambda: sys.exit(f"exit status {main()}"),
):
    try:
        write()
    except OSError as error:
        print(error.errno)
"""


def test_tables_and_pages_leave_the_old_file_if_they_fail(store: Store, tmp_path: Path) -> None:
    """A disk that is full when half of it is written: the error comes through, what was there stays."""
    store.run({"n": 1}, lambda params, path: path.write_text("x"), note="one that is longer than twenty bytes")
    paths = [tmp_path / name for name in ("runs.csv", "runs.html", "page.html")]
    for path in paths:
        path.write_text("old")

    done = subprocess.run([sys.executable, "-c", ON_A_FULL_DISK], capture_output=True, text=True, check=False)

    assert done.stdout == f"{errno.EFBIG}\n" * 2
    assert "too large" in done.stderr
    assert done.returncode == 1
    assert [path.read_text() for path in paths] == ["old"] * 3
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".draft")]


@pytest.mark.parametrize("name", ["export", "export.zip"])
def test_an_export_that_fails_leaves_nothing(store: Store, tmp_path: Path, name: str) -> None:
    """Neither the export nor a part of it."""
    store.run({"n": 1}, lambda params, path: path.write_text("x"))
    before = sorted(os.listdir(tmp_path))

    def interrupt(record: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.export(tmp_path / name, step=interrupt)

    assert sorted(os.listdir(tmp_path)) == before
