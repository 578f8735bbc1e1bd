"""The journal of hot patches: changing, listing, undoing, refusing."""

import threading

import pytest

from console.patches.journal import PatchError, PatchJournal, PatchState
from console.patches.targets import ABSENT


class Clock:
    """Schedules nothing by itself: a test lets the time pass."""

    def __init__(self):
        self.waiting = []

    def schedule(self, seconds, call):
        self.waiting.append((seconds, call))

    def ring(self):
        waiting, self.waiting = self.waiting, []
        for _, call in waiting:
            call()


class Service:
    limit = 5
    __slots__ = ("__dict__", "slot")

    def __init__(self):
        self.slot = 1
        self._rate = 1
        self.table = {"a": 1}

    @property
    def rate(self):
        return self._rate

    @rate.setter
    def rate(self, value):
        if value < 0:
            raise ValueError("negative")
        self._rate = value

    @staticmethod
    def helper():
        return "old"

    def method(self):
        return "old"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def reports():
    return []


@pytest.fixture
def journal(clock, reports):
    return PatchJournal(clock.schedule, reports.append)


def test_an_attribute_of_an_instance(journal):
    """Undoing brings the old value of an instance's attribute back."""
    service = Service()
    made = journal.patch(service, "_rate", 9, who="boss over ssh from 127.0.0.1:5")
    assert service._rate == 9
    assert journal.patches() == [made]
    assert "<Service>._rate = 9, was 1" in repr(made)
    assert "boss over ssh from 127.0.0.1:5" in repr(made)
    assert journal.revert(made.number) == [made]
    assert service._rate == 1
    assert journal.patches() == []
    assert made.state is PatchState.UNDONE


def test_an_inherited_attribute_is_inherited_again(journal):
    """What an instance only inherited is deleted, not set, when the patch is undone."""
    service = Service()
    made = journal.patch(service, "limit", 9)
    assert made.old is ABSENT
    journal.revert()
    assert "limit" not in vars(service)
    assert service.limit == 5


def test_raw_entries_of_a_class_come_back(journal):
    """A static method, a property and a function of a class come back as themselves."""
    before = {name: vars(Service)[name] for name in ("helper", "rate", "method", "limit")}
    for name in before:
        journal.patch(Service, name, lambda: "new")
    assert Service.helper() == "new"
    journal.revert()
    assert {name: vars(Service)[name] for name in before} == before


def test_slots_and_properties_go_through_their_descriptors(journal):
    """A slot and a property are read and written as the service does it."""
    service = Service()
    journal.patch(service, "slot", 2)
    journal.patch(service, "rate", 3)
    assert (service.slot, service.rate) == (2, 3)
    journal.revert()
    assert (service.slot, service.rate) == (1, 1)


def test_items(journal):
    """Items of dicts and lists are patched by key and index; a new key is deleted again."""
    service, numbers = Service(), [1, 2, 3]
    journal.patch(service.table, "a", 2)
    journal.patch(service.table, "b", 3)
    journal.patch(numbers, 1, 9)
    assert (service.table, numbers) == ({"a": 2, "b": 3}, [1, 9, 3])
    journal.revert()
    assert (service.table, numbers) == ({"a": 1}, [1, 2, 3])


def test_a_module(journal):
    """A name of a module is patched and undone."""
    original = threading.active_count
    made = journal.patch(threading, "active_count", lambda: -1)
    assert threading.active_count() == -1
    assert "threading.active_count" in repr(made)
    journal.revert()
    assert threading.active_count is original


def test_as_context_manager(journal):
    """Leaving the with statement undoes the patch, also when it is left by an exception."""
    service = Service()
    with pytest.raises(ZeroDivisionError), journal.patch(service, "_rate", 9):
        assert service._rate == 9
        raise ZeroDivisionError
    assert service._rate == 1
    with journal.patch(service, "_rate", 9) as made:
        journal.revert(made.number)
    assert service._rate == 1


def test_stacked_patches_are_undone_newest_first(journal):
    """revert() goes back through a stack of patches to the first value."""
    service = Service()
    for value in (2, 3, 4):
        journal.patch(service, "_rate", value)
    assert [made.number for made in journal.revert()] == [3, 2, 1]
    assert service._rate == 1


def test_a_patch_below_another_is_undone_under_it(journal):
    """Undoing a patch that lies below keeps the value, and the upper one goes back past both."""
    service = Service()
    lower = journal.patch(service, "_rate", 2)
    journal.patch(service, "_rate", 3)
    journal.revert(lower.number)
    assert service._rate == 3
    journal.revert()
    assert service._rate == 1


def test_later_changes_are_not_undone(journal):
    """A patch whose target has another value now is refused, with what to do, and the rest goes."""
    service = Service()
    journal.patch(service, "_rate", 2)
    journal.patch(service, "slot", 3)
    service._rate = 99
    with pytest.raises(PatchError, match=r"it was changed since, to 99; .* was 1 before"):
        journal.revert()
    assert service._rate == 99
    assert service.slot == 1
    assert len(journal.patches()) == 1


def test_a_value_that_is_refused_changes_nothing(journal):
    """A setter that raises, a read-only attribute and a missing index leave no patch."""
    service = Service()
    for owner, name, value in ((service, "rate", -1), (1, "real", 2), ([], 0, 1), ((1,), 0, 2)):
        with pytest.raises((PatchError, IndexError)):
            journal.patch(owner, name, value)
    assert service.rate == 1
    assert journal.patches() == []
    with pytest.raises(PatchError, match="not applied"):
        journal.revert(7)


def test_a_time_limit_undoes_what_is_not_kept(journal, clock, reports):
    """A patch with minutes undoes itself, and says so; one that was kept stays."""
    service = Service()
    journal.patch(service, "_rate", 2, minutes=5)
    kept = journal.patch(service, "slot", 2, minutes=0.5)
    assert [seconds for seconds, _ in clock.waiting] == [300, 30]
    assert "undoes itself in" in repr(kept)
    journal.keep(kept.number)
    clock.ring()
    assert (service._rate, service.slot) == (1, 2)
    assert len(reports) == 1
    assert "its time was over" in reports[0]


def test_a_time_limit_spares_later_changes(journal, clock, reports):
    """If the value was changed before the time limit, it stays, and that is reported."""
    service = Service()
    made = journal.patch(service, "_rate", 2, minutes=1)
    service._rate = 50
    clock.ring()
    assert service._rate == 50
    assert "it was changed since" in reports[0]
    assert journal.patches() == [made]
    with pytest.raises(PatchError):
        journal.patch(service, "_rate", 2, minutes=0)


def test_an_undone_patch_holds_nothing_in_the_journal(journal):
    """The journal forgets what is undone, so that old values can be collected."""
    service = Service()
    journal.patch(service, "_rate", 2)
    journal.revert()
    assert journal._patches == []


def test_secrets_are_not_shown(journal):
    """What is patched into an attribute called a password stands in no repr and no error."""

    class Shell:
        password = "old words"

    made = journal.patch(Shell, "password", "new words")
    Shell.password = "other words"
    with pytest.raises(PatchError) as raised:
        journal.revert()
    assert "words" not in repr(made) + str(raised.value)
