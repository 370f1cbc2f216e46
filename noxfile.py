"""One-word commands, ``nox -s tests-3.13`` or ``nox -s style``; ``nox --list`` names them all.

``tests`` and ``bench`` take arguments after ``--``. The others are the steps of ``.ci/run``, which
run also where they have been recorded as passed.
"""

from collections.abc import Callable
from pathlib import Path

import nox

nox.options.sessions = ["style", "types", "tests"]
nox.options.error_on_missing_interpreters = False


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def tests(session: nox.Session) -> None:
    """The test suite, for each Python that is found."""
    session.install(".[test]")
    session.run("pytest", "-n", "auto", "--dist", "worksteal", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks; what they mean, docs/benchmarks.md says."""
    session.install(".[bench]")
    session.run("pytest", "--benchmark-only", *session.posargs)


def _step(name: str) -> Callable[[nox.Session], None]:
    def run(session: nox.Session) -> None:
        session.run("bash", ".ci/run", "--all", name, external=True)

    run.__doc__ = f"The step {name} of .ci/run."
    return run


for _path in sorted(Path(".ci/steps").iterdir()):
    nox.session(python=False, name=_path.name)(_step(_path.name))
