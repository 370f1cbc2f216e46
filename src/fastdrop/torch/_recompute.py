"""Keys that are drawn twice: by checkpoints, and by a compiled function's backward pass.

Every thread notes the keys that it draws, in their order. Each part of a computation that may be
computed again has its first key there: parts are found on the stack as they run, and remember
their place. A node of the graph that was not found was numbered by autograd before anything in it
ran. What is computed again gets the same keys from there on, in the same order, and no generator
moves.
"""

from __future__ import annotations

import bisect
import sys
import threading
import weakref
from collections.abc import Iterator
from operator import itemgetter
from types import FrameType
from typing import Any, Final, NamedTuple, TypeAlias

import torch

from ._private import (
    RUNS_CHECKPOINTS,
    current_graph_task_id,
    get_sequence_nr,
    knows_checkpoints,
    top_saved_tensors_default_hooks,
)

Words: TypeAlias = "tuple[int, int, int]"
"""Seed, stream and offset."""
Who: TypeAlias = "tuple[int, int]"
"""What draws: the id of a generator, and the place in a traced graph, -1 outside of graphs."""

KEPT: Final = 1 << 15
"""So many keys are remembered at least, of each thread."""

_CHECKPOINT: Final = "torch.utils.checkpoint"
_KNOWN: Final = knows_checkpoints()
_COMPILED: Final = "torch._functorch._aot_autograd.runtime_wrappers"


class _Notes:
    """The keys that one thread has drawn. Their places count those that have been forgotten."""

    def __init__(self) -> None:
        # With autograd's sequence numbers at those times.
        self.entries: list[tuple[int, Who, Words]] = []
        self.forgotten = 0
        self.last_forgotten = -1  # its sequence number

    def end(self) -> int:
        return self.forgotten + len(self.entries)

    def add(self, who: Who, words: Words) -> None:
        entries = self.entries
        entries.append((get_sequence_nr(), who, words))
        if len(entries) >= 2 * KEPT:
            extra = len(entries) - KEPT
            self.forgotten += extra
            self.last_forgotten = entries[extra - 1][0]
            del entries[:extra]

    def after_node(self, number: int) -> int:
        """The place of the first key that was drawn after that node had been made."""
        if self.last_forgotten > number:
            return 0
        return self.forgotten + bisect.bisect_right(self.entries, number, key=itemgetter(0))

    def find(self, who: Who, place: int) -> int | None:
        """The place of the next key of `who`, from that one on."""
        if place < self.forgotten:
            raise RuntimeError(
                f"what is computed again drew its keys before the last {KEPT} ones, and they are "
                "no longer known: checkpoint smaller parts"
            )
        for i in range(place - self.forgotten, len(self.entries)):
            if self.entries[i][1] == who:
                return i + self.forgotten
        return None


class _Thread(threading.local):
    """The notes of a thread, and how far it has come in computing something again."""

    run: object
    reached: dict[Who, tuple[_Notes, int]]

    def __init__(self) -> None:
        self.notes = _Notes()
        _all_notes.add(self.notes)
        self.run = None
        self.reached = {}


_all_notes: Final[weakref.WeakSet[_Notes]] = weakref.WeakSet()
_thread: Final = _Thread()

# The attribute of a node that has where its keys begin, whatever thread goes back through it.
_BEGUN: Final = "_fastdrop_begun"

# Where the parts begin that are no nodes: `torch.utils.checkpoint` with use_reentrant=False.
_begun: Final[weakref.WeakKeyDictionary[Any, tuple[_Notes, int]]] = weakref.WeakKeyDictionary()


class _Region(NamedTuple):
    """What is computed again just now: a checkpoint's record, or the number of a node."""

    record: Any
    begun: tuple[_Notes, int] | None  # what a node has remembered
    number: int
    run: object  # tells this time from all others
    compiled: bool


def note(who: Who, words: Words) -> None:
    """Remember a key that has been drawn."""
    _thread.notes.add(who, words)


