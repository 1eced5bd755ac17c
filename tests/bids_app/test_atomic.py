"""Files appear whole or not at all."""

from __future__ import annotations

import os
import stat

import pytest

from bids_app import atomic


def test_writes_utf8_and_makes_folders(tmp_path):
    path = atomic.atomic_write_text(tmp_path / "a" / "b.txt", "ä\nb\n")
    assert path.read_bytes() == "ä\nb\n".encode()
    assert os.listdir(path.parent) == ["b.txt"]


def test_keeps_the_old_file_when_writing_fails(tmp_path, monkeypatch):
    path = atomic.atomic_write_text(tmp_path / "a.txt", "old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(atomic.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        atomic.atomic_write_text(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    path = atomic.atomic_write_text(tmp_path / "ours", "x")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)
