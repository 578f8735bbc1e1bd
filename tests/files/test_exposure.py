"""Whether other users can replace a file that access depends on."""

from __future__ import annotations

import grp
import os
import pwd

import pytest

from console.files import exposure
from console.files.atomic import write_atomically
from console.files.exposure import (
    ExposedFileError,
    exposure_above,
    open_checked,
    read_checked,
)


@pytest.fixture(autouse=True)
def _accounts_are_asked_for_anew():
    """The entry of our user is kept, and some tests replace it."""
    exposure._account_of.cache_clear()
    yield
    exposure._account_of.cache_clear()


@pytest.fixture
def keys(tmp_path):
    """Make a file as it should be: ``tmp_path/top/middle/keys/users``."""
    directory = tmp_path / "top" / "middle" / "keys"
    directory.mkdir(parents=True)
    for one in (directory, directory.parent, directory.parent.parent):
        one.chmod(0o755)
    path = directory / "users"
    path.touch(0o600)
    return path


def test_a_file_that_only_we_can_replace_is_not_exposed(keys):
    """Others may read it; /tmp above it is sticky."""
    assert exposure_above(keys) is None


@pytest.mark.parametrize("mode", [0o757, 0o775, 0o777, 0o1777, 0o1775])
def test_no_other_may_write_in_the_directory_of_the_file(keys, mode):
    """Not even with the sticky bit: there others can make what we have not made yet."""
    keys.parent.chmod(mode)
    problem = exposure_above(keys)
    assert problem.remedy == f"chmod go-w {keys.parent}"
    assert problem.problem.startswith(f"is in {keys.parent}, which can be changed by other users")


@pytest.mark.parametrize("above", [1, 2])
def test_no_directory_above_may_be_for_everybody_to_write(keys, above):
    """A user who can move a directory away can replace it; a sticky parent forbids that."""
    directory = keys.parents[above]
    directory.chmod(0o757)
    assert exposure_above(keys).remedy == f"chmod go-w {directory}"
    directory.chmod(0o1757)
    assert exposure_above(keys) is None


@pytest.mark.parametrize(
    ("group_name", "members", "primary", "allowed"),
    [
        ("service", [], True, True),
        ("service", ["service"], True, True),
        ("service", ["service", "intern"], True, False),
        ("staff", [], True, False),
        ("service", [], False, False),
        (None, [], True, False),
    ],
)
def test_a_group_may_write_above_if_it_is_ours_alone(
    keys, monkeypatch, group_name, members, primary, allowed
):
    """A user's private group counts as the user; any other group counts as others."""
    directory = keys.parents[1]
    directory.chmod(0o775)
    number = directory.stat().st_gid
    account = pwd.struct_passwd(
        ("service", "x", os.geteuid(), number if primary else number + 1, "", "/nowhere", "")
    )

    def getgrgid(wanted):
        if group_name is None:
            raise KeyError(wanted)
        return grp.struct_group((group_name, "x", wanted, members))

    monkeypatch.setattr(exposure.pwd, "getpwuid", lambda _uid: account)
    monkeypatch.setattr(exposure.grp, "getgrgid", getgrgid)
    assert (exposure_above(keys) is None) is allowed


def test_what_is_above_our_home_is_not_ours_to_judge(keys, monkeypatch):
    """As in sshd: but only where the file is in it."""
    home = keys.parents[1]
    home.parent.chmod(0o777)
    account = pwd.struct_passwd(("x", "x", os.geteuid(), os.getegid(), "", str(home), ""))
    assert exposure_above(keys) is not None
    monkeypatch.setattr(exposure.pwd, "getpwuid", lambda _uid: account)
    exposure._account_of.cache_clear()
    assert exposure_above(keys) is None
    outside = home.parent / "elsewhere"
    outside.mkdir(mode=0o755)
    (outside / "users").touch(0o600)
    assert exposure_above(outside / "users").remedy == f"chmod go-w {home.parent}"
    home.chmod(0o777)
    assert exposure_above(keys).remedy == f"chmod go-w {home}"


def test_a_user_without_an_account_is_judged_like_any(keys, monkeypatch):
    """In a container the service's number may have no name."""

    def getpwuid(uid):
        raise KeyError(uid)

    monkeypatch.setattr(exposure.pwd, "getpwuid", getpwuid)
    assert exposure_above(keys) is None
    keys.parents[1].chmod(0o775)
    assert exposure_above(keys) is not None


@pytest.mark.parametrize("relative", [False, True])
def test_a_link_is_judged_where_it_lies(keys, tmp_path, relative):
    """A user who can change the link can replace the file."""
    lies_in = tmp_path / "links"
    lies_in.mkdir(mode=0o755)
    target = os.path.relpath(keys.parent, lies_in) if relative else keys.parent
    (lies_in / "first").symlink_to(target)
    (tmp_path / "second").symlink_to(lies_in / "first")
    path = tmp_path / "second" / "users"
    assert exposure_above(path) is None
    lies_in.chmod(0o777)
    assert exposure_above(path).remedy == f"chmod go-w {lies_in}"
    assert exposure_above(keys) is None
    lies_in.chmod(0o755)
    keys.parents[2].chmod(0o777)
    assert exposure_above(path).remedy == f"chmod go-w {keys.parents[2]}"


