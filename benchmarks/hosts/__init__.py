"""Server processes that are measured, each started as ``python -m benchmarks.hosts.NAME``.

Each writes a JSON line to stdout when it is ready, takes commands as JSON lines on stdin, and ends
with stdin.
"""
