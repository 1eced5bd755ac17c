"""Choice of the device that networks run on."""

from __future__ import annotations

import os


def fast_autocast(device: str):
    """Context in which a network runs in bfloat16 where the hardware has it, else in float32.

    A CPU without bfloat16 instructions emulates them: ten times slower than float32.
    """
    import torch

    kind = device.split(":")[0]
    able = kind != "cpu" or any(
        torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16", "bf16")
    )
    return torch.autocast(kind, torch.bfloat16, enabled=able)


def keep_from_amx() -> None:
    """Keep oneDNN to AVX-512, where nobody chose otherwise; before its first convolution.

    Its bfloat16 gradients of dilated convolutions abort the process on AMX (torch 2.13).
    """
    os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")


def resolve_device(name: str) -> str:
    """Turn ``auto`` into ``cuda`` or ``cpu``; check that a named CUDA device can be used.

    Raises ValueError when ``cuda`` or ``cuda:n`` is asked for and torch sees no such device.
    """
    if name == "cpu":
        return name  # without the second that torch takes to import
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda"):
        index = int(name.partition(":")[2] or 0)
        if not torch.cuda.is_available() or index >= torch.cuda.device_count():
            raise ValueError(f"The device {name} was asked for, but torch finds no such device.")
    return name