def test_a_link_and_dots_lead_where_the_system_goes(keys, tmp_path, monkeypatch):
    """``link/..`` is the directory above the link's target, not the one that holds the link."""
    (tmp_path / "link").symlink_to(keys.parent)
    other = keys.parents[1] / "other"
    other.touch()
    keys.parents[1].chmod(0o777)
    monkeypatch.chdir(tmp_path)
    assert exposure_above("link/../other").remedy == f"chmod go-w {keys.parents[1]}"


def test_links_in_a_circle_are_an_error(tmp_path):
    """Not a search without end."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        exposure_above(tmp_path / "a" / "users")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("above", [0, 1, 2])
def test_each_directory_belongs_to_us_or_to_root(keys, above):
    """Its owner can do with it as they like; a sticky one is their own as well."""
    directory = keys.parents[above]
    os.chown(directory, 65534, -1)
    assert "is owned by user 65534" in exposure_above(keys).problem
    directory.chmod(0o1777)
    assert "is owned by user 65534" in exposure_above(keys).problem


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give links away")
def test_a_link_of_another_user_is_refused(keys, tmp_path):
    """In a sticky directory it can lie beside what is ours."""
    tmp_path.chmod(0o1777)
    (tmp_path / "link").symlink_to(keys.parent)
    assert exposure_above(tmp_path / "link" / "users") is None
    os.lchown(tmp_path / "link", 65534, -1)
    assert "is owned by user 65534" in exposure_above(tmp_path / "link" / "users").problem


# ---- opening, reading and writing what has been checked

STRANGER = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def shared(tmp_path):
    """Make a directory like ``/tmp``, in which others can make files and links."""
    directory = tmp_path / "shared"
    directory.mkdir()
    directory.chmod(0o1777)
    return directory


def test_a_path_that_does_not_exist_yet_is_judged_as_far_as_it_does(keys):
    """What is missing is ours to make, if no other user can write above it."""
    missing = keys.parent / "new" / "newer" / "file"
    assert exposure_above(missing) is None
    keys.parents[1].chmod(0o777)
    assert exposure_above(missing).remedy == f"chmod go-w {keys.parents[1]}"


@pytest.mark.parametrize(
    ("mode", "options", "allowed"),
    [
        (0o1777, {}, False),
        (0o1777, {"sticky": True}, True),
        (0o1777, {"own_group": True}, False),
        (0o777, {"sticky": True, "own_group": True}, False),
        (0o775, {}, False),
        (0o775, {"own_group": True}, True),
        (0o775, {"sticky": True}, False),
    ],
)
def test_the_directory_of_a_file_may_be_shared_only_if_the_caller_says_so(
    keys, monkeypatch, mode, options, allowed
):
    """Each exception is asked for."""
    monkeypatch.setattr(exposure, "_is_own_group", lambda _number: True)
    keys.parent.chmod(mode)
    assert (exposure_above(keys, **options) is None) is allowed


@as_root
@pytest.mark.parametrize("deed", ["write", "open", "read"])
def test_a_link_of_another_user_leads_nowhere(shared, tmp_path, deed):
    """What it names is neither read nor written."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    link = shared / "link"
    link.symlink_to(victim)
    os.lchown(link, STRANGER, -1)
    with pytest.raises(ExposedFileError, match=f"a link that is owned by user {STRANGER}"):
        {
            "write": lambda: write_atomically(link, b"overwritten"),
            "open": lambda: open_checked(link, os.O_WRONLY, mode=0o600, secret=True),
            "read": lambda: read_checked(link, secret=False, sticky=True),
        }[deed]()
    assert victim.read_text() == "precious"
    assert link.is_symlink()


@as_root
@pytest.mark.parametrize("deed", ["open", "read"])
def test_a_file_of_another_user_is_not_used(shared, deed):
    """Its owner could change it, and would read what we write."""
    path = shared / "file"
    path.touch(0o600)
    os.chown(path, STRANGER, -1)
    with pytest.raises(ExposedFileError, match=f"is owned by user {STRANGER}"):
        if deed == "open":
            open_checked(path, os.O_WRONLY | os.O_CREAT, mode=0o600, secret=True)
        else:
            read_checked(path, secret=True, sticky=True)


def test_our_own_links_are_followed(shared, tmp_path):
    """A file may lie elsewhere, and is then checked there."""
    target = tmp_path / "target"
    target.touch(0o600)
    (shared / "second").symlink_to(target)
    (shared / "first").symlink_to("second")
    write_atomically(shared / "first", b"new")
    assert read_checked(shared / "first", secret=True, sticky=True) == b"new"
    assert target.read_bytes() == b"new"
    os.close(open_checked(shared / "first", os.O_WRONLY, mode=0o600, secret=True))
    target.chmod(0o644)
    with pytest.raises(ExposedFileError, match="can be read by other users"):
        open_checked(shared / "first", os.O_WRONLY, mode=0o600, secret=True)


def test_a_second_name_of_our_file_is_not_written_to_where_others_make_names(shared, tmp_path):
    """A hard link in a shared directory may be another user's; elsewhere it is ours."""
    target = tmp_path / "target"
    target.touch(0o600)
    (shared / "name").hardlink_to(target)
    with pytest.raises(ExposedFileError, match="has another name as well"):
        open_checked(shared / "name", os.O_WRONLY, mode=0o600, secret=True)
    os.close(open_checked(target, os.O_WRONLY, mode=0o600, secret=True))


def test_a_device_may_be_written_to():
    """``--log-file /dev/null`` is no file that others could read."""
    os.close(open_checked(os.devnull, os.O_WRONLY, mode=0o600, secret=False))
