"""The benchmark suite: console compared with its alternatives."""
