"""What went wrong in which session, gathered from Nipype's crash files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

#: What the system says -> what to do about it.
REMEDIES = {
    r"No space left on device|Disk quota exceeded|File too large": "make room there and run again",
    r"Read-only file system|Permission denied": "make that place writable, or choose another",
    r"^MemoryError|Cannot allocate memory": "run with more memory, or a smaller --nprocs",
}


@dataclass(frozen=True)
class Failure:
    """One failed node: whose it was, one sentence on why, and the file with the traceback."""

    subject: str
    session: str | None
    node: str
    message: str
    crash_file: Path | None = None

    def __str__(self) -> str:
        who = f"sub-{self.subject}" + (f" ses-{self.session}" if self.session else "")
        return f"{who} ({self.node}): {self.message}"


def crash_dir(output_dir: Path, subject: str, run_uuid: str) -> Path:
    """Folder of a subject's crash files and configuration of one run."""
    return Path(output_dir) / f"sub-{subject}" / "log" / run_uuid


def workflow_name(subject: str, session: str | None) -> str:
    """Name of a session's workflow, unique in a dataset (labels are alphanumeric in BIDS)."""
    return f"sub_{subject}" + (f"_ses_{session}" if session else "") + "_wf"


def read_crash_file(path: Path) -> tuple[str, str]:
    """(node's full name, one sentence) of a Nipype crash file in text form."""
    text = path.read_text(encoding="utf-8", errors="replace")
    node = re.search(r"^Node: (.*)$", text, re.MULTILINE)
    raised = re.findall(
        r"^\s*(?:[\w.]*\.)?(\w*(?:Error|Exception|Exit|NotFound)): (.+)$", text, re.M
    )
    message = "the node stopped without an error message"
    if raised:
        kind, text = raised[-1]
        message = with_remedy(text.strip() if kind != "MemoryError" else f"{kind}: {text}")
    return (node[1].strip() if node else path.name), message


def with_remedy(message: str) -> str:
    """Return a message of the system with what to do about it; any other as it is."""
    for pattern, remedy in REMEDIES.items():
        if re.search(pattern, message):
            return f"{message.rstrip('.')}: {remedy}."
    return message


def input_failures(sessions) -> list[Failure]:
    """What could not be read of the inputs of ``sessions`` (SessionInputs)."""
    return [
        Failure(s.subject, s.session, "input", problem) for s in sessions for problem in s.problems
    ]


def collect_failures(output_dir: Path, run_uuid: str, sessions) -> list[Failure]:
    """Failures of this run among ``sessions`` (SessionInputs), from the crash files left."""
    owners = {workflow_name(s.subject, s.session): s for s in sessions}
    failures = []
    for subject in sorted({s.subject for s in sessions}):
        for path in sorted(crash_dir(output_dir, subject, run_uuid).glob("crash-*.txt")):
            node, message = read_crash_file(path)
            owner = next((owners[part] for part in node.split(".") if part in owners), None)
            session = owner.session if owner else None
            failures.append(Failure(subject, session, node.split(".")[-1], message, path))
    return failures
