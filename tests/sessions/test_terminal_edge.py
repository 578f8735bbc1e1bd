"""An event of a terminal that cannot be handled costs that event, not the session."""

import logging

import pytest

from console.audit.failure_log import SILENT_SECONDS, FailureLog
from console.sessions.terminal import SessionTerminal
from support.frontend_host import CAPABLE, FakeHost, run
from support.ticking import Clock

EVENTS = {
    "data_received": ("x",),
    "interrupt_received": (),
    "eof_received": (),
    "resized": (),
    "asked": (),
}


class Broken:
    """A frontend in which each event raises."""

    name = "broken"

    def _fail(self, *_arguments, **_keywords):
        raise RuntimeError("broken\x1b[2J")

    feed = feed_eof = interrupt = resized = write = _fail

    def close(self):
        """Close."""


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_that_fails_costs_itself(event, caplog):
    """It rings the bell and is logged with its traceback; nothing reaches the transport."""

    async def test():
        host = FakeHost(CAPABLE)
        host.terminal.attach = lambda _receiver: None
        terminal = SessionTerminal(
            host,
            lambda _host, before: before,
            pending_output_characters=1024,
            on_interrupt=lambda: None,
            on_lost=lambda: None,
        )
        terminal.begin(Broken())
        terminal._reading = True
        getattr(terminal, event)(*EVENTS[event])
        assert host.terminal.output == "\a"
        terminal.close()

    with caplog.at_level(logging.WARNING):
        run(test)
    (record,) = caplog.records
    assert record.name == "console.sessions"
    assert f"{event} failed; the session goes on" in record.message
    assert record.exc_info[0] is RuntimeError


def test_failures_are_counted(caplog):
    """The first failure is logged; of the next ones within a minute only the number is."""
    clock = Clock()
    log = FailureLog(logging.getLogger("console.sessions"), clock)
    for _ in range(100):
        log.tell("an event", RuntimeError("x"))
    assert [record.message for record in caplog.records] == ["an event failed; the session goes on"]
    clock.now += SILENT_SECONDS
    log.tell("an event", RuntimeError("x"))
    assert caplog.records[-1].message.endswith("(99 more failures since the last entry)")
