"""The benchmark suite: what console costs beside what a user would pick instead."""
