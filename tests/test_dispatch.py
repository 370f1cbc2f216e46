"""What runs: FASTDROP_ISA and FASTDROP_BACKEND in fresh interpreters, and show_config."""

import functools
from typing import Any

import numpy as np
import pytest
from fresh import last_error, output
from support import ISAS as TESTED
from support import core_or_skip

import fastdrop
from fastdrop import _config, backends

ISAS = ("avx512", "avx2", "neon", "vec128", "scalar")
# Not by show_config, which loads every backend.
SHOW = """
from fastdrop import _config, backends
print(backends.name_of(backends.active()), _config._instruction_sets()["active"])
"""
CHECKSUM = """
import zlib
import numpy as np
import fastdrop
x = np.linspace(1, 2, 100_003, dtype=np.float32)
print(zlib.crc32(fastdrop.dropout(x, 0.3, rng=fastdrop.Key(1, 2, 4_000))))
"""
WITHOUT_CORE = "import sys; sys.modules['fastdrop._core'] = None\n"


def sets() -> dict[str, Any]:
    return _config._instruction_sets()


@functools.cache
def reference() -> str:
    return output(CHECKSUM, FASTDROP_BACKEND="numpy")


# instruction sets


@pytest.mark.parametrize(
    ("variable", "name"),
    [*(("ISA", isa) for isa in ISAS), *(("BACKEND", name) for name in backends.NAMES)],
)
def test_the_environment_chooses(variable: str, name: str) -> None:
    of_isa, chosen = variable == "ISA", {"FASTDROP_BACKEND": "c", f"FASTDROP_{variable}": name}
    if of_isa:
        core_or_skip()
    why = sets()["unavailable"].get(name) if of_isa else backends.available()[name]
    if why is None:
        checksum, shown = output(CHECKSUM + SHOW, **chosen).splitlines()
        assert checksum == reference()
        assert shown.split()[of_isa] == name
    else:
        message = last_error("import fastdrop", **chosen)
        assert message.startswith("RuntimeError: " if of_isa else "ImportError: ")
        assert f"FASTDROP_{variable}={name}" in message
        assert why in message


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        *(
            (f"ISA={name}", f"one of avx512, avx2, neon, vec128, scalar, but got {name!r}")
            for name in ("sse9", "AVX2", "auto")
        ),
        ("BACKEND=cuda", "one of c, numba, numpy, but got 'cuda'"),
        ("PREFETCH=yes", "0 or 1, but got 'yes'"),
    ],
)
def test_an_unknown_value_is_an_error_at_import(variable: str, words: str) -> None:
    name, value = f"FASTDROP_{variable}".split("=")
    message = last_error("import fastdrop", **{name: value})
    assert message == f"ValueError: {name} has to be {words}"


def test_the_best_instruction_set_is_the_default_and_the_fixture_impl_has_all() -> None:
    core_or_skip()
    available = sets()["available"]
    assert available[-1] == "scalar"
    assert available == [isa for isa in ISAS if isa in available]
    assert set(available) <= set(TESTED)
    for variables in ({}, {"FASTDROP_ISA": ""}):
        assert output(SHOW, FASTDROP_BACKEND="c", **variables) == f"c {available[0]}"


def test_the_check_for_a_missing_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "_core", None)
    monkeypatch.setattr(_config, "_core_error", "ImportError: gone")
    assert sets() == {
        "active": None,
        "available": [],
        "unavailable": dict.fromkeys(ISAS, "ImportError: gone"),
    }
    assert "instruction set:  none: ImportError: gone" in _config._text(_config._config())
    for variable, error, words in (
        ("FASTDROP_ISA=avx2", RuntimeError, "FASTDROP_ISA=avx2, but .* ImportError: gone"),
        ("FASTDROP_ISA=sse9", ValueError, "FASTDROP_ISA has to be one of"),
        ("FASTDROP_PREFETCH=1", RuntimeError, "FASTDROP_PREFETCH=1, but .* ImportError: gone"),
        ("FASTDROP_PREFETCH=2", ValueError, "FASTDROP_PREFETCH has to be 0 or 1, but got '2'"),
    ):
        with monkeypatch.context() as environment:
            environment.setenv(*variable.split("="))
            with pytest.raises(error, match=words):
                _config._check_variables()
    before = fastdrop.get_num_threads()
    fastdrop.set_num_threads(before)
    assert fastdrop.get_num_threads() == before


