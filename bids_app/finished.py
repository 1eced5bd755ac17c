"""Which finished steps of an earlier run still hold.

Nipype redoes a step whose inputs changed; a network's hash and what an option sets are among these.
It knows nothing of the code: a threshold that another version of MSMorph has otherwise, or another
version of a library, would leave old numbers in new tables. So every session's folder in the work
folder tells which code made it, and is made anew by any other.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from bids_app.atomic import atomic_write_text

LOGGER = logging.getLogger("msmorph")
STAMP = "made_by.txt"
_PACKAGES = ("measures", "networks", "interfaces", "workflows")
_LIBRARIES = ("antspyx", "deepbet", "monai", "nibabel", "nilearn", "numpy", "scipy", "torch")


@lru_cache(maxsize=1)
def code_fingerprint() -> str:
    """Return the SHA-256 of the code that measures and the versions of the libraries it uses."""
    root = Path(__file__).parents[1]
    files = [path for package in _PACKAGES for path in sorted((root / package).rglob("*.py"))]
    digest = hashlib.sha256()
    for path in [*files, root / "bids_app" / "sinks.py"]:
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    for library in _LIBRARIES:
        digest.update(f"{library}={metadata.version(library)}\0".encode())
    return digest.hexdigest()


def keep_if_current(folder: Path) -> None:
    """Empty a session's folder of the work folder unless this very code has made it.

    Killed at any moment it does the same again: the stamp is written into an empty folder only.
    """
    stamp = folder / STAMP
    try:
        found = stamp.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        found = ""
    if found == code_fingerprint():
        return
    if folder.is_dir() and any(folder.iterdir()):
        LOGGER.info("%s was made by another version and is made anew.", folder.name)
        shutil.rmtree(folder)
    atomic_write_text(stamp, code_fingerprint() + "\n")
