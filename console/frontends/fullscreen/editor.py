"""The editor of one session: ptpython's, on the session's terminal.

Importing this module takes 200 ms: see ``frontend.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from prompt_toolkit.application import create_app_session
from prompt_toolkit.filters import Filter
from prompt_toolkit.key_binding.vi_state import InputMode

from console.frontends.fullscreen.python_input import ConsoleInput, Kept
from console.frontends.fullscreen.terminal_io import ChannelInput, ChannelOutput
from console.frontends.fullscreen.themes import result_colours
from console.frontends.fullscreen.write_coalescing import WriteCoalescing
from console.interfaces.frontends import FrontendHost

__all__ = ["Editor", "Kept", "purge_filter_caches"]


class Editor:
    """Reads one statement at a time. Lives on the console's loop.

    Args:
        host: The session.
        out: Writes to its terminal.
        kept: The state of its last editor; None for the first.
    """

    def __init__(self, host: FrontendHost, out: WriteCoalescing, kept: Kept | None = None) -> None:
        self._host = host
        self._input = ChannelInput(lambda: out.write(b"\a"))
        self._output = ChannelOutput(host.terminal, out)
        with create_app_session(input=self._input, output=self._output):
            self._python = ConsoleInput(host, self._input, self._output)
        if kept is not None:
            self._python.restore(kept)
        self._closed = False

    @property
    def is_reading(self) -> bool:
        """Whether the prompt is shown."""
        return self._python.app.is_running

    @property
    def vi(self) -> bool:
        """Whether vi's key bindings are on."""
        return self._python.vi_mode

    @property
    def inserts(self) -> bool:
        """Whether the next plain key will be inserted: not in vi's command mode."""
        state = self._python.app.vi_state
        return not self.vi or state.input_mode is InputMode.INSERT

    async def read(self) -> str:
        """Return the statement typed up to Enter.

        Raises:
            EOFError: If the input ended, by Ctrl-D or with the connection.
            KeyboardInterrupt: If Ctrl-C dropped the typed text.
        """
        if self._closed:
            raise EOFError
        self._python.prefer(self._host.preferences)
        # Without an AppSession of its own, get_app() would return another session's application,
        # and keys typed here would appear there.
        with create_app_session(input=self._input, output=self._output):
            # Before the first key: prompt_toolkit loads the history after the first drawing, too
            # late for an arrow key that has already arrived.
            self._python.app.pre_run_callables.append(
                self._python.default_buffer.load_history_if_not_yet_loaded
            )
            try:
                return await self._python.app.run_async(
                    set_exception_handler=False, handle_sigint=False
                )
            except KeyboardInterrupt:
                self._python.default_buffer.reset()
                raise

    def feed(self, text: str) -> None:
        """Take typed text."""
        self._input.feed(text)

    def feed_eof(self) -> None:
        """Note the end of input: the text that was fed is still used."""
        self._input.end()

    def take_typeahead(self) -> str:
        """Return and forget the text typed after the statement."""
        return self._input.take_typeahead()

    def interrupt(self) -> None:
        """Drop the typed text, as Ctrl-C does."""
        self._exit(KeyboardInterrupt)

    @property
    def result_colours(self) -> dict[str, str]:
        """The colours of results; empty for none."""
        return result_colours(self._python.theme, self._python.color_depth)

    def print_above(self, write: Callable[[], None]) -> None:
        """Erase the prompt, call ``write``, and draw the prompt again."""
        application = self._python.app
        application.renderer.erase()
        write()
        application.renderer.reset()
        application._redraw()  # noqa: SLF001 - as run_in_terminal() does, but at once

    def resized(self) -> None:
        """Redraw for the new size."""
        if self.is_reading:
            self._python.app._on_resize()  # noqa: SLF001 - what SIGWINCH would call

    def close(self) -> None:
        """End a pending `read` with EOFError; if none is pending, release everything.

        Idempotent. Where a read was pending, a second call is needed to release everything.
        """
        self._closed = True
        if not self._exit(EOFError):
            self._input.close()
            purge_filter_caches()

    def keep(self) -> Kept:
        """Close the editor, while no `read` is pending, and return its state.

        The editor's memory is freed only after `purge_filter_caches`.
        """
        self._closed = True
        self._input.close()
        return self._python.keep(inserts=self.inserts)

    def _exit(self, error: type[BaseException]) -> bool:
        application = self._python.app
        if not application.is_running or application.is_done:
            return False
        application.exit(exception=error)
        return True


def purge_filter_caches() -> None:
    """Free the memory of closed editors.

    prompt_toolkit memoises ``global_filter & filter_of_a_session`` in the global filter for ever
    (filters/base.py), which keeps every closed editor alive: 0.6 MB each. The caches only save
    work, so emptying them, those of the combined filters included, is always safe.
    """
    seen: set[int] = set()
    waiting = [
        value
        for name, module in list(sys.modules.items())
        if name.startswith(("prompt_toolkit", "ptpython"))
        for value in list(vars(module).values())
        if isinstance(value, Filter)
    ]
    while waiting:
        found = waiting.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        for cache in (found._and_cache, found._or_cache):  # noqa: SLF001 - no public way
            waiting.extend(cache.values())
            cache.clear()
        if found._invert_result is not None:  # noqa: SLF001 - as above
            waiting.append(found._invert_result)  # noqa: SLF001 - as above
