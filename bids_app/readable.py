"""Which images of a dataset can be opened at all, and what to do about the others."""

from __future__ import annotations

import os
import re
from pathlib import Path

_ANNEX_POINTER = b"/annex/objects/"
_LABEL = re.compile(r"[a-zA-Z0-9]+")
NOT_UTF8 = re.compile("[\udc80-\udcff]")  # bytes that Python could not decode


def unreadable(path: Path, root: Path) -> str | None:
    """Return the sentence that says why an image cannot be read, or None when it can.

    ``root`` is the dataset's. Nothing blocks: a pipe is never opened.
    """
    try:
        if path.is_symlink() and not path.exists():
            return _without_content(path, root)
        if not path.is_file():
            return f"{path.name} is a folder, pipe or device: put the image in its place."
        with path.open("rb") as stream:
            start = stream.read(64)
    except PermissionError:
        return (
            f"{path.name} may not be read by this user: give the permission (chmod a+r), or in a "
            "container run as the user who may."
        )
    except OSError as error:
        return f"{path.name} cannot be read ({error.strerror}): copy it again."
    return _without_content(path, root) if _ANNEX_POINTER in start else None


def _without_content(path: Path, root: Path) -> str:
    return (
        f"{path.name} has no content here and is not used; fetch it with "
        f"`datalad get {path.relative_to(root)}`."
    )


def odd_names(root: Path, subject: str, session: str | None) -> list[str]:
    """Return a sentence for each name of a session that BIDS does not allow, so that it is lost.

    ``subject`` and ``session`` are labels without prefix.
    """
    labels = [f"sub-{subject}", *([f"ses-{session}"] if session else [])]
    odd = [label for label in labels if not is_label(label[4:])]
    if odd:
        return [
            f"The folder {printable(odd[0])} is not used: a label has letters and digits only, so "
            "rename it, its files and its line in the tables."
        ]
    try:
        names = os.listdir(root.joinpath(*labels, "anat"))
    except FileNotFoundError:
        return []
    except OSError as error:
        place = "/".join([*labels, "anat"])
        return [f"The folder {place} cannot be read ({error.strerror}): give the permission."]
    return [
        f"{printable(name)} is not used: its name is not UTF-8, so rename it."
        for name in sorted(names)
        if NOT_UTF8.search(name)
    ]


def is_label(text: str) -> bool:
    """Return whether a BIDS label has letters and digits only, as names of nodes need it."""
    return _LABEL.fullmatch(text) is not None


def printable(name: str) -> str:
    """Return a file name that can be written as UTF-8."""
    return name.encode("utf-8", "replace").decode("utf-8")
