"""Server processes that are measured, each started as ``python -m benchmarks.hosts.NAME``.

They announce themselves by a JSON line on stdout, obey JSON lines on stdin, and end with it.
"""
