"""Print one of the README's two commands, so that what is tested is what a reader types.

Each is one line of an ``sh`` block that joins its installation to what it runs by ``&&``, and no
line before them installs anything.
"""

import re
import sys
from pathlib import Path

RUNS = {"main": "python examples/train_digits.py", "tests": "pytest -n auto --dist worksteal"}

text = Path("README.md").read_text(encoding="utf-8")
blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
in_blocks = [line for block in blocks for line in block.splitlines() if "install" in line]
anywhere = [line for line in text.splitlines() if "pip install" in line]
if in_blocks[:2] != anywhere[:2]:
    sys.exit(f"README.md: its first two installations have to be in sh blocks, got {anywhere[:2]}")

commands = {}
for (name, runs), line in zip(RUNS.items(), in_blocks, strict=False):
    if not re.fullmatch(rf'pip install "\.\[\w+\]" && {re.escape(runs)}', line):
        sys.exit(f"README.md: the command for {name} should end in `&& {runs}`, got {line!r}")
    commands[name] = line
print(commands[sys.argv[1]])
