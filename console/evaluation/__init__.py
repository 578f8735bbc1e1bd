"""Evaluation: a statement becomes an outcome, its output follows its context."""
