"""A BIDS dataset of many subjects, and how long MSMorph takes before it can start the first.

    python benchmarks/large_dataset.py make DIR [--subjects 1000] [--sessions 2]
    python benchmarks/large_dataset.py query DIR
    python benchmarks/large_dataset.py memory DIR [--subjects 20 200]

``make`` writes T1w, FLAIR and T2w of 4x4x4 zeros with their sidecars, which every node refuses in
an instant: also what the memory of a run over many subjects is measured with. ``query`` times
PyBIDS's index and the choice of images: all subjects, one subject, and with a kept index.
``memory`` runs so many of the subjects and prints the most memory that the main process held.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np

from bids_app.config import Config
from bids_app.query import collect_sessions

SIDECARS = {
    "T1w": {"Manufacturer": "None", "MagneticFieldStrength": 3, "RepetitionTime": 2.3},
    "FLAIR": {"Manufacturer": "None", "MagneticFieldStrength": 3, "RepetitionTime": 9.0},
    "T2w": {"Manufacturer": "None", "MagneticFieldStrength": 3, "RepetitionTime": 4.0},
}


def make(folder: Path, subjects: int, sessions: int) -> None:
    """Write the dataset: two files an image, three images a session."""
    folder.mkdir(parents=True)
    description = {"Name": "many subjects", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    (folder / "dataset_description.json").write_text(json.dumps(description))
    (folder / "README").write_text("Images of zeros, to measure MSMorph's start with.\n")
    image = folder / ".zeros.nii.gz"
    nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4)).to_filename(image)
    content = image.read_bytes()
    image.unlink()
    for number in range(1, subjects + 1):
        for session in range(1, sessions + 1):
            names = (f"sub-{number:04d}", f"ses-{session:02d}")
            anat = folder.joinpath(*names, "anat")
            anat.mkdir(parents=True)
            for contrast, sidecar in SIDECARS.items():
                stem = "_".join([*names, contrast])
                (anat / f"{stem}.nii.gz").write_bytes(content)
                (anat / f"{stem}.json").write_text(json.dumps(sidecar))


def query(folder: Path) -> None:
    """Print a line for each way to find the sessions' images."""
    first = sorted(path.name[4:] for path in folder.glob("sub-*"))[0]
    with tempfile.TemporaryDirectory() as kept:
        ways = {
            "all subjects": {},
            "one subject": {"participant_label": [first]},
            "all subjects, index made and kept": {"bids_database_dir": Path(kept)},
            "all subjects, index kept earlier": {"bids_database_dir": Path(kept)},
            "one subject, index kept earlier": {
                "bids_database_dir": Path(kept), "participant_label": [first],
            },
        }  # fmt: skip
        print("what\tsessions\twall_s\tcpu_s")
        for name, settings in ways.items():
            config = Config(folder, folder.parent / "out", "participant", **settings)
            wall, cpu = time.perf_counter(), time.process_time()
            found = len(collect_sessions(config))
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            print(f"{name}\t{found}\t{wall:.2f}\t{cpu:.2f}", flush=True)


def memory(folder: Path, subjects: int) -> None:
    """Run the first subjects, all of whom fail, and print the main process's peak memory."""
    labels = sorted(path.name[4:] for path in folder.glob("sub-*"))[:subjects]
    with tempfile.TemporaryDirectory() as aside:
        command = [
            sys.executable, "-m", "bids_app.cli", str(folder), f"{aside}/out", "participant",
            "--skip-bids-validation", "-w", f"{aside}/work", "--participant-label", *labels,
        ]  # fmt: skip
        began = time.perf_counter()
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        peak_mb = 0.0
        while run.poll() is None:
            status = Path(f"/proc/{run.pid}/status").read_text()
            if found := re.search(r"VmHWM:\s+(\d+) kB", status):
                peak_mb = int(found[1]) / 1000
            time.sleep(0.2)
    print(f"{len(labels)}\t{peak_mb:.0f}\t{time.perf_counter() - began:.0f}", flush=True)


def main() -> None:
    """Make or query the dataset, or run some of it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("make", "query", "memory"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--subjects", type=int, nargs="+", default=[])
    parser.add_argument("--sessions", type=int, default=2)
    args = parser.parse_args()
    if args.what == "make":
        make(args.folder, *(args.subjects or [1000]), args.sessions)
    elif args.what == "query":
        query(args.folder.resolve())
    else:
        print("subjects\tpeak_rss_mb\twall_s")
        for subjects in args.subjects or [20, 200]:
            memory(args.folder.resolve(), subjects)


if __name__ == "__main__":
    main()
