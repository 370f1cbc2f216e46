"""Print what an extra of pyproject.toml asks for, without fastdrop itself, one line each."""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]


def requirements(extra: str) -> Iterator[str]:
    """Follow the extras that an extra names in its turn."""
    for line in project["optional-dependencies"][extra]:
        own = re.fullmatch(rf"{project['name']}\[(.*)\]", line)
        if own is None:
            yield line
            continue
        for name in own[1].split(","):
            yield from requirements(name.strip())


print(*sorted({*project["dependencies"], *requirements(sys.argv[1])}), sep="\n")
