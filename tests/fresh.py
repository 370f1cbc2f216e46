"""Code in a fresh interpreter, with fastdrop's environment variables set as a test wants them.

And examples, which are programs of their own.
"""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FASTDROP_")}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def output(code: str, **variables: str) -> str:
    """What the code prints; it has to succeed."""
    done = run(code, **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def last_error(code: str, **variables: str) -> str:
    """The last line of the traceback; the code has to fail."""
    done = run(code, **variables)
    assert done.returncode == 1, done.stdout
    return done.stderr.strip().splitlines()[-1]


def example(
    name: str, *arguments: str, folder: Path, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run a program of the repository in a folder."""
    if not (EXAMPLES / name).exists():
        pytest.skip("an installed fastdrop is tested apart from its repository")
    return subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
