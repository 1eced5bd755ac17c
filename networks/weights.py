"""Weight files and their model cards.

A network is two files of one name: ``NAME.safetensors`` (half precision) and ``NAME.json``, its
model card: architecture, input geometry, SHA-256 of the weights, and what it was trained on.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

SHIPPED = Path(__file__).with_name("weights")


class WeightsError(RuntimeError):
    """A weight file or its model card is missing, damaged or not the one the card describes."""


def read_card(name: str, model_dir: Path | None = None) -> dict:
    """Read the model card ``NAME.json`` of ``model_dir`` (default: the weights shipped)."""
    path = Path(model_dir or SHIPPED) / f"{name}.json"
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(
            f"The model card {path} does not exist; give a folder that holds it with --model-dir."
        ) from None
    except ValueError as error:
        raise WeightsError(f"The model card {path} is not valid JSON ({error}).") from None
    if not isinstance(card, dict) or not isinstance(card.get("sha256"), str):
        raise WeightsError(f"The model card {path} has no 'sha256' of its weights; add it.")
    return card


def has_card(name: str, model_dir: Path | None = None) -> bool:
    """Whether ``model_dir`` (default: the weights shipped) has a model card of this name."""
    return (Path(model_dir or SHIPPED) / f"{name}.json").is_file()


def verified_weights(name: str, card: dict, model_dir: Path | None = None) -> Path:
    """Path of the weights, after comparing their SHA-256 with the card's."""
    path = Path(model_dir or SHIPPED) / f"{name}.safetensors"
    if not path.exists():
        raise WeightsError(
            f"The weights {path} are missing; reinstall MSMorph or its model folder."
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != card["sha256"]:
        raise WeightsError(
            f"The weights {path} have SHA-256 {digest[:12]}..., but their card says"
            f" {card['sha256'][:12]}...; replace the file or its card."
        )
    return path


def load_network(name: str, model_dir: Path | None = None, device: str = "cpu"):
    """Build the network of a card and load its weights: (network in evaluation mode, card)."""
    from networks.architectures import build

    card = read_card(name, model_dir)
    path = verified_weights(name, card, model_dir)
    network = build(card["architecture"])
    fill(network, path)
    return network.eval().to(device), card


def fill(network, path: Path) -> None:
    """Load the weights of a file into a network, in the network's precision.

    Weights that a network lists under two names (MONAI's DynUNet) are in the file once. Raises
    RuntimeError where file and network do not fit.
    """
    from safetensors.torch import load_model

    load_model(network, path)


def save(network, path: Path) -> None:
    """Write the weights of a network in half precision, whole or not at all."""
    import copy
    import os

    from safetensors.torch import save_model

    half = copy.deepcopy(network).half()
    for weights in half.parameters():
        weights.data = weights.data.contiguous()
    aside = path.with_suffix(".partial")
    save_model(half, aside)
    aside.chmod(0o644)  # safetensors writes for the owner only
    os.replace(aside, path)