def again(who: Who, by_default: bool) -> Words | None:
    """The key that `who` drew when this was computed for the first time; None where it is new.

    `by_default` is for PyTorch's default generator, whose state checkpoints restore themselves.

    Raises
    ------
    NotImplementedError
        A checkpoint computes a compiled function again by another graph.
    """
    hooks: Any = top_saved_tensors_default_hooks(True)
    if hooks is None and current_graph_task_id() == -1:
        # A node's forward pass is computed without gradients.
        if not torch.is_grad_enabled() and (not by_default or who[1] >= 0):
            _begin_nodes()
        return None
    region = _look_around(hooks, by_default)
    if region is None or (by_default and not region.compiled):
        return None
    if _thread.run != region.run:
        _thread.run = region.run
        _thread.reached = {}
    found = _thread.reached.get(who) or _first(who, region)
    at = None if found is None else found[0].find(who, found[1])
    if found is None or at is None:
        if who[1] >= 0 and not region.compiled:
            advice = ": pass use_reentrant=False" if region.record is None else ""
            raise NotImplementedError(
                "a compiled function that draws from a generator of its own inside of "
                "torch.utils.checkpoint was compiled anew for the backward pass, and would draw "
                f"another mask{advice}"
            )
        return None
    notes = found[0]
    _thread.reached[who] = notes, at + 1
    words = notes.entries[at - notes.forgotten][2]
    note(who, words)  # what is computed again may have parts that will be, too
    return words


def _first(who: Who, region: _Region) -> tuple[_Notes, int] | None:
    """Whose notes have the first key of `who` in the region, and where they begin with it."""
    if region.record is not None:
        return _begun.get(region.record)
    if region.begun is not None:
        return region.begun
    own = _thread.notes
    if own.find(who, own.after_node(region.number)) is not None:
        return own, own.after_node(region.number)
    # Nodes do not know their thread, and numbers are each thread's own.
    others = [
        (notes, place)
        for notes in list(_all_notes)
        if notes is not own
        and (place := notes.after_node(region.number)) >= notes.forgotten
        and notes.find(who, place) is not None
    ]
    if len(others) > 1:
        raise RuntimeError(
            "several threads have drawn from this generator: the backward pass has to be called "
            "by the thread that ran the forward pass"
        )
    return others[0] if others else None


def _look_around(hooks: Any, by_default: bool) -> _Region | None:
    """Note where checkpoints begin that run just now; return what is computed again, if it is.

    Of several regions around, the innermost decides.

    Raises
    ------
    NotImplementedError
        A checkpoint of a PyTorch that is built otherwise, which would draw another mask.
    """
    if hooks is not None:
        _begin(_record_of(hooks[0]))
    for frame in _frames():
        name, module = frame.f_code.co_name, frame.f_globals.get("__name__")
        if module == _CHECKPOINT:
            if not _KNOWN and not by_default:
                raise NotImplementedError(
                    "a generator or seed of one's own inside of torch.utils.checkpoint has to be "
                    f"left out with PyTorch {torch.__version__}: fastdrop.torch does not know how "
                    "this version computes again"
                )
            local = frame.f_locals
            if name in RUNS_CHECKPOINTS and getattr(local.get("gen"), "gi_frame", None) is not None:
                _begin(local["gen"].gi_frame.f_locals.get("new_frame"))
            elif name == "unpack_hook":
                record = local["frame"]
                return _Region(record, None, -1, (id(record), local["gid"]), compiled=False)
        if name == "backward" and module in (_CHECKPOINT, _COMPILED):
            node = frame.f_locals.get("ctx")
            if isinstance(node, torch.autograd.function.BackwardCFunction):
                number = node._sequence_nr()
                run = (id(node), number, current_graph_task_id())  # numbers are each thread's own
                begun = getattr(node, _BEGUN, None)
                return _Region(None, begun, number, run, compiled=module == _COMPILED)
        if name == "forward":
            _begin_node(frame)
    return None


def _frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(3)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _record_of(pack: Any) -> Any:
    """The record of the checkpoint that saves tensors by this function, or None."""
    if getattr(pack, "__module__", None) != _CHECKPOINT or pack.__closure__ is None:
        return None
    names = pack.__code__.co_freevars
    return pack.__closure__[names.index("frame")].cell_contents if "frame" in names else None


def _begin_nodes() -> None:
    """Those whose forward passes go on; written out, because every draw in inference comes here."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_name == "forward":
            _begin_node(frame)
        frame = frame.f_back


def _begin_node(frame: FrameType) -> None:
    """Let a node whose forward pass has this frame remember where its keys begin."""
    if frame.f_globals.get("__name__") in (_CHECKPOINT, _COMPILED):
        node = frame.f_locals.get("ctx")
        if isinstance(node, torch.autograd.function.BackwardCFunction) and not hasattr(
            node, _BEGUN
        ):
            setattr(node, _BEGUN, (_thread.notes, _thread.notes.end()))


def _begin(record: Any) -> None:
    if record is not None and record not in _begun:
        _begun[record] = _thread.notes, _thread.notes.end()
