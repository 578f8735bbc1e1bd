"""Credential stores: files that people and other processes change, and users in memory."""

from __future__ import annotations

import base64
import logging
import os
import stat
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.auth.passwords import hash_password, verify
from console.auth.stores import users_on_disk
from console.auth.stores.directory import FileCredentials, credential_store
from console.auth.stores.location import default_keys_directory
from console.auth.stores.memory import MemoryCredentials
from console.auth.stores.users_file import parse_users, remove_user, replace_user
from console.errors import (
    ConfigurationError,
    CredentialError,
    InvalidKey,
    InvalidUserName,
    UnknownUser,
)
from console.interfaces.credentials import CredentialStore, OfferedKey, Role

SEKRIT = hash_password("sekrit")


def ed25519_line(seed, comment="somebody@somewhere"):
    """Write an authorized_keys line; parsing does not ask whether the 32 bytes are a point."""
    kind = b"ssh-ed25519"
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in (kind, bytes([seed, 1] * 16)))
    return f"ssh-ed25519 {base64.b64encode(blob).decode()} {comment}"


@pytest.fixture
def directory(tmp_path):
    """Make a directory for users and keys."""
    directory = tmp_path / "keys"
    directory.mkdir(mode=0o700)
    return directory


def write_users(directory, text, mode=0o600):
    """Write the users file as an editor does."""
    path = directory / "users"
    path.write_text(text)
    path.chmod(mode)
    return path


def messages(caplog):
    """Return what has been logged."""
    return [record.getMessage() for record in caplog.records]


def lets_in(store, name, password):
    """Ask a store as the authenticator does."""
    return verify(store.password_hash(name), password)


# ---------------------------------------------------------------- files: the life of a user


def test_a_user_comes_changes_and_goes(directory):
    """Each change counts at the next login, for a store that was open before."""
    server, cli = FileCredentials(directory), FileCredentials(directory)
    assert server.users() == []
    cli.add("boss", "sekrit")
    assert server.users() == ["boss"]
    assert lets_in(server, "boss", "sekrit")
    cli.set_password("boss", "other")
    assert not lets_in(server, "boss", "sekrit")
    assert lets_in(server, "boss", "other")
    cli.remove("boss")
    assert server.password_hash("boss") is None
    assert server.users() == []
    with pytest.raises(UnknownUser):
        cli.remove("boss")


def test_files_are_private(tmp_path):
    """The directory has 0700 and each file 0600, whatever the umask."""
    previous = os.umask(0)
    try:
        store = FileCredentials(tmp_path / "new" / "keys")
        store.add("boss", "sekrit")
        store.grant_key("boss", ed25519_line(1))
    finally:
        os.umask(previous)
    modes = {
        str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode)
        for path in tmp_path.rglob("*")
    }
    assert modes == {
        "new": 0o700,
        "new/keys": 0o700,
        "new/keys/.lock": 0o600,
        "new/keys/no-default-user": 0o600,
        "new/keys/users": 0o600,
        "new/keys/authorized_keys": 0o700,
        "new/keys/authorized_keys/boss": 0o600,
    }


def test_a_user_may_have_keys_and_no_password(directory):
    """No password lets such a user in; the keys do."""
    store = FileCredentials(directory)
    store.add("ann")
    fingerprint = store.grant_key("ann", ed25519_line(1))
    assert store.password_hash("ann") is None
    assert [key.fingerprint for key in store.authorized_keys("ann")] == [fingerprint]


def test_add_refuses_a_user_who_exists(directory):
    """The password of a user cannot be changed by adding them again."""
    store = FileCredentials(directory)
    store.add("boss", "sekrit")
    with pytest.raises(CredentialError, match="there is a user 'boss' already"):
        store.add("boss", "other")
    assert lets_in(store, "boss", "sekrit")


