"""A plugin of pytest for thinc's own tests: its masks are drawn by fastdrop, and counted.

Their settings are beside them, but pytest reads them too late for the option that they add.
"""

from __future__ import annotations

import atexit

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fastdrop", action="store_true")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.getoption("fastdrop"):
        import fastdrop.thinc

        drawn, ours = [], fastdrop.thinc.dropout_

        def counted(*args: object, **kwargs: object) -> object:
            drawn.append(1)
            return ours(*args, **kwargs)

        fastdrop.thinc.dropout_ = counted
        fastdrop.thinc.enable()
        atexit.register(lambda: print(f"masks drawn by fastdrop: {len(drawn)}"))
