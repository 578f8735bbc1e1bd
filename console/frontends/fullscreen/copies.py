"""Copies of functions of the libraries that find other names in place of their module's.

Nothing changes for a host that uses the libraries itself.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any


def with_names(function: Any, **names: Any) -> Any:
    """Return a copy of a Python function that finds these names in place of its module's."""
    copy = FunctionType(
        function.__code__,
        {**function.__globals__, **names},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy
