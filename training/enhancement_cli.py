"""``msmorph-train enhancement``: cross-validate and train the enhancement networks on a cohort."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

LOGGER = logging.getLogger("msmorph.train")
SIMULATED = "simulated cohort with planted signal (training/enhancement_simulation.py)"
IMPLANTED = "lesions implanted in real heads, enhancing as in training/enhancement_implants.py"
SIMULATED_SLICE = 32  # pixels a side
#: Scans to validate and to test on, of those to train on.
HELD_OUT = 0.4


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="msmorph-train enhancement", description=__doc__)
    add = parser.add_argument
    add("--output", type=Path, required=True, help="folder of tables, figure and weights")
    add("--data", type=Path, help="BIDS dataset: T1w, T2w, FLAIR of a session on one grid")
    add("--lesions", type=Path, help="derivatives with lesion and brain masks on that grid")
    add(
        "--labels",
        type=Path,
        help="derivatives with *_label-enhancing_desc-confirmed_mask, or a TSV: participant_id, "
        "session_id, slice (from 0 at the lowest), enhancing (yes, no)",
    )
    add("--simulate", type=int, metavar="SUBJECTS", help="a simulated cohort instead of --data")
    add(
        "--implant",
        type=int,
        metavar="SCANS",
        help="lesions implanted in real heads of --data: how many scans to train on. Then --labels"
        " and --lesions are structure labels and drawn lesions, as for msmorph-train deepscan",
    )
    add("--lesion-masks", type=Path, nargs="*", default=[], help="lesions of people to implant")
    add("--segmentation", default="", help="with --implant: seg- entity of --labels")
    add("--transforms", type=Path, help="with --implant: as for msmorph-train deepscan")
    for part in ("participant", "validation", "test"):
        add(f"--{part}-label", nargs="*", default=[], help="with --implant: heads of this part")
    add("--signal", type=float, default=4.0, help="planted in the simulated cohort, in SD of noise")
    add("--pretrained", type=Path, help="torchvision's VGG16 (.safetensors, .pth); needs --width 1")
    add("--width", type=float, default=0.25, help="filters, as a share of VGG16's")
    add("--hidden", type=int, default=256, help="nodes of the slice network's dense head")
    add("--epochs", type=int, default=100, help="stage 1: head, or all layers if not pretrained")
    add("--fine-epochs", type=int, default=100, help="stage 2: last block and head")
    add("--participant-epochs", type=int, default=100)
    add("--learning-rate", type=float, default=1e-4, help="of Adam in stage 1")
    add("--fine-rate", type=float, default=1e-4, help="of SGD in stage 2")
    add("--participant-rate", type=float, default=1e-3, help="of Adam, participant network")
    add("--batch", type=int, default=32)
    add("--folds", type=int, default=5)
    add("--no-final", action="store_true", help="cross-validate only; train nothing for use")
    add("--device", default="cpu")
    add("--threads", type=int, default=1)
    add("--seed", type=int, default=1)
    return parser


def main(arguments: list[str]) -> int:
    """Entry point; ``arguments`` come after ``enhancement``."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    given = [options.data, options.lesions, options.labels]
    if options.simulate is None and None in given:
        parser.error("give --data, --lesions and --labels, or --simulate SUBJECTS")
    if options.simulate is not None and any(given):
        parser.error("--simulate goes without --data, --lesions and --labels")
    parts = _parts(options)
    if options.implant is not None and not (options.lesion_masks and all(parts.values())):
        parser.error("--implant needs --lesion-masks and heads to train, validate and test on")
    if options.pretrained is not None and options.width != 1:
        parser.error("--pretrained needs --width 1")
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s"
    )
    try:
        _run(options, arguments)
    except (ValueError, OSError) as error:
        print(f"msmorph-train enhancement: {error}", file=sys.stderr)
        return 2
    return 0


def _run(options, arguments) -> None:
    import torch

    from training.card import write_text
    from training.enhancement_crossval import cross_validate, train_and_test
    from training.enhancement_results import auc_lines, plot_roc, summary, table_2, write_scores
    from training.enhancement_scans import Split

    torch.set_num_threads(options.threads)
    options.output.mkdir(parents=True, exist_ok=True)
    settings, recipe = _recipe(options)
    # A head in two parts is refused before scans of it are made.
    split = Split(**{part: frozenset(heads) for part, heads in _parts(options).items()})
    scans = _scans(options, settings)
    if options.implant is None:
        runs = cross_validate(scans, recipe, options.seed, options.folds)
    else:
        run, *found = train_and_test(scans, split, recipe, options.seed)
        validation = split.validation
        runs = [run]
    counts = [{kind: p.counts for kind, p in run.predictions.items()} for run in runs]
    text = f"{table_2(counts)}\n\n{auc_lines(runs)}\n"
    cohort = options.data.name if options.data else SIMULATED
    if options.implant is not None:
        cohort = IMPLANTED
    write_text(options.output / "table2.txt", f"Cohort: {cohort}\n\n{text}")
    plot_roc(runs, options.output / "roc.png", f"Cohort: {cohort}")
    write_scores(runs, options.output / "scores.tsv")
    print(text, end="")
    if options.no_final:
        return
    if options.implant is None:
        validation, *found = _final(scans, recipe, options)
    facts = {"seed": options.seed, "validated_on": sorted(f"sub-{s}" for s in validation)}
    _save(found, facts, scans, settings, options, arguments, summary(runs))


