"""HTML pages from the templates in ``data/``: every text is escaped, every name must be given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bids_app.tables import read_json

_TEMPLATES = Path(__file__).with_name("data")


def render(template: str, **content: Any) -> str:
    """Return a page; raises jinja2.UndefinedError when the template needs what is not given."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    return environment.get_template(template).render(**content)


def dataset_name(folder: Path) -> str:
    """Return the name that ``dataset_description.json`` gives a dataset, else its folder's."""
    return str(read_json(folder / "dataset_description.json").get("Name") or folder.name)
