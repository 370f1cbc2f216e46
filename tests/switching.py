"""What holds of `enable` in every face: handles that overlap, and what was there before is back."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest


def check_handles(
    face: Any, drawn: Callable[[], Any], alike: Callable[[Any, Any], bool] = np.array_equal
) -> None:
    """`drawn` is what the other library draws from one seed, by fastdrop while it is enabled."""
    name, before = f"{face.__name__}.enable()", drawn()
    handle = face.enable()
    held = drawn()
    assert not alike(held, before)
    assert handle.active
    assert repr(handle) == f"<{name}: active>"
    for end in (handle.disable, handle.disable, face.disable):
        end()
        assert not handle.active
        assert repr(handle) == f"<{name}: ended>"
        assert alike(drawn(), before)
    first, second = face.enable(), face.enable()
    for _ in range(2):  # the last handle ends it, and each of them once
        first.disable()
        assert alike(drawn(), held)
    with second as same:
        assert same is second
        assert alike(drawn(), held)
    assert alike(drawn(), before)
    with face.enable(), face.enable():
        assert alike(drawn(), held)
    with pytest.raises(KeyError), face.enable():
        raise KeyError
    assert alike(drawn(), before)
    handles = face.enable(), face.enable()
    face.disable()
    assert not any(handle.active for handle in handles)
    assert alike(drawn(), before)
