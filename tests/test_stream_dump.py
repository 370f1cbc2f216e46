"""The tool that feeds test batteries, built and run: what it writes is the stream."""

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import number, records

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parents[1]
LAST = 2**64 - 1

# What every record of fields stands for: 16 of them from (seed, stream, position) on.
FIELDS = {
    (number(seed), number(stream), number(position)): [number(field) for field in fields]
    for seed, stream, position, *fields in records("fields")
}


def find(name: str) -> str | None:
    """A command on the path, or beside the Python that runs (where pip puts CMake)."""
    return shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture(scope="module")
def fd_stream(tmp_path_factory: pytest.TempPathFactory) -> str:
    if not (ROOT / "tools" / "stream_dump.c").exists():
        pytest.skip("an installed fastdrop is tested apart from its repository")
    cmake = find("cmake")
    if cmake is None:
        pytest.skip("no CMake to build the tool with")
    if not any(map(find, (os.environ.get("CC") or "cc", "gcc", "clang", "cl"))):
        pytest.skip("no C compiler to build the tool with")
    build = tmp_path_factory.mktemp("tools")
    # One set of kernels is enough, and quicker to compile: that all are equal is tested elsewhere.
    options = ["-DFASTDROP_TOOLS=ON", "-DFASTDROP_WITHOUT=avx512;avx2;neon;vec128"]
    for arguments in (
        ["-S", ROOT, "-B", build, *options],
        ["--build", build, "--target", "fd_stream", "--config", "Release"],
    ):
        done = subprocess.run([cmake, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    files = (path for path in build.rglob("fd_stream*") if path.is_file())
    return next(str(path) for path in files if path.suffix in ("", ".exe"))


def dump(tool: str, mode: str, size: int, **options: int) -> np.ndarray:
    """The bytes that the tool writes."""
    named = {**options, "bytes": size}.items()
    arguments = [word for name, value in named for word in (f"--{name}", str(value))]
    written = subprocess.run([tool, mode, *arguments], capture_output=True, check=True).stdout
    assert len(written) == size
    return np.frombuffer(written, np.uint8)


def fields(written: np.ndarray) -> list[int]:
    return [int(field) for field in written.view("<u2")]


@pytest.mark.parametrize("mode", ["fields", "seeds", "streams"])
def test_known_fields(fd_stream: str, mode: str) -> None:
    for (seed, stream, offset), wanted in FIELDS.items():
        written = dump(fd_stream, mode, 32, seed=seed, stream=stream, offset=offset)
        assert fields(written) == wanted, (seed, stream, offset)


@pytest.mark.parametrize("first", [0, LAST])
@pytest.mark.parametrize("steps", [1, 5])
def test_seeds_and_streams_follow_each_other(fd_stream: str, first: int, steps: int) -> None:
    size = 128 * steps  # of one seed or stream
    for offset, mode in itertools.product((0, 4088), ("seed", "stream")):
        more = {mode: first, "offset": offset, "steps": steps}
        written = dump(fd_stream, f"{mode}s", size + 32, **more)
        for n, part in ((first, written[:32]), ((first + 1) % 2**64, written[size:])):
            assert fields(part) == FIELDS[(n, 0, offset) if mode == "seed" else (0, n, offset)]


def test_known_decisions(fd_stream: str) -> None:
    # At p = 1/2 the threshold is 0: what is negative as a signed field is dropped.
    for (seed, stream, offset), of_record in FIELDS.items():
        written = dump(fd_stream, "decisions", 2, seed=seed, stream=stream, offset=offset)
        keep = np.unpackbits(written, bitorder="little")
        assert keep.tolist() == [field < 0x8000 for field in of_record], (seed, stream, offset)


@pytest.mark.parametrize("mode", ["fields", "decisions"])
def test_one_stream_however_it_is_cut(fd_stream: str, mode: str) -> None:
    per_position = {"fields": 2, "decisions": 1 / 8}[mode]
    size, cut = 700_001, 300_000
    whole = dump(fd_stream, mode, size, seed=7, offset=40)
    rest = dump(fd_stream, mode, size - cut, seed=7, offset=40 + int(cut / per_position))
    assert np.array_equal(whole[cut:], rest)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "a mode has to be named, but got nothing"),
        ("bits", "a mode has to be named, but got bits"),
        ("fields --seeds 1", "an option was expected, but got --seeds"),
        ("fields --seed", "an option needs a number below 2^64, but got nothing"),
        ("fields --seed -1", "an option needs a number below 2^64, but got -1"),
        ("fields --seed 1e6", "an option needs a number below 2^64, but got 1e6"),
        (f"fields --seed {2**64}", f"an option needs a number below 2^64, but got {2**64}"),
        ("seeds --steps 0", "--steps has to be between 1 and 64, but got 0"),
        ("seeds --steps 65", "--steps has to be between 1 and 64, but got 65"),
    ],
)
def test_bad_arguments(fd_stream: str, arguments: str, message: str) -> None:
    command = [fd_stream, *arguments.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"fd_stream: {message}\nusage: " in done.stderr


def test_it_ends_when_the_reader_leaves(fd_stream: str) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([fd_stream, "fields"], stdout=pipe, stderr=pipe) as running:
        assert len(running.stdout.read(1 << 20)) == 1 << 20
        running.stdout.close()
        assert running.wait(timeout=60) is not None
        assert running.stderr.read() == b""
