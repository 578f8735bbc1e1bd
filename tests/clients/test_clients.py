"""What each client shows of each feature: a matrix, of which each cell is run.

`support/client_features.py` has its columns, `support/client_matrix.py` prints it.
"""

import pytest

from support.client_features import FEATURES, IMPOSSIBLE, Seats
from support.clients import ALL_CLIENTS


@pytest.fixture(scope="module")
def seats(_hosts):
    """The clients' sessions, on the service that tests share."""
    seats = Seats(_hosts("asyncio"))
    yield seats
    seats.close()


def cells():
    return [
        pytest.param(name, client, id=f"{client}-{name}")
        for client in ALL_CLIENTS
        for name, (_, group) in FEATURES.items()
        if (group, client) not in IMPOSSIBLE
    ]


# ---- in a session that others have used


# ---- in a session of its own


@pytest.mark.parametrize(("name", "client"), cells())
def test_cell(name, client, seats):
    """Each client does what a feature asks, or the table says why it cannot."""
    check, _ = FEATURES[name]
    try:
        check(seats, client)
    except BaseException:
        seats.drop(client)
        raise


def test_the_table_of_what_is_impossible():
    """What is impossible is a feature of a client; nothing is excused that is not there."""
    groups = {group for _, group in FEATURES.values()}
    assert {group for group, _ in IMPOSSIBLE} <= groups
    assert {client for _, client in IMPOSSIBLE} <= set(ALL_CLIENTS)
