"""Whether other users can replace a file that access depends on."""

from __future__ import annotations

import grp
import os
import pwd

import pytest

from console.files import exposure
from console.files.exposure import exposure_above


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
