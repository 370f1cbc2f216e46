"""The tool that feeds test batteries, built and run: what it writes is the stream."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import double, number, records

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
    beside = str(Path(sys.executable).parent)
    return shutil.which(name, path=os.pathsep.join([beside, os.environ.get("PATH", "")]))


@pytest.fixture(scope="module")
def fd_stream(tmp_path_factory: pytest.TempPathFactory) -> str:
    if not (ROOT / "tools" / "stream_dump.c").exists():
        pytest.skip("an installed fastdrop is tested apart from its repository")
    cmake = find("cmake")
    if cmake is None:
        pytest.skip("no CMake to build the tool with")
    if not any(map(find, (os.environ.get("CC") or "cc", "gcc", "clang", "cl"))):
        pytest.skip("no C compiler to build the tool with")
    build = str(tmp_path_factory.mktemp("tools"))
    # One set of kernels is enough, and quicker to compile: that all are equal is tested elsewhere.
    configure = ["-S", str(ROOT), "-B", build, "-DFASTDROP_TOOLS=ON"]
    configure.append("-DFASTDROP_WITHOUT=avx512;avx2;neon;vec128")
    for arguments in (
        configure,
        ["--build", build, "--target", "fd_stream", "--config", "Release"],
    ):
        done = subprocess.run([cmake, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return next(
        str(p) for p in Path(build).rglob("fd_stream*") if p.suffix in ("", ".exe") and p.is_file()
    )


def dump(tool: str, mode: str, size: int, **options: int) -> np.ndarray:
    """The bytes that the tool writes."""
    arguments = [mode]
    for name, value in {**options, "bytes": size}.items():
        arguments += [f"--{name}", str(value)]
    written = subprocess.run([tool, *arguments], capture_output=True, check=True).stdout
    assert len(written) == size
    return np.frombuffer(written, np.uint8)


def fields(written: np.ndarray) -> list[int]:
    return [int(field) for field in written.view("<u2")]


@pytest.mark.parametrize("mode", ["fields", "seeds", "streams"])
def test_known_fields(fd_stream: str, mode: str) -> None:
    for (seed, stream, offset), wanted in FIELDS.items():
        written = dump(fd_stream, mode, 32, seed=seed, stream=stream, offset=offset)
        assert fields(written) == wanted, (seed, stream, offset)


@pytest.mark.parametrize(("first", "second"), [(0, 1), (LAST, 0)])
@pytest.mark.parametrize("steps", [1, 5])
def test_seeds_and_streams_follow_each_other(
    fd_stream: str, first: int, second: int, steps: int
) -> None:
    size = 128 * steps  # of one seed or stream
    for offset in (0, 4088):
        written = dump(fd_stream, "seeds", size + 32, seed=first, offset=offset, steps=steps)
        assert fields(written[:32]) == FIELDS[first, 0, offset]
        assert fields(written[size:]) == FIELDS[second, 0, offset]
        written = dump(fd_stream, "streams", size + 32, stream=first, offset=offset, steps=steps)
        assert fields(written[:32]) == FIELDS[0, first, offset]
        assert fields(written[size:]) == FIELDS[0, second, offset]


def test_known_decisions(fd_stream: str) -> None:
    # At p = 1/2 the threshold is 0: what is negative as a signed field is dropped.
    for (seed, stream, offset), of_record in FIELDS.items():
        written = dump(fd_stream, "decisions", 2, seed=seed, stream=stream, offset=offset)
        keep = np.unpackbits(written, bitorder="little")
        assert keep.tolist() == [field < 0x8000 for field in of_record], (seed, stream, offset)


def test_known_masks(fd_stream: str) -> None:
    halves = 0
    for seed, stream, offset, p, n, mask in records("mask"):
        if double(p) == 0.5 and number(n) >= 8:
            halves += 1
            size = number(n) // 8
            key = {"seed": number(seed), "stream": number(stream), "offset": number(offset)}
            assert dump(fd_stream, "decisions", size, **key).tobytes().hex() == mask[: 2 * size]
    assert halves


@pytest.mark.parametrize("mode", ["fields", "decisions"])
def test_one_stream_however_it_is_cut(fd_stream: str, mode: str) -> None:
    per_position = {"fields": 2, "decisions": 1 / 8}[mode]
    size, cut = 700_001, 300_000
    whole = dump(fd_stream, mode, size, seed=7, offset=40)
    offset = 40 + int(cut / per_position)
    rest = dump(fd_stream, mode, size - cut, seed=7, offset=offset)
    assert np.array_equal(whole[cut:], rest)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "a mode has to be named, but got nothing"),
        (["bits"], "a mode has to be named, but got bits"),
        (["fields", "--seeds", "1"], "an option was expected, but got --seeds"),
        (["fields", "--seed"], "an option needs a number below 2^64, but got nothing"),
        (["fields", "--seed", "-1"], "an option needs a number below 2^64, but got -1"),
        (["fields", "--seed", "1e6"], "an option needs a number below 2^64, but got 1e6"),
        (["fields", "--seed", str(2**64)], f"an option needs a number below 2^64, but got {2**64}"),
        (["seeds", "--steps", "0"], "--steps has to be between 1 and 64, but got 0"),
        (["seeds", "--steps", "65"], "--steps has to be between 1 and 64, but got 65"),
    ],
)
def test_bad_arguments(fd_stream: str, arguments: list[str], message: str) -> None:
    done = subprocess.run([fd_stream, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"fd_stream: {message}\nusage: " in done.stderr


def test_it_ends_when_the_reader_leaves(fd_stream: str) -> None:
    with subprocess.Popen(
        [fd_stream, "fields"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert len(running.stdout.read(1 << 20)) == 1 << 20
        running.stdout.close()
        assert running.wait(timeout=60) is not None
        assert running.stderr.read() == b""
