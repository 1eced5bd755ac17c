"""Settings of all tests."""

import os

# As msmorph-train sets it for DeepSCAN, whose bfloat16 gradients abort the process on AMX.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")
