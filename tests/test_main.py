"""``python -m fastdrop``: the report, the self-check with its own answers, the table of speeds."""

import subprocess
import sys
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from timeit import Timer
from typing import Any

import numpy as np
import oracle
import pytest
from support import by_threads

import fastdrop
from fastdrop import __main__ as command
from fastdrop import _selfcheck, _throughput, backends
from fastdrop._arrays import KINDS
from fastdrop._selfcheck import CASES, Case, Implementation
from fastdrop.backends.call import Call


def case_id(case: Case) -> str:
    return f"{case.seed}-{case.stream}-{case.offset}-{case.p}-{case.n}"


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_answers_are_the_oracles(case: Case) -> None:
    keep = oracle.mask(case.seed, case.stream, case.offset, case.p, case.n)
    assert zlib.crc32(oracle.packed(keep)) == case.mask
    for kind, expected in zip(KINDS, case.results, strict=True):
        bits = _selfcheck.pattern(kind, case.n)
        bits = bits.view(f"u{bits.itemsize}")
        scale = oracle.scales(case.p, kind)[0] if case.p < 1 else None
        products = [
            int(oracle.multiply(int(x), scale, kind), 16) if kept else 0
            for x, kept in zip(bits, keep, strict=True)
        ]
        result = np.array(products, bits.dtype)
        assert _selfcheck.checksum(result) == expected, kind


def test_cases_show_both_thresholds_of_a_block() -> None:
    """One field in 65,536 depends on the block's own threshold: two cases were chosen for it."""
    decided = set()
    for case in CASES:
        if not 0 < case.p < 1:
            continue
        source, (threshold, _) = oracle.Stream(case.seed, case.stream), oracle.plan(case.p)
        for position in range(case.offset, case.offset + case.n):
            if source.field(position) ^ 0x8000 == threshold:
                higher = source.threshold(position, case.p) > threshold
                assert source.keep(position, threshold + higher) is not higher
                decided.add(higher)
    assert decided == {False, True}


@pytest.mark.parametrize("kind", KINDS)
def test_pattern_has_numbers_of_every_size(kind: str) -> None:
    x = _selfcheck.pattern(kind, 5000)
    if kind == "bfloat16":
        x = (x.astype(np.uint32) << 16).view(np.float32)
    elif kind == "float16":
        x = x.view(np.float16)
    values = np.abs(x.astype(np.float64))
    assert np.all(np.isfinite(x))
    assert {True, False} == set(np.signbit(x).tolist())
    assert np.ptp(np.frexp(values[values > 0])[1]) > 25


def test_implementations_are_those_that_can_run() -> None:
    found = _selfcheck.implementations()
    config = fastdrop.show_config(mode="dicts")
    assert Implementation("numpy") in found
    assert {one.backend for one in found} == set(config["backend"]["available"])
    assert [one.isa for one in found if one.backend == "c"] == (
        config["instruction_sets"]["available"] if "c" in config["backend"]["available"] else []
    )


def test_using_restores_what_was_in_use() -> None:
    before = fastdrop.show_config(mode="dicts")
    for implementation in _selfcheck.implementations():
        with _selfcheck.using(implementation):
            config = fastdrop.show_config(mode="dicts")
        assert config["backend"]["active"] == implementation.backend
        if implementation.isa is not None:
            assert config["instruction_sets"]["active"] == implementation.isa
        with pytest.raises(KeyError), _selfcheck.using(implementation):
            raise KeyError
    assert fastdrop.show_config(mode="dicts") == before


def shifted(operation: Callable[..., None]) -> Callable[..., None]:
    """The operation with a mistake: every mask is that of the next position."""

    def moved(argument: object) -> object:
        if isinstance(argument, fastdrop.Key):
            return fastdrop.Key(argument.seed, argument.stream, (argument.offset + 1) % 2**63)
        if isinstance(argument, Call):
            return argument._replace(key=moved(argument.key))
        return argument

    def wrong(*arguments: object) -> None:
        operation(*map(moved, arguments))

    return wrong


@pytest.mark.parametrize("operation", ["run", "mask_packed", "mask_bool"])
def test_a_wrong_mask_is_found(operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = backends.load("numpy")
    monkeypatch.setattr(module, operation, shifted(getattr(module, operation)))
    assert _selfcheck.mistakes(Implementation("numpy"))


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_], ids=["packed", "bool"])
def test_a_wrong_product_is_found(dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = backends.load("numpy")
    right = module.run

    def wrong(call: Call) -> None:
        if call.mask is not None and call.mask.dtype == dtype:
            scale = np.nextafter(np.float32(call.numbers[0]), np.float32(np.inf))
            call = call._replace(numbers=(float(scale),))
        right(call)

    monkeypatch.setattr(module, "run", wrong)
    assert _selfcheck.mistakes(Implementation("numpy"))


def test_a_failed_check_is_told_and_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = backends.load("numpy")
    monkeypatch.setattr(module, "mask_bool", shifted(module.mask_bool))
    assert command.main(["--seconds", "0.01"]) == 1
    text = capsys.readouterr().out
    assert "numpy       WRONG" in text
    assert "bool mask: Key(seed=1, stream=0, offset=0), p=0.1, 1000 elements" in text
    assert "please report it" in text
    assert "throughput" not in text


def test_check_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--check-only"]) == 0
    text = capsys.readouterr().out
    assert "random stream version 1" in text
    for implementation in _selfcheck.implementations():
        assert f"{implementation!s:12}right" in text
    assert "throughput" not in text


def test_table_has_the_limit_the_copy_and_every_implementation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_throughput, "SIZES", {"1 K": 1024, "4 K": 4096})
    work = lambda: (command.main(["--seconds", "0.05"]), fastdrop.get_num_threads())  # noqa: E731
    assert by_threads(work, (2,)) == [(0, 2)]
    text = capsys.readouterr().out
    limit = next(line for line in text.splitlines() if line.startswith("limit: "))
    assert limit.count("(1.00)") == 2
    assert "np.multiply(x, s, out=x)" in limit
    ours = [f"fastdrop in place, {one} " for one in _selfcheck.implementations()]
    for words in ("copy: np.copyto(y, x)", "NumPy by hand", ", 2 threads", *ours):
        assert words in text


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon"])
def test_bad_seconds(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--seconds", seconds])
    assert ended.value.code == 2
    assert "--seconds" in capsys.readouterr().err


def test_rows_are_measured_in_turn() -> None:
    calls: list[str] = []
    names = ("first", "second")
    rows = [_throughput.Row(name, Timer(partial(calls.append, name))) for name in names]
    first, second = _throughput.samples(rows, seconds=0.0, least=4)
    assert len(first) == len(second) == 4
    assert all(seconds > 0 for seconds in first + second)
    turns = [name for name, before in zip(calls, [None, *calls], strict=False) if name != before]
    assert turns == ["first", "second"] * 5  # once to find how many calls a sample takes


def test_by_hand_is_dropout() -> None:
    y = _throughput.dropout_by_hand(np.ones(10_000, np.float32), 0.1, np.random.default_rng(1))
    assert y.dtype == np.float32
    assert set(y.tolist()) == {0.0, float(np.float32(1 / (1 - 0.1)))}
    assert 0.87 < np.count_nonzero(y) / y.size < 0.93


def test_processor_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _throughput.cpu_name()

    def missing(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    assert _throughput.cpu_name()


@pytest.mark.heavy
def test_command_in_a_process_of_its_own() -> None:
    line = [sys.executable, "-m", "fastdrop", "--check-only"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "self-check" in done.stdout
