"""The interfaces between the parts of the console. Read this package first.

A connection arrives at a *transport* (``transports/``). Its credentials go to the *authenticator*
(``auth/``), which turns them into a `Principal`. The *session manager* (``sessions/``) opens a
session on the connection's `Terminal`. A `Frontend` that suits the terminal reads statements
(``frontends/``); an `Evaluator` runs them and yields an `Outcome` (``evaluation/``).

Parts of one layer do not import each other. They depend on the interfaces in this package, and
``server/assembly.py`` wires them together.

Threads: each object is used on the console's own event loop only, unless its docstring says
otherwise ("Safe to call from any thread"). "Lives on the console's loop" means the same.
"""
