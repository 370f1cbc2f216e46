"""Records of steps that passed: which inputs they had, and what they took from the machine.

``check STEP`` exits with 0 where the record of a step is of the inputs that are here, and prints
when it passed; otherwise it prints what differs. ``clean`` checks that there is nothing that a
record would not be of, and prints the commit. ``write COMMIT STEP LOG`` records a step that passed.
``validate`` checks what the steps name.

An input is recorded by a hash of git's entries for it: names, modes and the hashes of contents.
"""

import datetime as dt
import hashlib
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

STEPS = Path(".ci/steps")
RECORDS = Path(".ci/records")
ALWAYS = [".ci/common.sh"]


class NoRecordError(Exception):
    """Why a step is not taken for passed, or not recorded."""


def git(*arguments: str) -> str:
    # A clone may belong to somebody else than root, who runs CI.
    command = ["git", "-c", f"safe.directory={Path.cwd()}", *arguments]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        detail = getattr(error, "stderr", "") or error
        raise NoRecordError(f"git cannot say what is here: {detail}".strip()) from error


def field(step: str, name: str) -> list[str]:
    lines = (STEPS / step).read_text(encoding="utf-8").splitlines()
    return " ".join(
        line[len(name) + 4 :] for line in lines if line.startswith(f"# {name}: ")
    ).split()


def of_cpu() -> str:
    """The vector instructions that kernels are written for and this processor has."""
    try:
        flags = set(re.findall(r"\w+", Path("/proc/cpuinfo").read_text(encoding="utf-8")))
    except OSError:
        return platform.processor()
    return " ".join(name for name in ("avx2", "avx512bw", "asimd") if name in flags)


def of_system() -> str:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return platform.platform()
    return f"{release.get('ID')} {release.get('VERSION_ID')} {platform.machine()}"


def of_gcc() -> str:
    command = ["gcc", "-dumpfullversion"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def of_python() -> str:
    return f"{platform.python_implementation()} {sys.version_info[0]}.{sys.version_info[1]}"


def of_pythons() -> str:
    """The CPythons that the step ``wheels`` finds."""
    command = "source .ci/common.sh; for v in 3.1{1..9}; do ! find_python $v >&2 || echo $v; done"
    run = subprocess.run(
        ["bash", "-c", command],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "CI_WORK": os.devnull},
    )
    return " ".join(run.stdout.split())


TOOLS: dict[str, Callable[[], str]] = {
    "cpu": of_cpu,
    "gcc": of_gcc,
    "python": of_python,
    "pythons": of_pythons,
    "system": of_system,
}


def version(tool: str) -> str:
    try:
        return TOOLS[tool]()
    except (OSError, subprocess.CalledProcessError):
        return "none"


def inputs(step: str) -> list[str]:
    named = field(step, "inputs")
    if not named:
        raise NoRecordError(f"{step} names no inputs: it runs for every change")
    return [*named, *ALWAYS, str(STEPS / step)]


def present(step: str) -> dict[str, str]:
    """What a record of the step would say here and now, but for the date."""
    paths = inputs(step)
    if changed := git("status", "--porcelain", "--", *paths):
        raise NoRecordError(f"not committed: {', '.join(changed.split()[1::2])}")
    found = {f"tool {tool}": version(tool) for tool in field(step, "tools")}
    for path in paths:
        entries = git("ls-files", "--stage", "--", path)
        if not entries:
            raise NoRecordError(f"its input {path} is not in the repository")
        found[f"input {path}"] = hashlib.sha256(entries.encode()).hexdigest()[:40]
    return found


def recorded(step: str) -> dict[str, str]:
    try:
        lines = (RECORDS / step).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise NoRecordError("no record") from None
    return dict(line.split(": ", 1) for line in lines)


def check(step: str) -> str:
    here, there = present(step), recorded(step)
    date = there.pop("passed")
    # What passed with more vector instructions has passed with fewer.
    if set(here.get("tool cpu", "").split()) <= set(there.get("tool cpu", "").split()):
        here.pop("tool cpu", None)
        there.pop("tool cpu", None)
    differs = sorted(key for key in {*here, *there} if here.get(key) != there.get(key))
    if differs:
        raise NoRecordError(f"since {date} other than recorded: {', '.join(differs)}")
    return f"passed on {date} with these inputs"


def clean() -> str:
    if changed := git("status", "--porcelain", "--", ".", f":!{RECORDS}"):
        raise NoRecordError(f"records are of a commit, and this is not in one:\n{changed}")
    return git("rev-parse", "HEAD").strip()


def write(commit: str, step: str, log: str) -> str:
    if clean() != commit:
        raise NoRecordError("the checkout has changed while the steps ran")
    said = Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
    # Not pytest's "SKIPPED [n]": what the environment that a step makes is not to have.
    if left_out := [line for line in said if line.startswith("SKIPPED:")]:
        raise NoRecordError(f"not all of it ran: {left_out}")
    today = dt.datetime.now(dt.UTC).date()
    lines = {"passed": str(today), **present(step)}
    RECORDS.mkdir(exist_ok=True)
    text = "".join(f"{key}: {value}\n" for key, value in lines.items())
    part = RECORDS / f".{step}.part"
    part.write_text(text, encoding="utf-8")
    os.replace(part, RECORDS / step)
    return f"{RECORDS / step}: written; commit it"


def validate() -> str:
    """Check that every input that a step names is there: a slip must not hide a change."""
    named = {path.name: field(path.name, "inputs") for path in sorted(STEPS.iterdir())}
    for step, paths in named.items():
        if unknown := set(field(step, "tools")) - set(TOOLS):
            raise NoRecordError(f"{step}: nobody knows the tools {sorted(unknown)}")
        for path in paths:
            if not git("ls-files", "--", path):
                raise NoRecordError(f"{step}: its input {path} is not in the repository")
    return f"{sum(map(bool, named.values()))} of {len(named)} steps can be recorded"


COMMANDS: dict[str, Callable[..., str]] = {
    "check": check,
    "clean": clean,
    "validate": validate,
    "write": write,
}


def main(command: str, *arguments: str) -> None:
    try:
        print(COMMANDS[command](*arguments))
    except NoRecordError as reason:
        print(reason, file=sys.stdout if command == "check" else sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
