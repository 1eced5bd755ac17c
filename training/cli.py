"""``msmorph-train``: train a network of MSMorph on label maps and BIDS datasets."""

from __future__ import annotations

import argparse
import logging
import math
import re
import sys
from pathlib import Path

LOGGER = logging.getLogger("msmorph.train")
NETWORKS = {"deepgrai-stage1": 1, "deepgrai-stage2": 2}
CROP_MM = 62.0  # half the source cube of stage 2: field of view, crop jitter and rotation


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="msmorph-train", description=__doc__)
    add = parser.add_argument
    add("network", choices=sorted(NETWORKS))
    add("--output", type=Path, required=True, help="folder of checkpoint, log and weights")
    add("--head-labels", type=Path, nargs="*", default=[], help="label maps (FreeSurfer numbers)")
    add("--data", type=Path, help="BIDS dataset with FLAIRs")
    add("--labels", type=Path, help="derivatives with *_space-T1w_*dseg labels of --data")
    add("--transforms", type=Path, help="derivatives with *_from-T1w_to-FLAIR_*_xfm.txt (ITK)")
    add("--participant-label", nargs="*", default=[], help="subjects to train on")
    add("--validation-label", nargs="*", default=[], help="subjects to validate on")
    add("--channels", type=int, nargs=5, help="filters a tier; default the paper's width")
    add("--residual-units", type=int, default=0)
    add("--steps", type=int, default=10000)
    add("--minutes", type=float, default=math.inf)
    add("--batch", type=int, default=2)
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


def gather_sources(options, stage: int, subjects, head_labels) -> list:
    """Read the real FLAIRs of ``subjects`` and the label maps.

    SAMSEG-like label maps found beside 1 mm T1w images in ``--labels`` can be listed under
    ``--head-labels`` too: any whole-head map with FreeSurfer's numbers serves.
    """
    from training import deepgrai, sources

    crop = CROP_MM if stage == 2 else None
    found = [sources.label_source(path, crop) for path in head_labels]
    if options.data is not None and subjects:
        voxel_mm = deepgrai.STAGES[stage]["input"]["voxel_mm"]
        found += sources.find_real_sources(
            options.data, options.labels, options.transforms, subjects,
            crop_mm=crop, voxel_mm=voxel_mm,
        )  # fmt: skip
    return found


def build_task(options):
    """The Task of the network named on the command line, and what its model card says of it."""
    from networks.unet import build_unet
    from training import deepgrai
    from training.loop import Task

    stage = NETWORKS[options.network]
    architecture = {
        "channels": options.channels or deepgrai.STAGES[stage]["architecture"]["channels"],
        "residual_units": options.residual_units,
    }
    sources = gather_sources(options, stage, options.participant_label, options.head_labels)
    if not sources:
        raise SystemExit("msmorph-train: no training source found; give --head-labels or --data")
    LOGGER.info("%d sources: %s", len(sources), ", ".join(s.name for s in sources))
    held_out = gather_sources(options, stage, options.validation_label, []) or sources
    exam = deepgrai.Sampler(held_out, stage, options.seed + 1_000_003, 8)

    def samples(start, length):
        return deepgrai.Sampler(
            sources, stage, options.seed, length, options.real_fraction, start=start
        )

    network = build_unet(architecture)
    if options.start_from:
        from safetensors.torch import load_file

        network.load_state_dict({k: v.float() for k, v in load_file(options.start_from).items()})
    validate = deepgrai.validation_dice([exam[i] for i in range(len(exam))])
    described = {
        "task": {"architecture": architecture, "input": deepgrai.STAGES[stage]["input"]},
        "sources": [source.name for source in sources],
    }
    return Task(options.network, network, samples, deepgrai.soft_dice_loss, validate), described


def main(argv=None) -> int:
    """Entry point of ``msmorph-train``."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    options = build_parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s"
    )
    options.participant_label = [re.sub("^sub-", "", s) for s in options.participant_label]
    options.validation_label = [re.sub("^sub-", "", s) for s in options.validation_label]
    import torch

    from training.card import write_card
    from training.loop import Settings, Trainer

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    settings = Settings(
        steps=options.steps, minutes=options.minutes, batch=options.batch,
        learning_rate=options.learning_rate, schedule=options.schedule,
        workers=options.workers, device=options.device,
    )  # fmt: skip
    task, described = build_task(options)
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
