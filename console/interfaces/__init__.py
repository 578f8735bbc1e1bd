"""The seams between the parts, read first.

A connection arrives at a *transport* (``transports/``). Its credentials go to the *authenticator*
(``auth/``), which turns them into a `Principal`. The *session manager* (``sessions/``) opens a
session on the connection's `Terminal`. A `Frontend` that suits the terminal reads statements
(``frontends/``); an `Evaluator` runs them and yields an `Outcome` (``evaluation/``).

Parts of one layer do not import each other. They meet through what stands here, and
``server/assembly.py`` wires them together.

Threads: everything here lives on the console's own loop, except where a docstring says otherwise.
"""