def test_without_the_core_everything_else_works() -> None:
    code = WITHOUT_CORE + CHECKSUM + SHOW + "fastdrop.show_config()"
    lines = output(code, FASTDROP_BACKEND="numpy").splitlines()
    assert lines[0] == reference()
    assert lines[1] == "numpy None"
    assert any(line.startswith("instruction set:  none: ") for line in lines)
    message = last_error(WITHOUT_CORE + "import fastdrop", FASTDROP_ISA="avx2")
    assert message.startswith("RuntimeError: FASTDROP_ISA=avx2, but the compiled core is not")


# show_config


def test_show_config(capsys: pytest.CaptureFixture[str]) -> None:
    assert fastdrop.show_config() is None
    text = capsys.readouterr().out
    config = fastdrop.show_config(mode="dicts")
    assert capsys.readouterr().out == ""
    assert text.startswith(f"fastdrop {fastdrop.__version__}, random stream version 1\n")
    assert (config["version"], config["stream_version"]) == (fastdrop.__version__, 1)
    assert (config["threads"], config["numpy"]) == (fastdrop.get_num_threads(), np.__version__)
    for names, choice in ((backends.NAMES, config["backend"]), (ISAS, config["instruction_sets"])):
        assert set(choice["available"]) | set(choice["unavailable"]) == set(names)
        for name in choice["available"]:
            assert f"    {name} " in text
        for name, why in choice["unavailable"].items():
            assert why
            assert f"    {name:12}no: {why}" in text
    assert config["backend"]["active"] in config["backend"]["available"]
    assert config["instruction_sets"] == sets()


def test_prefetching_changes_no_bit() -> None:
    core = core_or_skip()
    show = "import fastdrop; print(fastdrop.show_config('dicts')['prefetch'])"
    assert [output(show, FASTDROP_PREFETCH=on) for on in "01"] == ["False", "True"]
    before, results = core.get_prefetch(), []
    x = np.arange(1.0, 100_001, dtype=np.float32)
    mask = fastdrop.dropout_mask(x.size, 0.3, rng=1)
    try:
        for on in (True, False):
            core.set_prefetch(on)
            assert core.get_prefetch() is on
            found = (
                fastdrop.dropout(x, 0.3, rng=1),
                fastdrop.dropout(x[1:], 0.3, rng=2),
                fastdrop.dropout1d(x.reshape(100, 10, 100), 0.3, rng=1),
                fastdrop.apply_mask(x, mask, 0.3),
            )
            results.append([y.tobytes() for y in found])
    finally:
        core.set_prefetch(before)
    assert results[0] == results[1]


def test_show_config_of_another_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise _config.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(_config.importlib.metadata, "version", missing)
    monkeypatch.setenv("FASTDROP_NUM_THREADS", "3")
    for variable in ("ISA", "BACKEND", "PREFETCH"):
        monkeypatch.delenv(f"FASTDROP_{variable}", raising=False)
    config = fastdrop.show_config(mode="dicts")
    assert config["numba"] is None
    assert config["environment"] == {"FASTDROP_NUM_THREADS": "3"}
    assert "Numba not installed" in _config._text(config)
    assert "FASTDROP_NUM_THREADS=3" in _config._text(config)


@pytest.mark.parametrize("mode", ["dict", "text", 1, True])
def test_show_config_with_a_bad_mode(mode: Any) -> None:
    with pytest.raises(ValueError, match='mode has to be None or "dicts", but got'):
        fastdrop.show_config(mode=mode)
