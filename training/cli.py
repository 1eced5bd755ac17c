"""``msmorph-train``: train a network of MSMorph on label maps and BIDS datasets.

``msmorph-train enhancement`` has options of its own (training/enhancement_cli.py): its networks
are cross-validated and need labels of another kind.
"""

from __future__ import annotations

import argparse
import logging
import math
import re
import sys
from pathlib import Path

LOGGER = logging.getLogger("msmorph.train")
NETWORKS = (  # training/networks.py
    "deepgrai-stage1", "deepgrai-stage2", "opfer-thalamus", "deepscan", "lesion-unet",
    "cord-detector", "cord", "cord-lesions",
)  # fmt: skip


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="msmorph-train", description=__doc__)
    add = parser.add_argument
    add("network", choices=NETWORKS)
    add("--output", type=Path, required=True, help="folder of checkpoint, log and weights")
    add("--head-labels", type=Path, nargs="*", default=[], help="label maps (FreeSurfer numbers)")
    add("--data", type=Path, help="BIDS dataset with FLAIR (deepgrai), T1w (opfer) or both and T2w")
    add("--labels", type=Path, help="derivatives with *_space-{FLAIR,T1w}_*dseg of --data")
    add("--segmentation", default="", help="seg- entity of the labels, where there are several")
    add("--thalamus-labels", type=int, nargs=2, default=(10, 49), metavar=("LEFT", "RIGHT"),
        help="numbers of the thalami in --labels; all others are FreeSurfer's")  # fmt: skip
    add("--transforms", type=Path, help="derivatives with *_from-{T1w,T2w}_to-FLAIR_*_xfm.txt")
    add("--lesions", type=Path, help="derivatives with drawn masks of all lesions on the FLAIR")
    add("--participant-label", nargs="*", default=[], help="subjects to train on")
    add("--validation-label", nargs="*", default=[], help="subjects to validate on")
    add("--channels", type=int, nargs=5, help="filters a tier; default the paper's width")
    add("--residual-units", type=int, help="extra convolutions a tier")
    add("--dropout", type=float, help="dropout of a cord network; the paper has 0.2 and 0.4")
    add("--patch", type=int, help="voxels a side of the training patches of a 3D network")
    add("--lesion-masks", type=Path, nargs="*", default=[], help="masks of real lesions to implant")
    add("--pam50", type=Path, help="folder of PAM50's label maps, for the cord's phantoms")
    add("--contrast", choices=["T1w", "T2w", "T2starw"], help="the one contrast of the phantoms")
    add("--steps", type=int, default=10000)
    add("--minutes", type=float, default=math.inf)
    add("--batch", type=int, default=2)
    add("--validate-every", type=int, default=250, help="steps between validations")
    add("--learning-rate", type=float, default=1e-3)
    add("--schedule", choices=["cosine", "plateau"], default="cosine")
    add("--real-fraction", type=float, default=0.45)
    add("--workers", type=int, default=1)
    add("--threads", type=int, default=1)
    add("--device", default="cpu")
    add("--seed", type=int, default=1)
    add("--resume", action="store_true")
    add("--start-from", type=Path, help="weights (.safetensors) to start from")
    return parser


def gather_sources(options, plan, subjects, head_labels) -> list:
    """Read the label maps and the real images of ``subjects``.

    SAMSEG's maps found in ``--labels`` can be listed under ``--head-labels`` too: any whole-head
    map with FreeSurfer's numbers serves.
    """
    from training import sources

    found = [sources.label_source(path, plan.crop_mm) for path in head_labels]
    if options.data is not None and subjects:
        labels = sources.LabelFiles(
            options.labels, options.segmentation, options.transforms, tuple(options.thalamus_labels)
        )
        real = plan.real_sources(options, labels, subjects)
        for subject in subjects:
            if not any(source.name.split("_")[0] == f"sub-{subject}" for source in real):
                LOGGER.warning(
                    "sub-%s is not used: no image in --data of which --labels has labels", subject
                )
        found += real
    return found


