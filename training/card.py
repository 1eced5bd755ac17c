"""Model cards: what a weight file is, written beside it when training ends."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

INTENDED_USE = "Research use only; not a medical device."


def write_card(
    weights: Path, *, task: dict, sources: list[str], command: str, training: dict, **found
) -> Path:
    """Write ``NAME.json`` beside ``NAME.safetensors``.

    ``task`` has ``architecture`` and ``input`` (grid), ``training`` steps, batch and the like.
    ``figures`` and ``limits`` are left empty: they are filled in after measuring on test subjects,
    unless they are among ``found``, entries that training has itself.
    """
    card = {
        "architecture": task["architecture"],
        "input": task["input"],
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "trained_on": sources,
        "training": training,
        "command": command,
        "intended_use": INTENDED_USE,
        "limits": "",
        "figures": {},
    }
    path = weights.with_suffix(".json")
    write_text(path, json.dumps(card | found, indent=2) + "\n")
    return path


def write_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    aside = path.with_suffix(".partial")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, path)
