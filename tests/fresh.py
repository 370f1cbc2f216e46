"""Code in a fresh interpreter, with fastdrop's environment variables set as a test wants them.

And forked children, examples and other projects' tests, which are programs of their own.
"""

import importlib.util
import os
import re
import select
import signal
import subprocess
import sys
import textwrap
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def _run(*arguments: str, timeout: float = 300, **more: Any) -> subprocess.CompletedProcess[str]:
    words = {"capture_output": True, "text": True, "check": False, "timeout": timeout}
    return subprocess.run([sys.executable, *arguments], **words, **more)


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FASTDROP_")}
    return _run("-c", textwrap.dedent(code), env=environment | variables)


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


def in_child(work: Callable[[], object], seconds: float = 60) -> str:
    """What `work` gives in a forked child, as text; a child that hangs fails the test."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:  # no way out but os._exit: the child must not go on with the tests
        try:
            try:
                text = str(work())
            except BaseException:
                text = traceback.format_exc()
            os.write(writer, text.encode())
        finally:
            os._exit(0)
    os.close(writer)
    try:
        answered, _, _ = select.select([reader], [], [], seconds)
        if not answered:
            os.kill(pid, signal.SIGKILL)
        text = os.read(reader, 65536).decode() if answered else f"no answer in {seconds} s"
    finally:
        os.close(reader)
        os.waitpid(pid, 0)
    return text


def loaded(path: Path, name: str = "") -> ModuleType:
    """The module of a file, that no package has."""
    spec = importlib.util.spec_from_file_location(name or path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def their_tests(
    tests: Path, root: Path, plugin: Path, folder: Path, *options: str, **variables: str
) -> tuple[dict[str, str], str]:
    """What becomes of each of another project's tests, with a plugin of ours; and the output."""
    path = os.pathsep.join([str(plugin.parent), os.environ.get("PYTHONPATH", "")])
    settings = folder / "pytest.ini"  # none of ours, and none of theirs
    settings.write_text("[pytest]\n", encoding="utf-8")
    done = _run(
        *("-m", "pytest", "-p", plugin.stem, "-p", "no:cacheprovider", "-c", str(settings)),
        *("--rootdir", str(root), "-q", "-rA", "--tb=line", *options, str(tests)),
        timeout=1500,
        cwd=folder,
        env={**os.environ, **variables, "PYTHONPATH": path},
    )
    found = re.findall(r"^(PASSED|FAILED|ERROR) \S*?::(\S+)", done.stdout, re.MULTILINE)
    assert found, done.stdout[-3000:] + done.stderr[-3000:]
    return {name: verdict for verdict, name in found}, done.stdout


def failing(run: Callable[..., tuple[dict[str, str], str]]) -> tuple[set[str], int, str]:
    """The tests that pass without us alone, how many there are, and the output with us."""
    ours, words = run("--fastdrop")
    left = {name for name, verdict in ours.items() if verdict != "PASSED"}
    alone = run()[0] if left else {}
    return {name for name in left if alone.get(name) in ("PASSED", None)}, len(ours), words


def example(
    name: str, *arguments: str, folder: Path, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run a program of the repository in a folder: a file, or by its dotted name a module."""
    if not EXAMPLES.exists():
        pytest.skip("an installed fastdrop is tested apart from its repository")
    how = (str(EXAMPLES / name),) if name.endswith(".py") else ("-m", f"examples.{name}")
    path = os.pathsep.join([str(EXAMPLES.parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"}
    more = {"encoding": "utf-8", "env": environment, "cwd": folder}
    return _run(*how, *arguments, timeout=timeout, **more)
