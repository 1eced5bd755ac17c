"""Settings of all tests."""

from networks.device import keep_from_amx

keep_from_amx()  # as msmorph-train does for DeepSCAN
