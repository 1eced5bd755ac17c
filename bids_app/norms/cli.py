"""The command ``msmorph-norms``: fit norms to a table of controls."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from bids_app import __version__
from bids_app.console import run_command
from bids_app.errors import UsageError
from bids_app.norms import TIV, VOLUMES

_DESCRIPTION = (
    "Norms of thalamus volume for msmorph --norms: volume by age and intracranial volume in "
    "controls, after Opfer et al. 2022."
)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="msmorph-norms", description=_DESCRIPTION, allow_abbrev=False,
        epilog="exit codes: 0 written; 2 wrong usage, or a table that cannot be used. "
        "docs/norms.md tells more.",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"msmorph {__version__}")
    command = parser.add_subparsers(dest="command", required=True, metavar="fit")
    fit = command.add_parser("fit", help="fit norms and write them", allow_abbrev=False)
    add = fit.add_argument
    add("table", type=Path, metavar="TABLE", help="group_morph.tsv, or a table with its columns")
    add("--output", type=Path, required=True, metavar="FILE", help="the norms, e.g. norms.json")
    who = fit.add_mutually_exclusive_group(required=True)
    who.add_argument("--controls", nargs="+", metavar="VALUE",
        help="who are the controls: their values in the group column")  # fmt: skip
    who.add_argument("--all-rows", action="store_true", help="everybody in the table is a control")
    add("--group-column", default="group", metavar="NAME", help="default %(default)s")
    add("--age-column", default="age", metavar="NAME", help="age in years; default %(default)s")
    tiv = fit.add_mutually_exclusive_group()
    tiv.add_argument("--tiv-column", default=TIV, metavar="NAME",
        help="intracranial volume in mL as MSMorph measures it; default %(default)s")  # fmt: skip
    tiv.add_argument("--without-tiv", action="store_true", help="leave head size out of the model")
    add("--sex", action="store_true", help="a term for men in the model")
    add("--sex-column", default="sex", metavar="NAME", help="M or F; default %(default)s")
    add("--volume-columns", nargs="+", choices=VOLUMES, default=[], metavar="COLUMN",
        help=f"volumes to fit; default all there are of {', '.join(VOLUMES)}")  # fmt: skip
    add("--force", action="store_true", help="take fewer than 30 controls")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 written, 2 wrong usage, 130 interrupted."""
    return run_command("msmorph-norms", lambda: run(build_parser().parse_args(argv)))


def run(options: argparse.Namespace) -> int:
    """Fit the norms and write the file, whole or not at all."""
    from bids_app.norms.fit import Request, fit_norms
    from bids_app.tables import write_json

    request = Request(
        table=options.table,
        controls=tuple(options.controls or ()),
        group_column=options.group_column,
        age_column=options.age_column,
        tiv_column=None if options.without_tiv else options.tiv_column,
        sex_column=options.sex_column if options.sex else None,
        volumes=tuple(dict.fromkeys(options.volume_columns)),
        force=options.force,
    )
    if options.output.resolve() == options.table.resolve():
        raise UsageError("--output would write over the table.")
    content = fit_norms(request)
    write_json(options.output, content)
    print(f"Norms of {', '.join(content['Volumes'])} in {options.output}.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
