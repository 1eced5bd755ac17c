"""The BIDS filter file: JSON of PyBIDS entities per contrast, as fMRIPrep has it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from bids_app.config import CONTRASTS
from bids_app.errors import UsageError

#: Settings of PyBIDS's query, which a filter file does not change.
_NOT_ENTITIES = {
    "absolute_paths", "drop_invalid_filters", "invalid_filters", "regex_search", "return_type",
    "scope", "target",
}  # fmt: skip
_NO_VALUE = re.compile(r"[/\\\x00-\x1f\x7f\ud800-\udfff]|\.\.")

Filters = dict[str, dict[str, Any]]


def load_filters(path: str | Path | None) -> Filters:
    """Read a filter file; None gives an empty mapping.

    Returns contrast -> entity -> str, number, bool, None or a list of these. Raises
    UsageError when the file is missing, is no JSON object, or has other contrasts or values.
    """
    if path is None:
        return {}
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"Cannot read the filter file {path}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"The filter file {path} is not valid JSON: {error}.") from error
    if not isinstance(content, dict):
        raise UsageError(f"The filter file {path} must hold a JSON object, one key per contrast.")
    unknown = sorted(set(content) - set(CONTRASTS))
    if unknown:
        raise UsageError(
            f"The filter file {path} has unknown contrasts: {', '.join(unknown)}; "
            f"known: {', '.join(CONTRASTS)}."
        )
    for contrast, entities in content.items():
        _check_entities(path, contrast, entities)
    return content


def _check_entities(path: str | Path, contrast: str, entities: Any) -> None:
    if not isinstance(entities, dict):
        raise UsageError(f"In the filter file {path}, '{contrast}' must hold a JSON object.")
    for name, value in entities.items():
        if name in _NOT_ENTITIES:
            raise UsageError(
                f"In the filter file {path}, '{name}' of '{contrast}' is no entity; entities are "
                "such as session, acquisition, run."
            )
        values = value if isinstance(value, list) else [value]
        if any(isinstance(v, str) and _NO_VALUE.search(v) for v in values):
            raise UsageError(
                f"In the filter file {path}, '{name}' of '{contrast}' must be a label such as "
                "'hi', without slashes, '..' or control characters."
            )
        if any(isinstance(v, dict | list) for v in values):
            raise UsageError(
                f"In the filter file {path}, '{name}' of '{contrast}' must be a string, a "
                "number, null or a list of these."
            )


def to_query(value: Any) -> Any:
    """Turn a filter's value into PyBIDS's: null is Query.NONE and ``"*"`` is Query.ANY."""
    from bids.layout import Query

    if isinstance(value, list):
        return [to_query(v) for v in value]
    if value is None:
        return Query.NONE
    return Query.ANY if value == "*" else value