#: Kind of network -> entries of its architecture that the command line can change.
CHANGEABLE = {
    "unet": {"channels", "residual_units"},
    "dynunet": {"filters"},
    "deepscan": set(),
    "cord_unet": {"dropout"},
}


def _chosen_architecture(options, default: dict) -> dict:
    """Entries of the architecture that the command line changes; exits for one it has not."""
    asked = {"residual_units": options.residual_units, "dropout": options.dropout}
    kind = default.get("kind", "unet")
    asked["filters" if kind == "dynunet" else "channels"] = options.channels
    chosen = {name: value for name, value in asked.items() if value is not None}
    refused = chosen.keys() - CHANGEABLE[kind]
    if refused:
        raise SystemExit(f"msmorph-train: {options.network} has no option {' or '.join(refused)}")
    return chosen


def build_task(options):
    """The Task of the network named on the command line, and what its model card says of it."""
    from networks.architectures import build
    from networks.weights import fill
    from training.loop import Task
    from training.networks import NETWORKS, Request

    plan = NETWORKS[options.network](
        Request(options.patch, options.lesion_masks, options.pam50, options.contrast)
    )
    architecture = plan.architecture | _chosen_architecture(options, plan.architecture)
    sources = plan.own_sources + gather_sources(
        options, plan, options.participant_label, options.head_labels
    )
    if not sources:
        raise SystemExit("msmorph-train: no training source found; give --head-labels or --data")
    LOGGER.info("%d sources: %s", len(sources), ", ".join(s.name for s in sources))
    held_out = gather_sources(options, plan, options.validation_label, []) or sources
    exam = plan.sampler(held_out, options.seed + 1_000_003, 8)

    made = {"device": options.device}
    if plan.on_cpu:
        made = {"lanes": max(options.workers, 1), "batch": options.batch}

    def samples(start, length):
        return plan.sampler(
            sources, options.seed, length, real_fraction=options.real_fraction, start=start, **made
        )

    network = build(architecture)
    if options.start_from:
        fill(network, options.start_from)
    pairs = [
        tuple(part.to(options.device) for part in exam[i * exam.spread]) for i in range(len(exam))
    ]
    described = {
        "task": {"architecture": architecture, "input": plan.input},
        "sources": [source.name for source in sources],
        **plan.card,
    }
    task = Task(
        options.network, network, samples, plan.loss, plan.validate(pairs), pairs[:2],
        layers=plan.layers, join=plan.join, on_cpu=plan.on_cpu,
    )  # fmt: skip
    return task, described


def main(argv=None) -> int:
    """Entry point of ``msmorph-train``."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    if arguments[:1] == ["enhancement"]:
        from training.enhancement_cli import main as cross_validate

        return cross_validate(arguments[1:])
    options = build_parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s"
    )
    options.participant_label = [re.sub("^sub-", "", s) for s in options.participant_label]
    options.validation_label = [re.sub("^sub-", "", s) for s in options.validation_label]
    import torch

    from networks.device import keep_from_amx
    from networks.memory import keep_freed_memory
    from training.card import write_card
    from training.loop import Settings, Trainer

    keep_freed_memory()
    if options.network == "deepscan":
        keep_from_amx()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    task, described = build_task(options)
    settings = Settings(
        steps=options.steps, minutes=options.minutes, batch=options.batch,
        learning_rate=options.learning_rate, schedule=options.schedule,
        # Most samples are made on the GPU too, which processes forked from this one cannot do.
        workers=options.workers if options.device == "cpu" or task.on_cpu else 0,
        device=options.device, validate_every=options.validate_every,
    )  # fmt: skip
    trainer = Trainer(task, settings, options.output)
    if options.resume:
        trainer.resume()
    weights = trainer.train()
    names = ("batch", "learning_rate", "schedule", "real_fraction", "seed")
    facts = {"steps": trainer.step, "minutes": round(trainer.seconds / 60)}
    facts |= {name: getattr(options, name) for name in names}
    command = "msmorph-train " + " ".join(Path(a).name if "/" in a else a for a in arguments)
    card = write_card(weights, command=command, training=facts, **described)
    LOGGER.info("weights: %s, card: %s", weights, card)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
