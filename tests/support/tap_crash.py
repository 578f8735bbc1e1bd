"""Kills a process that saves, again and again: ``tap_crash.py DIRECTORY ROUNDS SEED``.

A warm process with one thread forks children. Each loads the file, and saves it repeatedly with a
number one higher each time; it reports each number when its save has returned. It is killed at a
random moment. The file must then have the last reported number, or the one that was being saved.
"""

import contextlib
import os
import random
import select
import signal
import sys
from pathlib import Path

from console import Application, Factory, ShellFactory

FILLING = 2000


def make_application():
    application = Application("crash")
    shell = ShellFactory("boss", "sekrit")
    factory = Factory()
    application.listen_tcp(0, factory)
    application.listen_tcp(0, shell)
    # Numbers that must agree, at the file's beginning and at its end.
    shell.namespace.update(first=0, filling=list(range(FILLING)), factory=factory, last=0)
    return application


def number_in(path):
    """Load the file, check that it is one state, and return its number."""
    application = Application.load(path)
    (_, factory, *_), (_, shell, *_) = application.tcp_ports
    names = shell.namespace
    assert names["first"] == names["last"] == application.services.get("number", 0), names
    assert names["filling"] == list(range(FILLING))
    assert names["factory"] is factory
    assert application.not_restored == []
    return names["first"]


def save_until_killed(path, told):
    application = Application.load(path)
    _, shell, *_ = application.tcp_ports[1]
    while True:
        number = shell.namespace["first"] + 1
        shell.namespace.update(first=number, last=number)
        application.services["number"] = number
        application.save(path)
        os.write(told, b"%d\n" % number)


def kill_one(path, before, dice):
    """Let one child save, kill it, and return the number in the file."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            os.close(reading)
            save_until_killed(path, writing)
        os._exit(1)
    os.close(writing)
    told = b""
    # A random moment within or between the first saves; the delay is the test's input.
    if dice.random() < 0.8:
        select.select([reading], [], [], 20)
    select.select([], [], [], dice.uniform(0, 0.012))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL, f"the child ended by itself: {status}"
    while part := os.read(reading, 65536):
        told += part
    os.close(reading)
    confirmed = max([before, *map(int, told.split())])
    number = number_in(path)
    assert number in {confirmed, confirmed + 1}, (number, confirmed)
    return number, confirmed


def main(directory, rounds, seed):
    dice = random.Random(seed)
    path = Path(directory, "crash.tap")
    application = make_application()
    application.tcp_ports[1][1].password_hash("boss")  # hashed once, not in each child
    application.save(path)
    number = newer = left = 0
    for _ in range(rounds):
        number, confirmed = kill_one(path, number, dice)
        newer += number > confirmed
        for half in path.parent.glob(".*.tmp"):
            half.unlink()
            left += 1
    print(f"{rounds} kills, {number} saves, {left} in mid-write, {newer} after the rename")


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