@pytest.mark.parametrize(
    "name", ["", "../users", "a/b", "a:b", ".hidden", "-rf", "a b", "é", "a\n", "a" * 33, "a\x00"]
)
def test_names_that_are_no_names_are_refused(directory, name):
    """Such a name can neither be added nor reach a file outside the directory."""
    store = FileCredentials(directory)
    store.add("boss", "sekrit")
    for change in (lambda: store.add(name, "x"), lambda: store.set_password(name, "x")):
        with pytest.raises(InvalidUserName):
            change()
    for change in (
        lambda: store.remove(name),
        lambda: store.keys(name),
        lambda: store.grant_key(name, ed25519_line(1)),
        lambda: store.revoke_key(name, "SHA256:x"),
    ):
        with pytest.raises(UnknownUser):
            change()
    assert store.password_hash(name) is None
    assert store.authorized_keys(name) == ()


def test_comments_blank_lines_and_strange_bytes_survive_a_change(directory):
    """A change touches the user's own line only."""
    path = directory / "users"
    path.write_bytes(b"# the team \xff\r\n\nann:*\r\nboss:x\n# end")
    path.chmod(0o600)
    store = FileCredentials(directory)
    store.set_password("boss", "sekrit")
    store.set_password("new", "sekrit")
    lines = path.read_bytes().split(b"\n")
    assert lines[:3] == [b"# the team \xff\r", b"", b"ann:*\r"]
    assert lines[3].startswith(b"boss:$argon2id$")
    assert lines[4] == b"# end"
    assert lines[5].startswith(b"new:$argon2id$")
    assert lines[6:] == [b""]


@given(st.text(alphabet="ab:#* \n\r\tx\udcff"), st.sampled_from(["a", "b"]))
def test_replacing_a_user_is_seen_by_reading(text, name):
    """Whatever the file held, afterwards the user stands in it once, or not at all."""
    others = [line for line in text.split("\n") if not line.strip().startswith(f"{name}:")]
    with_user = replace_user(text, name, phc=SEKRIT, role=Role.VIEWER)
    assert parse_users(with_user, "users").hashes[name] == SEKRIT
    without = remove_user(with_user, name)
    assert name not in parse_users(without, "users").names
    assert [line for line in without.split("\n") if line] == [line for line in others if line]


# ---------------------------------------------------------------- files: what may be wrong


@pytest.mark.parametrize("entry", ["x", "", "sekrit", "$1$abc$abcdefgh", "*", "!" + SEKRIT])
def test_a_shadow_style_entry_never_lets_in(directory, entry):
    """What stands in the file is never itself a password."""
    write_users(directory, f"alice:{entry}\n")
    store = FileCredentials(directory)
    assert store.password_hash("alice") is None
    assert not lets_in(store, "alice", "x")
    assert not lets_in(store, "alice", entry)


def test_a_bad_line_harms_no_other_and_is_logged_once_without_its_content(directory, caplog):
    """The log has file and line number, once for each change; never what the line holds."""
    path = write_users(directory, f"# team\nhunter2\nann:hunter3\nboss:{SEKRIT}\n../x:hunter4\n")
    store = FileCredentials(directory)
    for _ in range(3):
        assert lets_in(store, "boss", "sekrit")
        assert store.password_hash("ann") is None
    assert messages(caplog) == [
        f"{path}:2: is not name:hash:role; the line is skipped",
        (
            f"{path}:3: has no argon2 hash, so no password lets this user in;"
            " set one with: console user passwd"
        ),
        f"{path}:5: is not name:hash:role; the line is skipped",
    ]
    assert all("hunter" not in text for text in messages(caplog))
    caplog.clear()
    write_users(directory, f"boss:{SEKRIT}\nhunter2\n")
    for _ in range(3):
        assert lets_in(store, "boss", "sekrit")
    assert messages(caplog) == [f"{path}:2: is not name:hash:role; the line is skipped"]


def test_a_user_on_two_lines_gets_in_by_neither(directory, caplog):
    """An old line left in the file does not keep an old password alive; setting one mends it."""
    other = hash_password("other")
    write_users(directory, f"boss:{SEKRIT}\nann:{SEKRIT}\nboss:{other}\n")
    store = FileCredentials(directory)
    (directory / "authorized_keys").mkdir(mode=0o700)
    (directory / "authorized_keys" / "boss").write_text(ed25519_line(1) + "\n")
    assert store.password_hash("boss") is None
    assert store.authorized_keys("boss") == ()
    assert lets_in(store, "ann", "sekrit")
    assert ":3: the user of line 1 again" in caplog.text
    assert store.users() == ["boss", "ann"]
    store.set_password("boss", "third")
    assert lets_in(store, "boss", "third")
    assert (directory / "users").read_text().count("boss:") == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602])
