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


def needs_core() -> None:
    if sets()["active"] is None:
        pytest.skip(f"no compiled core: {sets()['unavailable']['scalar']}")


# instruction sets


@pytest.mark.parametrize("isa", ISAS)
def test_the_environment_chooses_the_instruction_set(isa: str) -> None:
    needs_core()
    why = sets()["unavailable"].get(isa)
    if why is None:
        lines = output(CHECKSUM + SHOW, FASTDROP_ISA=isa, FASTDROP_BACKEND="c").splitlines()
        assert lines == [reference(), f"c {isa}"]
    else:
        message = last_error("import fastdrop", FASTDROP_ISA=isa)
        assert message.startswith("RuntimeError: ")
        assert f"FASTDROP_ISA={isa}" in message
        assert why in message


@pytest.mark.parametrize("name", ["sse9", "AVX2", "auto"])
def test_an_unknown_instruction_set_is_an_error_at_import(name: str) -> None:
    message = last_error("import fastdrop", FASTDROP_ISA=name)
    assert message.startswith("ValueError: FASTDROP_ISA has to be one of avx512, avx2, neon")
    assert message.endswith(f"but got {name!r}")


def test_scalar_can_always_be_chosen_and_the_best_is_the_default() -> None:
    needs_core()
    found = sets()
    assert found["available"][-1] == "scalar"
    assert set(found["available"]) | set(found["unavailable"]) == set(ISAS)
    assert found["available"] == [isa for isa in ISAS if isa in found["available"]]
    best = found["available"][0]
    assert output(SHOW, FASTDROP_BACKEND="c") == f"c {best}"
    assert output(SHOW, FASTDROP_BACKEND="c", FASTDROP_ISA="") == f"c {best}"


def test_the_fixture_impl_leaves_out_nothing_that_runs() -> None:
    needs_core()
    assert set(sets()["available"]) <= set(TESTED)


@pytest.mark.parametrize("isa", ["scalar", "avx2"])
def test_without_the_core_no_instruction_set_can_be_chosen(isa: str) -> None:
    message = last_error(WITHOUT_CORE + "import fastdrop", FASTDROP_ISA=isa)
    assert message.startswith(f"RuntimeError: FASTDROP_ISA={isa}, but the compiled core is not")
    message = last_error(WITHOUT_CORE + "import fastdrop", FASTDROP_ISA="sse9")
    assert message.startswith("ValueError: FASTDROP_ISA has to be one of")


def test_the_check_for_a_missing_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "_core", None)
    monkeypatch.setattr(_config, "_core_error", "ImportError: gone")
    assert _config._instruction_sets() == {
        "active": None,
        "available": [],
        "unavailable": dict.fromkeys(ISAS, "ImportError: gone"),
    }
    assert "instruction set:  none: ImportError: gone" in _config._text(_config._config())
    monkeypatch.setenv("FASTDROP_ISA", "avx2")
    with pytest.raises(RuntimeError, match=r"FASTDROP_ISA=avx2, but .* ImportError: gone"):
        _config._check_variables()
    monkeypatch.setenv("FASTDROP_ISA", "sse9")
    with pytest.raises(ValueError, match="FASTDROP_ISA has to be one of"):
        _config._check_variables()
    monkeypatch.delenv("FASTDROP_ISA")
    monkeypatch.setenv("FASTDROP_PREFETCH", "1")
    with pytest.raises(RuntimeError, match=r"FASTDROP_PREFETCH=1, but .* ImportError: gone"):
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


# backends


@pytest.mark.parametrize("name", backends.NAMES)
def test_the_environment_chooses_the_backend(name: str) -> None:
    why = backends.available()[name]
    if why is None:
        lines = output(CHECKSUM + SHOW, FASTDROP_BACKEND=name).splitlines()
        assert lines[0] == reference()
        assert lines[1].split()[0] == name
    else:
        message = last_error("import fastdrop", FASTDROP_BACKEND=name)
        assert message.startswith("ImportError: ")


