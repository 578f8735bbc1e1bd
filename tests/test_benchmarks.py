"""The guards of the benchmarks: counts that hardly depend on the machine, with wide margins."""

import asyncio
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmarks are in the repository alone", allow_module_level=True)
sys.path.insert(0, str(ROOT))

from benchmarks.figures import counts  # noqa: E402 - the path comes first
from benchmarks.measure import median, percentile  # noqa: E402 - as above
from benchmarks.terminals import SocketTerminal  # noqa: E402 - as above


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    """What a service with a console does for keys, logins, output and waiting."""
    return asyncio.run(counts.count(tmp_path_factory.mktemp("counts")))


@pytest.mark.parametrize("name", counts.LIMITS)
def test_a_count_is_within_its_limit(counted, name):
    """What is counted stays below twice what it was."""
    assert 0 <= counted[name] <= counts.LIMITS[name], f"{name}: {counted[name]}"


def test_keys_are_counted_at_all(counted):
    """A count that guards typing is not of nothing."""
    assert counted["key_echo: calls a key"] > 10
    assert counted["line_echo: calls a key"] > 10


def test_percentiles_are_values_that_were_measured():
    """A percentile is one of the values."""
    values = [5, 1, 4, 2, 3]
    assert median(values) == 3
    assert percentile(values, 99) == 5
    assert percentile([7], 1) == 7


def test_the_client_takes_telnet_commands_out():
    """A command that comes in two parts is answered, and none of it is drawn."""
    sent = []

    class Client(SocketTerminal):
        def send(self, data):
            sent.append(data)

    client = Client(telnet=True)
    client.data_received(b"a\xff")
    client.data_received(b"\xfb\x01b")
    assert client.line == "ab"
    assert sent == [b"\xff\xfd\x01"]
