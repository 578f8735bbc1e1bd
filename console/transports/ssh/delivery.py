"""Passes a client's input and events to a receiver that may attach itself later. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from console.interfaces.terminals import TerminalReceiver

WAITING_MOST: Final = 1000
"""What a client may say before its session has begun; more is dropped. A channel's window holds
less typed text, and a window that is resized so often has no session to see it."""


class Delivery:
    """Calls a receiver, and queues the calls until there is one."""

    def __init__(self) -> None:
        self._receiver: TerminalReceiver | None = None
        self._attached = False
        self._waiting: list[Callable[[TerminalReceiver], None]] = []

    def attach(self, receiver: TerminalReceiver) -> None:
        """Tell this one from now on, beginning with what has waited."""
        self._receiver = receiver
        self._attached = True
        waiting, self._waiting = self._waiting, []
        for tell in waiting:
            tell(receiver)

    def tell(self, tell: Callable[[TerminalReceiver], None]) -> None:
        """Call with the receiver, now or once there is one; never after `end`."""
        if self._receiver is not None:
            tell(self._receiver)
        elif not self._attached and len(self._waiting) < WAITING_MOST:
            self._waiting.append(tell)

    def end(self) -> None:
        """Let go of the receiver: it is told nothing more."""
        self._receiver = None