def test_a_users_file_open_to_others_authenticates_no_user(directory, caplog, mode):
    """It is refused with the command that mends it: logged once at login, raised at start."""
    path = write_users(directory, f"boss:{SEKRIT}\n", mode)
    store = FileCredentials(directory)
    for _ in range(2):
        assert store.password_hash("boss") is None
        assert store.authorized_keys("boss") == ()
    (text,) = messages(caplog)
    assert f"chmod 600 {path}" in text
    for call in (store.prepare, store.users, lambda: store.set_password("boss", "new")):
        with pytest.raises(CredentialError, match="chmod 600"):
            call()
    path.chmod(0o600)
    assert lets_in(store, "boss", "sekrit")
    store.prepare()


def test_a_directory_that_others_can_change_authenticates_no_user(directory, caplog):
    """A user who can put another users file there could log in."""
    write_users(directory, f"boss:{SEKRIT}\n")
    directory.chmod(0o770)
    store = FileCredentials(directory)
    assert store.password_hash("boss") is None
    assert f"chmod go-w {directory}" in caplog.text
    with pytest.raises(CredentialError, match="chmod go-w"):
        store.prepare()


def test_a_store_without_users_says_so_once(directory, caplog):
    """An empty store is not an error: a user can be added while the server runs."""
    store = FileCredentials(directory)
    store.prepare()
    assert store.password_hash("boss") is None
    (text,) = messages(caplog)
    assert "no login succeeds" in text
    assert f"console user add NAME --keys {directory}" in text


def test_a_directory_that_cannot_be_written_raises_and_login_still_answers(tmp_path, caplog):
    """A change raises with the place; a login is refused, and logged once."""
    (tmp_path / "file").touch()
    store = FileCredentials(tmp_path / "file" / "keys", initial={"boss": "sekrit"})
    for call in (store.prepare, lambda: store.add("ann", "sekrit"), store.users):
        with pytest.raises(CredentialError, match="cannot be written"):
            call()
    for _ in range(2):
        assert store.password_hash("boss") is None
    assert len(messages(caplog)) == 1


# ---------------------------------------------------------------- files: roles


def test_roles_are_read_from_the_third_field(directory, caplog):
    """Each role's word gives that role; a line of old has none and its user is an operator."""
    write_users(directory, f"v:{SEKRIT}:viewer\no:{SEKRIT}:operator\na:*:admin\nold:{SEKRIT}\n")
    store = FileCredentials(directory)
    roles = {"v": Role.VIEWER, "o": Role.OPERATOR, "a": Role.ADMIN, "old": Role.OPERATOR}
    assert store.roles() == roles
    assert {name: store.role(name) for name in roles} == roles
    assert all(lets_in(store, name, "sekrit") for name in ("v", "o", "old"))
    assert messages(caplog) == []


@pytest.mark.parametrize(
    "word", ["", "Admin", "root", " admin", "admin:", "admin x", "1000:/bin/sh"]
)
def test_a_line_with_another_role_authenticates_no_user(directory, caplog, word):
    """Neither by password nor by key; the log has the line's number and not the word."""
    path = write_users(directory, f"ann:{SEKRIT}:viewer\nboss:{SEKRIT}:{word}\n")
    store = FileCredentials(directory)
    store.grant_key("boss", ed25519_line(1))
    for _ in range(2):
        assert store.password_hash("boss") is None
        assert store.authorized_keys("boss") == ()
        assert store.role("boss") is Role.VIEWER
    assert lets_in(store, "ann", "sekrit")
    (text,) = messages(caplog)
    assert text == (
        f"{path}:2: has a role that is none of viewer, operator, admin, so the line is not used;"
        " set one with: console user role"
    )
    store.set_password("boss", "other")
    assert store.password_hash("boss") is None
    store.set_role("boss", Role.OPERATOR)
    assert lets_in(store, "boss", "other")
    assert store.role("boss") is Role.OPERATOR


