"""The properties that ``run.py`` tests, for a few seconds of each run."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.run import CORPUS, Finding, Mutator, check, corpus_of, press
from fuzz.targets import TARGETS, Target

INPUTS = 150
"""Inputs of our own mutator for each target, the same ones each time."""


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus(name):
    """The properties hold for each input of the corpus, which has those that once violated one."""
    for data in corpus_of(TARGETS[name]):
        check(TARGETS[name], data)


@pytest.mark.parametrize("name", TARGETS)
def test_inputs_of_the_mutator(name):
    """They hold for mutated inputs, and one of them repeated to 64 KB takes linear time."""
    mutator = Mutator(TARGETS[name], seed=854)
    for _ in range(INPUTS):
        check(TARGETS[name], mutator.make())
    press(TARGETS[name], mutator.make())


@pytest.mark.parametrize("name", TARGETS)
def test_inputs_of_tokens(name):
    """They hold for tokens and bytes in any order; hypothesis shortens a counterexample."""
    tokens = st.sampled_from(TARGETS[name].tokens) | st.binary(max_size=4)

    @settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
    @given(st.lists(tokens, max_size=60).map(b"".join))
    def holds(data):
        check(TARGETS[name], data)

    holds()


def test_each_folder_of_the_corpus_has_its_target():
    """Each directory of the corpus belongs to a target."""
    folders = {folder.name for folder in CORPUS.iterdir()}
    assert folders <= {name.replace(" ", "_") for name in TARGETS}


def test_a_broken_property_is_found():
    """An input that raises, is too slow or takes too much memory is a finding."""

    def raises(data):
        assert b"\x00" not in data

    def slow(data):
        sum(number for number in range(len(data) ** 2 // 1000))

    def hungry(data):
        return [bytes(1000) for _ in data]

    with pytest.raises(Finding, match="AssertionError"):
        check(Target("raises", raises, ()), b"a\x00")
    check(Target("slow", slow, ()), b"a" * 100)
    with pytest.raises(Finding, match="bytes took .* s:"):
        press(Target("slow", slow, ()), b"a" * 100, patience=0.01)
    with pytest.raises(Finding, match="of memory"):
        press(Target("hungry", hungry, ()), b"a")
