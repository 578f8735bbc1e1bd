"""Histories, login books and preferences, where another user of the machine has put a trap."""

from __future__ import annotations

import os

import pytest

from console.events import LoginFailed
from console.interfaces.credentials import Principal, Role
from console.sessions.history import HistoryStore
from console.sessions.logins import LoginBook
from console.sessions.preferences import EDITING, PreferenceStore

STRANGER = 65534

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def write_history(directory):
    store = HistoryStore(directory)
    store.for_user("boss").append("1 + 1")
    store.close()


def write_logins(directory):
    book = LoginBook(directory)
    book.opened(Principal("boss", "telnet", "127.0.0.1:1", "password", Role.ADMIN), 1.0)
    book.on_event(
        LoginFailed(
            transport="telnet", peer="127.0.0.1:1", user="boss", method="password", reason="wrong"
        )
    )
    book.close()


def write_preferences(directory):
    PreferenceStore(directory).for_session("boss").choose("editing", EDITING[-1])


WRITERS = {
    "boss": write_history,
    ".boss.login": write_logins,
    ".boss.toml": write_preferences,
}


@pytest.fixture(params=list(WRITERS))
def name(request):
    return request.param


def test_the_names_are_those_that_are_written(tmp_path, name):
    """Else the traps below would lie where no file is written."""
    WRITERS[name](tmp_path / "state")
    assert (tmp_path / "state" / name).is_file()


def test_a_link_of_another_user_is_not_followed(tmp_path, name):
    """A file of root that it names stays as it was."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    victim.chmod(0o600)
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o1777)
    (state / name).symlink_to(victim)
    os.lchown(state / name, STRANGER, -1)
    WRITERS[name](state)
    assert victim.read_text() == "precious"
    assert (state / name).is_symlink()


@pytest.mark.parametrize("above", ["state", "above"])
def test_nothing_is_written_below_what_others_can_write(tmp_path, name, above, caplog):
    """Another user could move the files away, or read what is written next."""
    directory = tmp_path / above
    directory.mkdir()
    directory.chmod(0o777)
    state = directory if above == "state" else directory / "state"
    WRITERS[name](state)
    assert not list(directory.iterdir())
    if name != ".boss.toml":  # its problem is told in the session
        assert f"chmod go-w {directory}" in caplog.text
        assert len(caplog.records) == 1


def test_a_link_in_the_place_of_the_directory_is_not_followed(tmp_path, name):
    """Neither is a directory made where it leads."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = tmp_path / "shared" / "link"
    link.symlink_to(elsewhere)
    os.lchown(link, STRANGER, -1)
    WRITERS[name](link / "state")
    assert not list(elsewhere.iterdir())