def test_a_role_stays_with_its_user(directory):
    """A new password keeps the role and a new role the password; the file says both."""
    server, cli = FileCredentials(directory), FileCredentials(directory)
    cli.add("boss", "sekrit", role=Role.ADMIN)
    cli.add("ann", role=Role.VIEWER)
    cli.set_password("new", "sekrit")
    assert server.roles() == {"boss": Role.ADMIN, "ann": Role.VIEWER, "new": Role.OPERATOR}
    cli.set_password("boss", "other")
    cli.set_role("new", Role.ADMIN)
    assert server.roles() == {"boss": Role.ADMIN, "ann": Role.VIEWER, "new": Role.ADMIN}
    assert lets_in(server, "boss", "other")
    assert lets_in(server, "new", "sekrit")
    assert (directory / "users").read_text().splitlines()[1] == "ann:*:viewer"
    with pytest.raises(UnknownUser):
        cli.set_role("nobody", Role.ADMIN)


def test_a_role_does_not_choose_between_two_lines(directory):
    """A user on two lines logs in by neither, and changing the role does not pick a password."""
    path = write_users(directory, f"boss:{SEKRIT}:admin\nboss:{SEKRIT}:viewer\n")
    store = FileCredentials(directory)
    with pytest.raises(CredentialError, match="on two lines"):
        store.set_role("boss", Role.OPERATOR)
    assert store.role("boss") is Role.VIEWER
    assert path.read_text().count("boss") == 2


def test_who_may_not_get_in_has_the_least_role(directory):
    """Unknown users, and all users of a file that is not trusted, are viewers."""
    path = write_users(directory, f"boss:{SEKRIT}:admin\n")
    store = FileCredentials(directory)
    assert store.role("nobody") is Role.VIEWER
    path.chmod(0o666)
    assert store.role("boss") is Role.VIEWER
    with pytest.raises(CredentialError):
        store.roles()


# ---------------------------------------------------------------- files: initial users


def test_initial_users_are_written_on_first_use(tmp_path):
    """Without a users file the initial users become one, hashed."""
    store = FileCredentials(tmp_path / "keys", initial={"boss": "sekrit", "ann": "secret2"})
    assert lets_in(store, "boss", "sekrit")
    assert lets_in(store, "ann", "secret2")
    text = (tmp_path / "keys" / "users").read_text()
    assert "sekrit" not in text
    assert FileCredentials(tmp_path / "keys").roles() == {"boss": Role.ADMIN, "ann": Role.ADMIN}


def test_initial_users_change_nothing_where_there_are_users(directory):
    """A users file that exists, an empty one too, is left alone."""
    write_users(directory, "")
    store = FileCredentials(directory, initial={"admin": "admin"})
    store.prepare()
    assert store.password_hash("admin") is None
    assert (directory / "users").read_text() == ""


def test_initial_users_do_not_come_back(directory):
    """A users file that is deleted while the server runs does not bring old passwords back."""
    store = FileCredentials(directory, initial={"admin": "admin"})
    store.prepare()
    assert lets_in(store, "admin", "admin")
    (directory / "users").unlink()
    assert store.password_hash("admin") is None
    assert not (directory / "users").exists()


def test_bad_initial_users_are_refused_at_once(tmp_path):
    """A name or a password that cannot work is an error where it is written."""
    with pytest.raises(InvalidUserName):
        FileCredentials(tmp_path, initial={"a:b": "sekrit"})
    with pytest.raises(CredentialError, match="empty"):
        FileCredentials(tmp_path, initial={"boss": ""})


# ---------------------------------------------------------------- files: keys


def test_keys_are_granted_listed_and_revoked(directory):
    """A granted key is found under its user only, once, and is gone when revoked."""
    store = FileCredentials(directory)
    store.add("boss", "sekrit")
    store.add("ann", "sekrit")
    first, second = (store.grant_key("boss", ed25519_line(n, f"key {n}")) for n in (1, 2))
    assert store.grant_key("boss", ed25519_line(1, "again")) == first
    assert [(key.fingerprint, key.comment) for key in store.keys("boss")] == [
        (first, "key 1"),
        (second, "key 2"),
    ]
    assert store.authorized_keys("ann") == ()
    with pytest.raises(CredentialError, match="no key"):
        store.revoke_key("ann", first)
    store.revoke_key("boss", first)
    assert [key.fingerprint for key in store.authorized_keys("boss")] == [second]


