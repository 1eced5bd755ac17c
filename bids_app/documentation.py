"""Pages of ``docs/`` made from the code: options of the parser, columns of the dictionary.

    python -m bids_app.documentation docs

A test holds the committed pages to what this writes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bids_app import dictionary
from bids_app.parser import options_markdown


def pages() -> dict[str, str]:
    """File name -> content of every generated page."""
    return {
        "cli.md": "# Command line\n\n" + options_markdown().strip() + "\n",
        "columns.md": "# Columns of the morph tables\n\nMissing is `n/a`.\n"
        "\n## One row a session: `*_morph.tsv`\n\n"
        + dictionary.markdown_table()
        + "\n## One row a lesion of the brain: `*_desc-lesions_morph.tsv`\n\n"
        + dictionary.markdown_table(dictionary.LESIONS)
        + "\n## One row a slice with lesions (experimental): `*_desc-enhancement_morph.tsv`\n\n"
        + dictionary.markdown_table(dictionary.ENHANCEMENT)
        + "\n## One row a section of the spinal cord: `*_desc-slices_morph.tsv`\n\n"
        + dictionary.markdown_table(dictionary.SLICES)
        + "\n## One row a lesion of the spinal cord: `*_desc-cordlesions_morph.tsv`\n\n"
        + dictionary.markdown_table(dictionary.CORD_LESIONS)
        + "\n## One row a vertebral level of the spinal cord: `*_desc-cordlevels_morph.tsv`\n\n"
        + dictionary.markdown_table(dictionary.CORD_LEVELS),
    }


def main(argv: list[str] | None = None) -> int:
    """Write the pages into a folder."""
    folder = Path((sys.argv[1:] if argv is None else argv)[0])
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
