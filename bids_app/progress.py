"""Log lines that tell which session is where, from Nipype's status callback."""

from __future__ import annotations

import logging
import re

LOGGER = logging.getLogger("msmorph")
CONTRASTS = {"t1w": "T1w", "flair": "FLAIR", "t2w": "T2w"}
STEPS = {
    "check": "{} read and checked",
    "brain_mask": "brain mask of {}",
    "n4": "bias field of {} corrected",
    "to_ref": "{} aligned to the reference image",
}
WHOLE = {
    "ref_to_mni": "aligned to MNI152",
    "deepgrai": "thalamus on FLAIR segmented (DeepGRAI)",
    "opfer": "thalamus and intracranial space on T1w segmented (Opfer's 3D-CNN)",
    "lesions": "lesions and structures segmented",
    "enhancement": "enhancement predicted (experimental)",
    "cord": "spinal cord found, segmented and measured",
}
_SESSION = re.compile(r"\bsub_([a-zA-Z0-9]+?)(?:_ses_([a-zA-Z0-9]+))?_wf\b")


def describe(node_fullname: str) -> tuple[str, str] | None:
    """(session, step in words) of a node's full name; None for nodes not worth a line."""
    found = _SESSION.search(node_fullname)
    if found is None:
        return None
    session = f"sub-{found[1]}" + (f" ses-{found[2]}" if found[2] else "")
    name = node_fullname.rsplit(".", 1)[-1]
    if name in WHOLE:
        return session, WHOLE[name]
    contrast, _, step = name.partition("_")
    if contrast in CONTRASTS and step in STEPS:
        return session, STEPS[step].format(CONTRASTS[contrast])
    return None


class Progress:
    """Status callback for Nipype's plugins; ``total`` is the number of steps to expect."""

    def __init__(self, node_names):
        self.total = sum(describe(name) is not None for name in node_names)
        self.done = 0

    def __call__(self, node, status: str) -> None:
        """Log a finished or failed step; Nipype calls it with ``start``, ``end``, ``exception``."""
        described = describe(node.fullname)
        if described is None or status == "start":
            return
        self.done += 1
        session, step = described
        words = f"{step} FAILED" if status == "exception" else step
        LOGGER.info("[%d/%d] %s: %s", self.done, self.total, session, words)
