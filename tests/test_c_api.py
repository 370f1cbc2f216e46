"""The C API from C, Cython, Numba and ctypes: the bits of the public functions; what is refused."""

import ctypes
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from fresh import EXAMPLES, loaded, output
from support import DTYPES
from test_docs import run_examples

import fastdrop
from fastdrop import Key, _arrays, stream

capi = pytest.importorskip("fastdrop.capi", reason="no compiled module", exc_type=ImportError)

HEADER = Path(fastdrop.get_include()) / "fastdrop.h"
TOP = 2**64 - 1

# Seeds, streams and offsets that fill 64 bits, on either side of a block's end.
KEYS = (Key(0), Key(1, 2, 4095), Key(TOP, TOP, 2**63 + 17), Key(5, offset=TOP - 9999))

dropout_at, mask_bits_at, mask_bool_at, fields_at = (
    capi.functions[f"fd_{name}_at"].ctypes
    for name in ("dropout", "mask_bits", "mask_bool", "fields")
)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("n", [0, 1, 8, 63, 64, 65, 4096, 4097, 9999])
def test_by_ctypes(n: int, key: Key) -> None:
    """The bits of the public functions. What is refused: tests/c/test_api.c."""
    place = key.seed, key.stream, key.offset
    for p in (0.0, 0.1, 1.0):
        for dtype in DTYPES:
            x = np.random.default_rng(n).standard_normal(n).astype(dtype)
            expected = fastdrop.dropout(x, p, rng=key)
            for y in (np.full_like(x, 7), x):
                arguments = x.ctypes.data, y.ctypes.data, n, p, *place
                assert dropout_at(capi.DTYPES[dtype.name], *arguments) == 0
                np.testing.assert_array_equal(y, expected)
        bits, mask = np.full((n + 7) // 8, 0xAA, np.uint8), np.full(n, 7, np.uint8)
        assert mask_bits_at(bits.ctypes.data, n, p, *place) == 0
        assert mask_bool_at(mask.ctypes.data, n, p, *place) == 0
        np.testing.assert_array_equal(bits, fastdrop.dropout_mask(n, p, rng=key, packed=True))
        np.testing.assert_array_equal(mask, fastdrop.dropout_mask(n, p, rng=key))
    guarded = np.full(n + 2, 12345, np.int16)
    assert fields_at(guarded[1:].ctypes.data, n, *place) == 0
    assert guarded[0] == guarded[-1] == 12345
    # With p = 1/4 the threshold is whole: no block has another.
    keep = guarded[1:-1] >= 65536 // 4 - 32768
    np.testing.assert_array_equal(keep, fastdrop.dropout_mask(n, 0.25, rng=key))


# --- what is published ----------------------------------------------------------------------------


def declared(text: str) -> dict[str, str]:
    """The functions that a header or a ``.pxd`` declares, names and spaces of arguments apart."""
    found = {}
    for name, arguments in re.findall(r"^(?:cdef )?int (fd_\w+_at)\(([^)]*)\)", text, re.MULTILINE):
        types = [re.sub(r"\b\w+$|\s", "", one) for one in arguments.split(",")]
        found[name] = ",".join(types)
    return found


def test_the_header_the_pxd_and_the_module_agree() -> None:
    header = HEADER.read_text(encoding="utf-8")
    pxd = Path(capi.__file__).with_suffix(".pxd").read_text(encoding="utf-8")
    assert declared(header) == declared(pxd)
    assert set(declared(header)) == set(capi.functions) == set(capi.__pyx_capi__)
    (names,) = re.findall(r"typedef enum fd_dtype \{(.*?)\}", header)
    dtypes = [name.strip() for name in names.split(",")][:-1]
    assert re.findall(r"^    (FD_\w+) = (\d)$", pxd, re.MULTILINE) == [
        (name, str(i)) for i, name in enumerate(dtypes)
    ]
    assert list(capi.DTYPES.values()) == list(range(len(dtypes)))
    assert set(capi.DTYPES) == set(_arrays.KINDS)
    for name, function in capi.functions.items():
        assert len(function.argtypes) == len(declared(header)[name].split(","))
    assert f"#define FD_STREAM_VERSION {stream.VERSION}\n" in header


def test_the_docstring() -> None:
    assert run_examples(capi.__doc__, "fastdrop.capi")
    for name in capi.functions:
        assert f"\n{name} " in capi.__doc__


def test_without_the_core_errors_say_so() -> None:
    code = """
        import sys
        sys.modules["fastdrop._core"] = None
        import fastdrop
        for call in (fastdrop.get_include, lambda: __import__("fastdrop.capi")):
            try:
                call()
            except (ImportError, RuntimeError) as error:
                print(type(error).__name__, error)
    """
    lines = output(code, FASTDROP_BACKEND="numpy").splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["RuntimeError", "ImportError"]
    assert all("compiled core, which is not there" in line for line in lines)


# --- from compiled code ---------------------------------------------------------------------------


def check_relu_dropout(relu_dropout: Callable[..., None]) -> None:
    for n in (1, 4096, 4097, 100_003):
        x = np.random.default_rng(n).standard_normal(n, np.float32)
        expected = fastdrop.dropout(np.maximum(x, 0), 0.1, rng=Key(2**63 + 1, offset=2**60 + 1))
        relu_dropout(x, 0.1, 2**63 + 1, 2**60 + 1)
        np.testing.assert_array_equal(x, expected)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        relu_dropout(x, 1.5, 0, 0)


def example(name: str) -> Path:
    if not EXAMPLES.exists():
        pytest.skip("an installed fastdrop is tested apart from its repository")
    return EXAMPLES / "c_api" / name


def compile_and_import(source: Path, folder: Path, *options: str) -> ModuleType:
    compiler = next(filter(shutil.which, ("cc", "gcc", "clang")), None)
    include = Path(sysconfig.get_path("include"))
    if compiler is None or sys.platform == "win32":
        pytest.skip("there is no C compiler with a Unix command line")
    if not (include / "Python.h").exists():
        pytest.skip(f"Python's headers are not in {include}")
    target = folder / f"{source.stem}.so"
    shared = ["-shared", "-fPIC"]
    if sys.platform == "darwin":
        shared += ["-undefined", "dynamic_lookup"]
    command = [compiler, *shared, "-Wall", "-Wextra", "-Werror", *options]
    run([*command, f"-I{include}", str(source), "-o", str(target)])
    return loaded(target)


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_c(tmp_path: Path) -> None:
    source = example("c_extension.c")
    module = compile_and_import(source, tmp_path, "-std=c11", f"-I{fastdrop.get_include()}")
    check_relu_dropout(module.relu_dropout)


def transpiled(source: Path, folder: Path, include: Path) -> Path:
    """The extension in C."""
    pytest.importorskip("Cython", reason="Cython is not installed")
    target = folder / f"{source.stem}.c"
    command = [sys.executable, "-m", "cython", "-3", "-I", str(include)]
    run([*command, str(source), "-o", str(target)])
    return target


@pytest.mark.heavy
def test_cython(tmp_path: Path) -> None:
    packages = Path(capi.__file__).parents[1]  # an editable install is not on Cython's path
    source = transpiled(example("cython_extension.pyx"), tmp_path, packages)
    # Cython's own code gives rise to warnings.
    check_relu_dropout(compile_and_import(source, tmp_path, "-Wno-error").relu_dropout)


@pytest.mark.heavy
def test_cython_refuses_another_type(tmp_path: Path) -> None:
    """What an extension was compiled for is compared with what is there, when it is imported."""
    package, source = tmp_path / "fastdrop", tmp_path / "stale.pyx"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "capi.pxd").write_text("cdef int fd_fields_at(int *) noexcept nogil\n")
    source.write_text("from fastdrop.capi cimport fd_fields_at\ndef f():\n    fd_fields_at(NULL)\n")
    target = transpiled(source, tmp_path, tmp_path)
    with pytest.raises(TypeError, match="wrong signature"):
        compile_and_import(target, tmp_path, "-Wno-error")


def test_numba_and_ctypes() -> None:
    pytest.importorskip("numba")
    module = loaded(example("numba_and_ctypes.py"))
    check_relu_dropout(module.relu_dropout)
    expected = (ctypes.c_int16 * 100)()
    assert fields_at(ctypes.addressof(expected), 100, 3, 0, 0) == 0
    assert module.first_fields(100, 3) == list(expected)


def test_numba_finds_the_functions_as_cythons() -> None:
    extending = pytest.importorskip("numba").extending
    for name, function in capi.functions.items():
        assert extending.get_cython_function_address("fastdrop.capi", name) == function.address
