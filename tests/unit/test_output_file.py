"""A file that a command writes: whole or not at all, and never in the place of another unasked."""

import os

import pytest

from lockgate.errors import WrongUsage
from lockgate.system.output_file import OutFile


def test_a_file_is_not_replaced_unasked_nor_written_where_it_cannot_be(tmp_path):
    there, folder = tmp_path / "there.html", tmp_path / "folder.html"
    there.write_text("")
    folder.mkdir()
    OutFile(there, force=True).check((".html",))
    OutFile(tmp_path / "new.html", force=False).check((".html",))
    for path, source, says in [
        (there, None, "exists already"),
        (folder, None, "cannot be written"),
        (tmp_path / "nowhere" / "a.html", None, "cannot be written"),
        (tmp_path / "a.txt", None, "is not .html"),
    ]:
        with pytest.raises(WrongUsage, match=says):
            OutFile(path, force=False).check((".html",), source)
    with pytest.raises(WrongUsage, match="the output is the input"):
        OutFile(there, force=True).check((".html",), there)


def test_a_pipe_or_a_device_is_never_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "null.csv").symlink_to(os.devnull)
    for name in ("pipe.csv", "null.csv"):
        with pytest.raises(WrongUsage, match="cannot be written"):
            OutFile(tmp_path / name, force=True).check((".csv",))