def test_an_unknown_backend_is_an_error_at_import() -> None:
    message = last_error("import fastdrop", FASTDROP_BACKEND="cuda")
    assert message.startswith("ValueError: FASTDROP_BACKEND has to be one of c, numba, numpy")


# show_config


def test_show_config_as_a_dict() -> None:
    config = fastdrop.show_config(mode="dicts")
    assert config["version"] == fastdrop.__version__
    assert config["stream_version"] == 1
    assert config["threads"] == fastdrop.get_num_threads()
    assert config["numpy"] == np.__version__
    backend = config["backend"]
    assert backend["active"] in backend["available"]
    assert set(backend["available"]) | set(backend["unavailable"]) == set(backends.NAMES)
    assert set(sets()["available"]) | set(sets()["unavailable"]) == set(ISAS)
    for why in (*backend["unavailable"].values(), *sets()["unavailable"].values()):
        assert isinstance(why, str)
        assert why


def test_show_config_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert fastdrop.show_config() is None
    text = capsys.readouterr().out
    config = fastdrop.show_config(mode="dicts")
    assert capsys.readouterr().out == ""
    assert text.startswith(f"fastdrop {fastdrop.__version__}, random stream version 1\n")
    for name in (*config["backend"]["available"], *config["instruction_sets"]["available"]):
        assert f"    {name} " in text
    for name, why in config["backend"]["unavailable"].items():
        assert name in text
        assert why in text


@pytest.mark.parametrize("on", ["0", "1"])
def test_the_environment_chooses_to_prefetch(on: str) -> None:
    core_or_skip()
    show = "import fastdrop; print(fastdrop.show_config('dicts')['prefetch'])"
    assert output(show, FASTDROP_PREFETCH=on) == str(on == "1")


def test_prefetching_is_0_or_1() -> None:
    message = last_error("import fastdrop", FASTDROP_PREFETCH="yes")
    assert message == "ValueError: FASTDROP_PREFETCH has to be 0 or 1, but got 'yes'"


def test_prefetching_changes_no_bit() -> None:
    core = core_or_skip()
    before = core.get_prefetch()
    x = np.arange(1.0, 100_001, dtype=np.float32)
    results = []
    try:
        for on in (True, False):
            core.set_prefetch(on)
            assert core.get_prefetch() is on
            y = x.reshape(100, 10, 100)
            results.append(
                [
                    fastdrop.dropout(x, 0.3, rng=1).tobytes(),
                    fastdrop.dropout(x[1:], 0.3, rng=2).tobytes(),
                    fastdrop.dropout1d(y, 0.3, rng=1).tobytes(),
                    fastdrop.apply_mask(
                        x, fastdrop.dropout_mask(x.size, 0.3, rng=1), 0.3
                    ).tobytes(),
                ]
            )
    finally:
        core.set_prefetch(before)
    assert results[0] == results[1]


def test_show_config_follows_the_backend() -> None:
    with fastdrop.backend("numpy"):
        assert fastdrop.show_config(mode="dicts")["backend"]["active"] == "numpy"


def test_show_config_names_the_variables_that_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTDROP_NUM_THREADS", "3")
    monkeypatch.delenv("FASTDROP_ISA", raising=False)
    monkeypatch.delenv("FASTDROP_BACKEND", raising=False)
    config = fastdrop.show_config(mode="dicts")
    assert config["environment"] == {"FASTDROP_NUM_THREADS": "3"}
    assert "FASTDROP_NUM_THREADS=3" in _config._text(config)


def test_show_config_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise _config.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(_config.importlib.metadata, "version", missing)
    config = fastdrop.show_config(mode="dicts")
    assert config["numba"] is None
    assert "Numba not installed" in _config._text(config)


@pytest.mark.parametrize("mode", ["dict", "text", 1, True])
def test_show_config_with_a_bad_mode(mode: Any) -> None:
    with pytest.raises(ValueError, match='mode has to be None or "dicts", but got'):
        fastdrop.show_config(mode=mode)