def _recipe(options):
    """Architecture and input of the model card, and the training's settings."""
    from networks.enhancement import ARCHITECTURE, INPUT
    from training.enhancement_fit import Recipe

    architecture = ARCHITECTURE | {"width": options.width, "hidden": options.hidden}
    given = INPUT
    if options.simulate is not None:
        given = INPUT | {"shape": [SIMULATED_SLICE, SIMULATED_SLICE, 1]}
    recipe = Recipe(
        architecture, options.pretrained, options.epochs, options.fine_epochs,
        options.participant_epochs, rate=options.learning_rate, fine_rate=options.fine_rate,
        participant_rate=options.participant_rate, batch=options.batch, device=options.device,
    )  # fmt: skip
    return {"architecture": architecture, "input": given}, recipe


def _scans(options, settings) -> list:
    import numpy as np

    from training.enhancement_cohort import CohortFiles, read_cohort
    from training.enhancement_simulation import simulate_cohort

    if options.simulate is not None:
        rng = np.random.default_rng(options.seed)
        scans = simulate_cohort(options.simulate, options.signal, rng, SIMULATED_SLICE)
    elif options.implant is not None:
        scans = _implanted(options, settings)
    else:
        files = CohortFiles(options.data, options.lesions, options.labels)
        scans = read_cohort(files, settings, options.output / "slices")
    if not scans:
        raise ValueError(f"no session of {options.data} can be used; the log says why")
    LOGGER.info(
        "%d scans of %d subjects, %d with enhancement; %d slices with lesions, %d enhancing",
        len(scans), len({s.subject for s in scans}), sum(s.enhancing for s in scans),
        sum(len(s.labels) for s in scans), sum(int(s.labels.sum()) for s in scans),
    )  # fmt: skip
    return scans


def _parts(options) -> dict[str, list[str]]:
    """Heads to train, to validate and to test on."""
    labels = (options.participant_label, options.validation_label, options.test_label)
    return dict(zip(("training", "validation", "test"), labels, strict=True))


def _implanted(options, settings) -> list:
    from networks.brain_classes import CONTRASTS
    from training.enhancement_cohort import kept_on_disk
    from training.enhancement_implants import implanted_scans
    from training.heads import find_heads
    from training.placement import read_personal_lesions
    from training.sources import LabelFiles

    people = read_personal_lesions(options.lesion_masks)
    labels = LabelFiles(options.labels, options.segmentation, options.transforms)
    scans = []
    for number, (part, subjects) in enumerate(_parts(options).items()):
        heads = find_heads(options.data, labels, subjects, options.lesions)
        heads = [head for head in heads if set(head.images) >= set(CONTRASTS)]
        if not heads:
            raise ValueError(f"no head of {', '.join(subjects)} has {', '.join(CONTRASTS)}")
        count = options.implant if part == "training" else round(HELD_OUT * options.implant)
        seed = options.seed + 1000 * number
        for scan in implanted_scans(heads, people, settings, max(count, 2), seed):
            scans.append(kept_on_disk(scan, options.output / "slices"))
        LOGGER.info("%s: %s", part, ", ".join(head.name for head in heads))
    return scans


def _final(scans, recipe, options):
    """Subjects to validate on, a network trained on all others, and its operating points."""
    import numpy as np

    from training.enhancement_crossval import operating_points
    from training.enhancement_fit import fit
    from training.enhancement_scans import chosen, validation_split

    training, validation = validation_split(scans, np.random.default_rng(options.seed))
    held_out = chosen(scans, validation)
    network = fit(chosen(scans, training), held_out, recipe, options.seed)
    return validation, network, operating_points(network, held_out, recipe)


def _save(found, facts, scans, settings, options, arguments, figures) -> None:
    """Write weights and card of a network for use. ``found``: network and operating points."""
    from networks.enhancement import NAME
    from networks.weights import save
    from training.card import write_card

    network, thresholds = found
    weights = options.output / f"{NAME}.safetensors"
    save(network, weights)
    command = "msmorph-train enhancement " + " ".join(
        Path(a).name if "/" in a else a for a in arguments
    )
    limits = "Experimental: no substitute for a scan with contrast agent."
    sources, tested = sorted(scan.name for scan in scans), "cross_validation"
    if options.simulate is not None:
        sources = [SIMULATED]
        limits += " Trained on simulated slices: of no use for patients."
    if options.implant is not None:
        sources = [IMPLANTED, *(f"sub-{s}" for s in options.participant_label)]
        facts |= {"scans": options.implant, "tested_on": _parts(options)["test"]}
        limits += " Trained on implanted lesions: it has never seen one that enhanced."
        tested = "implanted lesions of the test heads"
    card_path = write_card(
        weights, task=settings, command=command, training=facts, sources=sources,
        limits=limits, figures={tested: figures}, thresholds=thresholds,
    )  # fmt: skip
    LOGGER.info("weights: %s, card: %s", weights, card_path)