def test_granting_keeps_the_lines_that_stand_there(directory):
    """Comments and lines that we refuse stay, also where the last line has no end."""
    store = FileCredentials(directory)
    store.add("boss", "sekrit")
    path = directory / "authorized_keys" / "boss"
    kept = f"# laptop\nrestrict {ed25519_line(1)}"
    path.write_text(kept)
    fingerprint = store.grant_key("boss", ed25519_line(2))
    assert path.read_text() == f"{kept}\n{ed25519_line(2)}\n"
    store.revoke_key("boss", fingerprint)
    assert path.read_text() == f"{kept}\n"


def test_keys_end_with_their_user(directory):
    """Neither removing a user nor deleting the line by hand leaves a key that works."""
    store = FileCredentials(directory)
    store.add("boss", "sekrit")
    store.grant_key("boss", ed25519_line(1))
    store.remove("boss")
    store.add("boss", "sekrit")
    assert store.authorized_keys("boss") == ()
    store.grant_key("boss", ed25519_line(1))
    write_users(directory, "# nobody\n")
    assert store.authorized_keys("boss") == ()


def test_a_key_can_be_granted_as_an_authority_only_once(directory):
    """The same key with and without cert-authority is a slip, not a wish."""
    store = FileCredentials(directory)
    store.add("boss")
    fingerprint = store.grant_key("boss", f"cert-authority {ed25519_line(1)}")
    assert store.grant_key("boss", f"CERT-AUTHORITY,pty {ed25519_line(1)}") == fingerprint
    with pytest.raises(CredentialError, match="with other options"):
        store.grant_key("boss", ed25519_line(1))
    (key,) = store.authorized_keys("boss")
    assert key.options.authority


def test_a_key_that_cannot_be_used_is_not_granted(directory):
    """An option that is not enforced, no key, or two lines leave the file as it was."""
    store = FileCredentials(directory)
    store.add("boss", "sekrit")
    for line, problem in (
        (f"tunnel {ed25519_line(1)}", "'tunnel' is not enforced"),
        ("", "no key on this line"),
        ("# comment", "no key on this line"),
        (f"{ed25519_line(1)}\n{ed25519_line(2)}", "more than one line"),
    ):
        with pytest.raises(InvalidKey, match=problem):
            store.grant_key("boss", line)
    assert not list((directory / "authorized_keys").iterdir())


def test_a_bad_key_line_is_logged_once_and_harms_no_other(directory, caplog):
    """The good keys beside it work; the log names file and line, once for each change."""
    store = FileCredentials(directory)
    store.add("boss", "sekrit")
    store.grant_key("boss", ed25519_line(1))
    path = directory / "authorized_keys" / "boss"
    path.write_text(f'from="bastion" {ed25519_line(2)}\nhunter2\n{ed25519_line(3)}\n')
    for _ in range(3):
        assert [key.place for key in store.authorized_keys("boss")] == [f"{path}:3"]
    texts = messages(caplog)
    assert len(texts) == 2
    assert texts[0].startswith(f"{path}:1: the option 'from'")
    assert texts[1].startswith(f"{path}:2: ")
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("which", ["file", "directory"])
def test_a_keys_file_that_others_can_change_authenticates_no_user(directory, caplog, which):
    """As sshd's StrictModes; the password still works, and reading it aloud raises."""
    store = FileCredentials(directory)
    store.add("boss", "sekrit")
    store.grant_key("boss", ed25519_line(1))
    path = directory / "authorized_keys" / "boss"
    (path if which == "file" else path.parent).chmod(0o777)
    for _ in range(2):
        assert store.authorized_keys("boss") == ()
    (text,) = messages(caplog)
    assert "chmod go-w" in text
    with pytest.raises(CredentialError, match="chmod go-w"):
        store.keys("boss")
    with pytest.raises(CredentialError, match="chmod go-w"):
        store.grant_key("boss", ed25519_line(2))
    assert lets_in(store, "boss", "sekrit")


