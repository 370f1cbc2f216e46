"""The registry: which backend runs, who decides it, and what a user is told."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from fresh import last_error, output
from support import core_or_skip

from fastdrop import backends


def has(name: str) -> bool:
    try:
        backends.load(name)
    except ImportError:
        return False
    return True


def skip_without(name: str) -> None:
    if not has(name):
        pytest.skip(f"the {name} backend cannot run here")


# Makes modules impossible to import, as if they were not installed.
HIDE = "import sys; sys.modules.update(dict.fromkeys({!r}))\n"
SHOW = """
from fastdrop import backends
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(3):
        print(backends.name_of(backends.active()))
for w in caught:
    print(w.category.__name__, w.message)
"""


# --- Loading ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", backends.NAMES)
def test_every_backend_is_complete(name):
    skip_without(name)
    module = backends.load(name)
    assert backends.name_of(module) == name
    assert all(callable(getattr(module, operation)) for operation in backends.OPERATIONS)
    assert isinstance(module.info(), dict)


WAYS = (backends.load, backends.set_backend, lambda name: backends.backend(name).__enter__())


@pytest.mark.parametrize("operation", backends.OPERATIONS)
def test_an_incomplete_backend_is_not_used(monkeypatch, operation):
    before, words = backends.active(), f"the numpy backend is not complete: it lacks {operation}"
    monkeypatch.delattr(backends.load("numpy"), operation)
    for use in WAYS:
        with pytest.raises(ImportError, match=f"^{words}$"):
            use("numpy")
    assert backends.active() is before
    reasons = backends.available()
    assert list(reasons) == list(backends.NAMES)
    assert reasons["numpy"] == f"ImportError: {words}"
    assert all((reasons[name] is None) == has(name) for name in ("c", "numba"))


@pytest.mark.parametrize("name", ["fortran", "", "C", None])
def test_an_unknown_name_is_refused(name):
    before, words = backends.active(), f"has to be one of c, numba, numpy, but got {name!r}"
    for use in WAYS:
        with pytest.raises(ValueError, match=f"^backend {words}$"):
            use(name)
    assert backends.active() is before


# --- Choosing in the process ------------------------------------------------------------------


def test_a_context_holds_for_the_whole_process_and_restores_what_was_before():
    before = backends.active()
    with backends.backend("numpy"):
        assert backends.name_of(backends.active()) == "numpy"
        with ThreadPoolExecutor(1) as thread:
            assert thread.submit(backends.active).result() is backends.active()
        with pytest.raises(KeyError), backends.backend("numpy"):
            raise KeyError
        assert backends.name_of(backends.active()) == "numpy"
    assert backends.active() is before


def test_the_compiled_front_is_open_only_for_the_c_backend(monkeypatch):
    core = core_or_skip()
    calls = []
    enable = core.enable
    monkeypatch.setattr(core, "enable", lambda on: (calls.append(on), enable(on)))
    with backends.backend("c"), backends.backend("numpy"):
        pass
    assert calls[:3] == [True, False, True]


# --- The environment and the fall-back, each in a fresh process -------------------------------


@pytest.mark.parametrize(("name", "needs"), [("c", "fastdrop._core"), ("numba", "numba")])
def test_an_impossible_choice_in_the_environment_is_an_error(name, needs):
    code = HIDE.format([needs]) + "import fastdrop; fastdrop.dropout([1.0])"
    last = last_error(code, FASTDROP_BACKEND=name)
    assert last.startswith(f"ImportError: FASTDROP_BACKEND={name}, but it cannot run: ")
    assert needs.rpartition(".")[2] in last  # the original error


def test_the_best_backend_runs_without_a_word_and_numba_is_not_imported():
    skip_without("c")
    code = (
        SHOW + "import sys, fastdrop; fastdrop.dropout([1.0, 2.0]); print('numba' in sys.modules)"
    )
    assert output(code).split() == ["c"] * 3 + ["False"]


@pytest.mark.parametrize("lost", [["fastdrop._core"], ["fastdrop._core", "numba"]])
def test_falling_back_warns_once_and_names_what_is_lost(lost):
    name = "numpy" if "numba" in lost else "numba"
    skip_without(name)
    *active, warning = output(HIDE.format(lost) + SHOW).splitlines()
    assert active == [name] * 3
    assert warning.startswith(f"RuntimeWarning fastdrop falls back on its {name} backend")
    assert "c cannot run (" in warning
    assert "_core" in warning
    assert ("numba cannot run (" in warning) == ("numba" in lost)


def test_a_fall_back_in_this_process(monkeypatch):
    """As in the fresh processes above, where coverage does not look; or no backend at all."""
    monkeypatch.delenv(backends.VARIABLE, raising=False)
    with backends.backend(backends.name_of(backends.active())):  # to come back from it
        for name in filter(has, ("c", "numba")):
            monkeypatch.delattr(backends.load(name), "run")
        monkeypatch.setattr(backends, "_active", None)
        with pytest.warns(RuntimeWarning, match="falls back on its numpy backend") as caught:
            assert backends.name_of(backends.active()) == "numpy"
    assert len(caught) == 1
    monkeypatch.delattr(backends.load("numpy"), "run")
    with pytest.raises(ImportError, match=r"^no backend of fastdrop can run: c cannot run "):
        backends._choose()
    monkeypatch.setenv(backends.VARIABLE, "numba")
    with pytest.raises(ImportError, match=r"^FASTDROP_BACKEND=numba, but it cannot run: "):
        backends._choose()


# --- What only the Numba backend has ----------------------------------------------------------


@pytest.mark.heavy
def test_numba_runs_where_no_cache_can_be_written():
    skip_without("numba")
    code = """
    import numba.core.caching as caching
    def nowhere(*arguments):
        raise RuntimeError("cannot cache function: no locator available")
    caching.FunctionCache.__init__ = nowhere
    import numpy as np, fastdrop
    x = np.ones(100, np.float32)
    print(np.count_nonzero(fastdrop.dropout(x, 0.5, rng=1)) == np.count_nonzero(
        fastdrop.dropout_mask(100, 0.5, rng=1)))
    """
    assert output(code, FASTDROP_BACKEND="numba") == "True"


@pytest.mark.heavy
def test_numba_caches_each_kernel_in_a_file_of_its_own(tmp_path):
    """Or one process, compiling beside another, could take that one's file for its own."""
    skip_without("numba")
    pytest.importorskip("ml_dtypes")
    code = """
    import ml_dtypes, numpy as np, fastdrop
    for dtype in (np.float16, ml_dtypes.bfloat16):
        x = np.ones((4, 4), dtype)
        fastdrop.dropout(x, 0.5, noise_shape=(4, 1))
        fastdrop.dropout_add(x, x, 0.5)
        for act in ("none", "relu"):
            fastdrop.bias_act_dropout(x, x[0], act, 0.5)
    """
    output(code, FASTDROP_BACKEND="numba", NUMBA_CACHE_DIR=str(tmp_path))
    files = sorted(tmp_path.rglob("*.nbc"))
    assert len(files) > 8
    assert {path.suffixes[-2] for path in files} == {".1"}, "an index has two"


def test_a_damaged_numba_is_no_backend():
    code = """
    import sys, types
    class Damaged(types.ModuleType):
        def __getattr__(self, name):
            raise OSError("libLLVM is not there")
    sys.modules["numba"] = Damaged("numba")
    from fastdrop import backends
    print(backends.available()["numba"])
    """
    text = output(code)
    assert "numba cannot be imported" in text
    assert "libLLVM is not there" in text
