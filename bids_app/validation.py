"""The BIDS validator, run once over the input dataset before anything else."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bids_app.errors import UsageError

LOGGER = logging.getLogger("msmorph.validation")

PROGRAM = "bids-validator-deno"
_FOUND_ERRORS = 16
_TIMEOUT_S = 900
_SHOWN = 5
#: What is wrong with one file alone, which fails or does without it while the others go on.
OF_ONE_FILE = {
    "EMPTY_FILE", "FILE_READ", "INVALID_ENTITY_LABEL", "INVALID_JSON_ENCODING", "JSON_INVALID",
    "JSON_NOT_AN_OBJECT", "NIFTI_HEADER_UNREADABLE", "SIDECAR_WITHOUT_DATAFILE", "SYMLINK_BROKEN",
}  # fmt: skip


def validate_dataset(bids_dir: Path, participants: Sequence[str] = ()) -> None:
    """Run the BIDS validator; raise UsageError when it finds errors.

    With participant labels given, errors in the other participants' folders do not count. Damage
    to one file of a participant is a warning: that session fails by itself, with a better sentence.
    A validator that is absent or does not work is a warning in the log, nothing more.
    """
    program = find_validator()
    if program is None:
        LOGGER.warning("The BIDS validator (%s) is not installed: dataset not checked.", PROGRAM)
        return
    issues = _run(program, bids_dir)
    if issues is None:
        return
    for issue in issues:
        if _is_of_one_file(issue) and (text := _describe(issue, participants)):
            LOGGER.warning("The BIDS validator: %s.", text)
    others = [issue for issue in issues if not _is_of_one_file(issue)]
    errors = [text for issue in others if (text := _describe(issue, participants))]
    if not errors:
        LOGGER.info("The BIDS validator finds no errors of the dataset as a whole.")
        return
    shown = "; ".join(errors[:_SHOWN])
    more = f"; and {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else ""
    noun = "error" if len(errors) == 1 else "errors"
    raise UsageError(
        f"The BIDS validator finds {len(errors)} {noun} in {bids_dir}: {shown}{more}. "
        "Correct them, or go on with --skip-bids-validation."
    )


def find_validator() -> str | None:
    """Return the validator beside this Python, else the one on PATH, else None."""
    beside = Path(sys.executable).parent / PROGRAM
    return str(beside) if os.access(beside, os.X_OK) else shutil.which(PROGRAM)


def _run(program: str, bids_dir: Path) -> list[dict[str, Any]] | None:
    """Return the validator's error issues, or None (and a warning) when it does not work."""
    command = [program, str(bids_dir), "--format", "json", "--ignoreWarnings"]
    environ = {**os.environ, "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environ, timeout=_TIMEOUT_S, check=False
        )
        if done.returncode not in (0, _FOUND_ERRORS):
            reason = done.stderr.strip().splitlines() or ["no message"]
            raise ValueError(f"exit code {done.returncode}, {reason[-1]}")
        issues = json.loads(done.stdout)["issues"]["issues"]
    except (OSError, ValueError, KeyError, TypeError, subprocess.TimeoutExpired) as error:
        LOGGER.warning("The BIDS validator did not work (%s): dataset not checked.", error)
        return None
    return [issue for issue in issues if issue.get("severity", "error") == "error"]


def _is_of_one_file(issue: dict[str, Any]) -> bool:
    location = str(issue.get("location", "")).strip("/")
    return issue.get("code") in OF_ONE_FILE and location.startswith("sub-")


def _describe(issue: dict[str, Any], participants: Sequence[str]) -> str:
    """Return an issue in words, or nothing when it is of a participant who is not wanted."""
    location = str(issue.get("location", ""))
    folder = location.strip("/").partition("/")[0]
    if participants and folder.startswith("sub-") and folder[4:] not in participants:
        return ""
    code = ": ".join(str(issue[key]) for key in ("code", "subCode") if issue.get(key))
    return f"{code} ({location})" if location else code
