"""Handles of `enable` functions: something is on for the whole process while one asks for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Self


class Handle:
    """What an `enable` returns: it can be ended, and ends itself as a context manager."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch

    @property
    def active(self) -> bool:
        """Whether it still holds."""
        return self._switch.holds(self)

    def disable(self) -> None:
        """End what this call of `enable` has begun; all is as before when the last handle ends.

        Ending it again does nothing.
        """
        self._switch.end(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.disable()

    def __repr__(self) -> str:
        return f"<{self._switch.name}(): {'active' if self.active else 'ended'}>"


class Switch:
    """The handles of one `enable` function, called `name`.

    `settle` is told which parts the handles ask for, after every change; it may refuse by raising.
    """

    def __init__(self, name: str, settle: Callable[[set[str]], None]) -> None:
        self.name = name
        self._settle = settle
        self._lock = threading.RLock()
        self._handles: dict[Handle, tuple[str, ...]] = {}

    def _settled(self) -> None:
        self._settle({part for parts in self._handles.values() for part in parts})

    def holds(self, handle: Handle) -> bool:
        """Whether the handle has not been ended."""
        return handle in self._handles

    def begin(self, *parts: str) -> Handle:
        """A new handle that asks for these parts."""
        with self._lock:
            handle = Handle(self)
            self._handles[handle] = parts
            try:
                self._settled()
            except BaseException:
                del self._handles[handle]
                raise
        return handle

    def end(self, handle: Handle) -> None:
        """End one handle."""
        with self._lock:
            if self._handles.pop(handle, None) is not None:
                self._settled()

    def end_all(self) -> None:
        """End every handle."""
        with self._lock:
            self._handles.clear()
            self._settled()