# ---------------------------------------------------------------- files: several writers

ADDER = """
import sys
from console.auth.stores.directory import FileCredentials
store = FileCredentials(sys.argv[1])
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    store.add(f"{sys.argv[2]}{number}", None)
    store.grant_key("shared", sys.stdin.readline())
"""


def test_two_processes_lose_none_of_each_others_changes(directory):
    """Users and keys added by two processes at once are all there."""
    count = 25
    store = FileCredentials(directory)
    store.add("shared")
    adders = [
        subprocess.Popen(
            [sys.executable, "-c", ADDER, str(directory), name, str(count)],
            stdin=subprocess.PIPE,
            text=True,
        )
        for name in ("a", "b")
    ]
    for at, adder in enumerate(adders):
        lines = "".join(ed25519_line(at * count + n) + "\n" for n in range(count))
        adder.stdin.write("go\n" + lines)
        adder.stdin.close()
    for adder in adders:
        assert adder.wait() == 0
    expected = {f"{name}{n}" for name in "ab" for n in range(count)}
    assert set(store.users()) == {"shared", *expected}
    assert len(store.keys("shared")) == 2 * count


def test_threads_lose_none_of_each_others_changes(directory):
    """The lock holds between the threads of one process too."""
    store = FileCredentials(directory)
    threads = [
        threading.Thread(target=lambda n=n: [store.add(f"u{n}x{m}") for m in range(10)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.users()) == 40


def test_a_lock_that_is_never_given_back_is_an_error(directory, monkeypatch):
    """A change waits for another process's, but not for ever."""
    monkeypatch.setattr(users_on_disk, "LOCK_SECONDS", 0.05)
    store = FileCredentials(directory)
    with (
        users_on_disk.locked(directory / ".lock", wait_seconds=1),
        pytest.raises(CredentialError, match="fuser"),
    ):
        store.add("boss", "sekrit")
    store.add("boss", "sekrit")


# ---------------------------------------------------------------- memory


def test_memory_lets_in_by_password_and_by_key():
    """Names, passwords and keys are those given, live."""
    store = MemoryCredentials({"boss": "sekrit"}, {"ann": ["# laptop", ed25519_line(1)]})
    assert lets_in(store, "boss", "sekrit")
    assert not lets_in(store, "boss", "wrong")
    assert store.password_hash("ann") is None
    assert store.password_hash("nobody") is None
    assert [key.comment for key in store.authorized_keys("ann")] == ["somebody@somewhere"]
    assert store.authorized_keys("boss") == ()
    store.set_password("boss", "other")
    assert not lets_in(store, "boss", "sekrit")
    assert lets_in(store, "boss", "other")
    store.remove("boss")
    assert store.password_hash("boss") is None
    assert store.users() == ["ann"]
    with pytest.raises(UnknownUser):
        store.remove("boss")


def test_memory_forgets_plain_passwords_and_shows_none():
    """After the first login no password is left in the object; its repr never has one."""
    store = MemoryCredentials({"boss": "sekrit", "ann": "hunter2"})
    assert repr(store) == "MemoryCredentials(users=['ann', 'boss'])"
    store.password_hash("nobody")
    state = repr(vars(store))
    assert "sekrit" not in state
    assert "hunter2" not in state
    assert "argon2" not in repr(store)
    assert "argon2" not in repr(FileCredentials("/nowhere", initial={"boss": "sekrit"}))
    assert "sekrit" not in repr(FileCredentials("/nowhere", initial={"boss": "sekrit"}))


def test_memory_takes_changes_while_it_hashes():
    """A password set while others log in is the one that counts afterwards."""
    store = MemoryCredentials({f"u{n}": "old" for n in range(8)})
    threads = [threading.Thread(target=store.password_hash, args=("u0",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(8):
        store.set_password(f"u{n}", f"new{n}")
    for thread in threads:
        thread.join()
    assert all(lets_in(store, f"u{n}", f"new{n}") for n in range(8))


def test_memory_has_admins_where_no_role_is_given():
    """Users written into the code are admins; a role may be given by its word."""
    store = MemoryCredentials(
        {"boss": "sekrit", "ann": "sekrit", "eve": "sekrit"},
        roles={"ann": Role.OPERATOR, "eve": "viewer"},
    )
    roles = [store.role(name) for name in ("boss", "ann", "eve")]
    assert roles == [Role.ADMIN, Role.OPERATOR, Role.VIEWER]
    store.set_password("eve", "other")
    assert store.role("eve") is Role.VIEWER


def test_memory_refuses_what_cannot_work():
    """Bad names, passwords, keys and roles are errors where they are written."""
    with pytest.raises(CredentialError, match="role of boss: is none of viewer, operator, admin"):
        MemoryCredentials({"boss": "sekrit"}, roles={"boss": "root"})
    with pytest.raises(InvalidUserName):
        MemoryCredentials({"a:b": "sekrit"})
    with pytest.raises(CredentialError, match="empty"):
        MemoryCredentials({"boss": ""})
    with pytest.raises(InvalidKey, match="key 2 of boss"):
        MemoryCredentials(keys={"boss": [ed25519_line(1), "ssh-dss AAAA"]})


# ---------------------------------------------------------------- what a caller may write


def test_a_store_or_a_mapping_is_accepted(tmp_path):
    """A mapping becomes a memory store; a store stays what it is."""

    class Ours(CredentialStore):
        def password_hash(self, name):
            return None

        def authorized_keys(self, name):
            return ()

    ours, files = Ours(), FileCredentials(tmp_path)
    assert credential_store(ours) is ours
    assert credential_store(files) is files
    assert isinstance(credential_store({"boss": "sekrit"}), MemoryCredentials)


def test_a_store_without_its_base_class_is_refused():
    """An object that only looks like a store is told which class to derive from."""

    class Ours:
        def password_hash(self, name):
            return None

        def authorized_keys(self, name):
            return ()

    with pytest.raises(
        ConfigurationError, match=r"derived from console\.CredentialStore"
    ) as caught:
        credential_store(Ours())
    assert "'Ours'" in str(caught.value)


def test_a_store_has_the_methods_that_it_does_not_write():
    """Without roles, second factors and revocations each has a default; two must be written."""

    class Ours(CredentialStore):
        def password_hash(self, name):
            return None

        def authorized_keys(self, name):
            return ()

    store = Ours()
    store.prepare()
    assert store.role("boss") is Role.OPERATOR
    assert not store.second_factor()
    assert not store.has_second_factor("boss")
    assert not store.use_code("boss", "123456")
    assert store.is_revoked(OfferedKey("ssh-ed25519", b"")) == ""
    with pytest.raises(TypeError, match="authorized_keys"):
        type("Half", (CredentialStore,), {"password_hash": Ours.password_hash})()


@pytest.mark.parametrize("value", [None, "sekrit", ["boss", "sekrit"], 12])
def test_anything_else_is_refused_without_being_shown(value):
    """The error says what to write; the value may be a password."""
    with pytest.raises(ConfigurationError, match="FileCredentials") as caught:
        credential_store(value)
    assert "sekrit" not in str(caught.value)


def test_the_default_directory_is_the_users_own(monkeypatch, tmp_path):
    """It follows the system's convention for a user's data."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_keys_directory() == tmp_path / "console" / "keys"


def test_warnings_go_to_the_consoles_logger(directory, caplog):
    """One logger name is enough to find what the stores say."""
    caplog.set_level(logging.DEBUG)
    FileCredentials(directory).prepare()
    assert {record.name for record in caplog.records} == {"console.auth"}


def test_first_use_closes_a_directory_that_a_checkout_left_open(tmp_path):
    """The first users file is written into a group-writable directory, which is private then."""
    keys = tmp_path / "keys"
    keys.mkdir()
    keys.chmod(0o775)
    store = FileCredentials(keys, initial={"boss": "sekrit"})
    store.prepare()
    assert keys.stat().st_mode & 0o777 == 0o700
    assert store.users() == ["boss"]
    assert (keys / "authorized_keys").stat().st_mode & 0o777 == 0o700
