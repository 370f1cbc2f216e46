"""Check a build from which AVX-512 and AVX2 were left out."""

import sys

import fastdrop

sets = fastdrop.show_config(mode="dicts")["instruction_sets"]
fastdrop.show_config()
noted = [
    name
    for name in ("avx512", "avx2")
    if "left out on request" in sets["unavailable"].get(name, "").lower()
]
if noted != ["avx512", "avx2"] or sets["active"] not in ("neon", "vec128", "scalar"):
    sys.exit(f"not what was asked for: {sets}")
