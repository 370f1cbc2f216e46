"""From a public function's arguments to its result: once, in one place, without a step back.

Operands are checked, then the rate, the option, the flag and the output; then all memory is
allocated, and positions are reserved: a MemoryError must not advance a generator. Then a backend
computes. Nothing is written before every check has passed.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
import numpy.typing as npt

from . import _arrays, backends
from ._arrays import Array
from ._bias import as_bias, check_activation, lengthened
from ._rates import Rate, kept_scale, make_block_plan
from ._rng import RNGLike, check_repeatable, check_unused, default_generator, resolve
from ._window import Place, Window, WindowLike, check_window, place_of
from .backends.call import Bias, Call, room_for, steps_of
from .variants import Variant

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(front: str, *variants: Variant) -> Callable[[_Function], _Function]:
    """Put a function of the compiled core in front of the decorated one.

    It computes the common case, and calls the decorated function for every other. Without a
    compiled core the decorated function is left alone.
    """

    def decorate(general: _Function) -> _Function:
        try:
            from . import _core
        except ImportError:
            return general
        function = getattr(_core, front)(general, default_generator, *variants)
        return cast("_Function", functools.update_wrapper(function, general))

    return decorate


@compiled("run_front")
def run(
    variant: Variant,
    operands: tuple[npt.ArrayLike, ...],
    p: float,
    training: bool,
    rng: RNGLike,
    out: Array | None,
    window: WindowLike | None = None,
    *option: object,
    act: tuple[object, npt.ArrayLike | None] | None = None,
) -> Array:
    """The work of a public function; several results are a tuple, whatever the annotation says.

    With a `window` the operands are parts of larger arrays, and so are their decisions. `option` is
    what the variant's decisions depend on, `act` an activation and its bias. Arguments by name cost
    a small call a fifth of its time.
    """
    names = variant.operands
    found = checked(variant, operands, p, training, *option, act=act, window=window)
    x, reads, kind, rate, decisions, activation, training, part = found
    target = None
    if out is not None:
        target = _arrays.check_out(out, x, names[0])
        for other, name in zip(reads[1:], names[1:], strict=True):
            _arrays.check_overlap(target, other, name)
        if activation is not None and activation[1] is not None:
            _arrays.check_apart(activation[1], target, "bias")
    if variant.repeats and training:
        check_repeatable(rng)
    draws = training and (x if part is None else part.whole).size > 0
    place = None
    if not draws:
        check_unused(rng)
    elif part is not None:
        place = place_of(decisions or part.shape, x.shape, part.start)
        if not x.size:
            # There is nothing to compute, but whoever has the other parts reserves as much.
            place.key(rng, variant.positions)
            draws = False
    unchanged = variant.evaluation is None or (not x.size and variant.operation == "scale")
    if unchanged and not draws:
        if target is not None and target is not x:
            np.copyto(target, x)
        return _arrays.itself(operands[0], x) if out is None else out
    if target is None:
        writes = [np.empty_like(x, subok=False) for _ in range(variant.results)]
    else:
        writes = [target]
    if x.size:
        sources = tuple([_arrays.storage(array, kind) for array in reads])
        results = tuple([_arrays.storage(array, kind) for array in writes])
        extra = None if activation is None else (activation[0], lengthened(activation[1], x, kind))
        if draws:
            shape = None
            if place is None and decisions is not None:
                shape = _arrays.storage_shape(decisions, x)
            elif place is not None and place.steps is not None:
                place = place._replace(steps=_arrays.storage_shape(place.steps, x))
            apply(variant, sources, results, kind, rate, rng, shape, extra, place)
        elif variant.evaluation is not None:
            numbers = variant.evaluation.numbers(p, kind)
            call = Call(variant.evaluation.operation, kind, sources, results, numbers)
            _compute(call, extra)
    if out is not None:
        return out
    return writes[0] if variant.results == 1 else tuple(writes)  # type: ignore[return-value]


class Checked(NamedTuple):
    """The arguments of a call, each of which is what it has to be."""

    x: Array
    """The first operand."""
    reads: list[Array]
    kind: str
    rate: Rate
    decisions: tuple[int, ...] | None
    """Their shape; None for each element of the whole by itself."""
    activation: tuple[str, Array | None] | None
    training: bool
    part: Window | None


def checked(
    variant: Variant,
    operands: tuple[npt.ArrayLike, ...],
    p: float,
    training: bool,
    *option: object,
    act: tuple[object, npt.ArrayLike | None] | None = None,
    window: WindowLike | None = None,
) -> Checked:
    """The arguments of `run`, but for `rng` and `out`."""
    names = variant.operands
    x = _arrays.as_input(operands[0], names[0])
    kind = _arrays.kind_of(x.dtype, names[0])
    reads = [x]
    for value, name in zip(operands[1:], names[1:], strict=True):
        reads.append(_arrays.as_operand_like(value, x, name, names[0]))
    part = None if window is None else check_window(window, x.shape, names[0])
    rate = variant.rate(p, kind)
    decisions = None
    if variant.decisions is not None:
        decisions = variant.decisions(x if part is None else part.whole, *option)
    activation = None
    if act is not None:
        values = None if act[1] is None else as_bias(act[1], x)
        activation = check_activation(act[0]), values
    training = _arrays.check_flag(training, "training")
    return Checked(x, reads, kind, rate, decisions, activation, training, part)


def _compute(call: Call, act: tuple[str, Bias] | None) -> None:
    if act is not None:
        call = call._replace(act=act[0], bias=act[1])
    backends.active().run(call)


def apply(
    variant: Variant,
    reads: tuple[Array, ...],
    writes: tuple[Array, ...],
    kind: str,
    rate: Rate,
    rng: RNGLike,
    decisions: tuple[int, ...] | None = None,
    act: tuple[str, Bias] | None = None,
    place: Place | None = None,
) -> None:
    """The last steps: reserve positions, and compute.

    Arrays are checked, and as backends take them: 16-bit floats are uint16. `decisions` has an axis
    for each of theirs; None is a decision for each element. A `place` says more: where the
    decisions of a part of a larger array are.
    """
    plan, numbers = rate
    x = reads[0]
    if variant.block_axes and decisions is not None:
        _drop_blocks(x, writes[0], kind, numbers[0], variant.block_axes, rng, decisions)
        return
    if place is None:
        place = Place(x.size, 0, None) if decisions is None else place_of(decisions, x.shape)
    steps, mask = place.steps, None
    if plan is not None and steps is not None:
        own = math.prod(n if step else 1 for n, step in zip(x.shape, steps, strict=True))
        if own < x.size:
            mask = room_for(own)
    key = place.key(rng, variant.positions)
    _compute(Call(variant.operation, kind, reads, writes, numbers, key, plan, steps, mask), act)


def _drop_blocks(
    x: Array, y: Array, kind: str, p: float, axes: int, rng: RNGLike, corners: tuple[int, ...]
) -> None:
    """Reserve positions and drop blocks in planes, the last `axes` of `x`.

    A decision is drawn for each place of a block's lowest corner. Planes share them along axes
    where `corners` are 1. Kept elements are scaled by the number of all over that of kept ones.
    """
    lengths, planes = x.shape[-axes:], corners[:-axes]
    block = lengths[0] - corners[-axes] + 1
    plan = make_block_plan(p, lengths, block)
    mask_shape = (*planes, *lengths)
    n = math.prod(mask_shape)
    bits = room_for(n)
    backend = backends.active()
    key = resolve(rng, math.prod(corners))
    kept = backend.drop_block_packed(bits, (math.prod(planes), *lengths), block, key, plan)
    if not kept:
        y.fill(0)
        return
    steps = None if mask_shape == x.shape else steps_of(mask_shape)
    numbers = (kept_scale(n, kept, kind),)
    backend.run(Call("scale", kind, (x,), (y,), numbers, steps=steps, mask=bits))
