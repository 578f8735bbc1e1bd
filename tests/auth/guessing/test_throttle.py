"""Throttling: delays that double and lapse, a source's turns, unauthenticated connections."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.auth.guessing.failures import COUNTED, LAPSE_SECONDS, REMEMBERED
from console.auth.guessing.throttle import FREE_FAILURES_AT_A_USER, FREE_KEYS, Throttle, source_of
from console.auth.guessing.turns import Turns
from console.config.settings import LoginSettings
from console.events import ConnectionDropped, EventBus
from console.interfaces.credentials import Peer
from console.transports.drop_log import SUMMARY_SECONDS, TOLD_EACH, DropLog
from console.transports.unauthenticated import UnauthenticatedConnections
from support.ticking import Clock

HERE = Peer("192.0.2.1", 4711)
ELSEWHERE = Peer("198.51.100.7", 22)


@pytest.fixture
def throttle(clock):
    return Throttle(LoginSettings(), clock)


def fail(throttle, times, peer=HERE, user="boss"):
    delays = []
    for _ in range(times):
        delays.append(throttle.delay_seconds(peer, user))
        throttle.failed(peer, user)
    return delays


# ---- delays


def test_delays_of_a_source_double_up_to_the_most(throttle):
    """Each wrong password of one address takes twice as long, until ten seconds."""
    assert fail(throttle, 8) == pytest.approx([0.3, 0.6, 1.2, 2.4, 4.8, 9.6, 10.0, 10.0])


def test_ten_wrong_passwords_cost_more_than_ten_seconds(throttle):
    """Ten guesses take more than ten seconds."""
    assert sum(fail(throttle, 10)) > 10


def test_failures_lapse(throttle, clock):
    """A failure is forgotten after half a minute, three after one and a half."""
    fail(throttle, 3)
    clock.now += LAPSE_SECONDS
    assert throttle.delay_seconds(HERE, "boss") == pytest.approx(1.2)
    clock.now += 2 * LAPSE_SECONDS
    assert throttle.delay_seconds(HERE, "boss") == pytest.approx(0.3)


def test_after_an_hour_all_is_forgotten(throttle, clock):
    """After days of guessing neither the source nor the user is delayed for days."""
    fail(throttle, 10_000)
    clock.now += COUNTED * LAPSE_SECONDS
    assert COUNTED * LAPSE_SECONDS == 3600
    assert throttle.delay_seconds(HERE, "boss") == pytest.approx(0.3)
    assert not throttle.is_besieged(HERE, "boss")


def test_the_operator_elsewhere_is_not_locked_out(throttle):
    """A thousand failures from one address at a user leave another address its short delay."""
    fail(throttle, FREE_FAILURES_AT_A_USER)
    assert throttle.delay_seconds(ELSEWHERE, "boss") == pytest.approx(0.3)
    fail(throttle, 1000)
    assert throttle.delay_seconds(ELSEWHERE, "boss") == pytest.approx(10.0)  # if it is wrong
    assert throttle.delay_seconds(ELSEWHERE, "ann") == pytest.approx(0.3)


def test_guesses_from_everywhere_take_turns(throttle):
    """At a user with failures, a source without a successful login waits for a turn."""
    throttle.succeeded(ELSEWHERE)
    assert not throttle.is_besieged(HERE, "boss")
    for number in range(FREE_FAILURES_AT_A_USER + 1):
        fail(throttle, 1, Peer(f"203.0.113.{number}", 1))
    assert throttle.is_besieged(HERE, "boss")
    assert not throttle.is_besieged(HERE, "ann")
    assert not throttle.is_besieged(ELSEWHERE, "boss")


def test_who_shows_many_wrong_keys_waits(throttle, clock):
    """More keys than agents hold are delayed; not those of a known source, and not for ever."""
    assert [throttle.key_refused(HERE) for _ in range(FREE_KEYS + 2)] == [
        *[False] * FREE_KEYS,
        *[True] * 2,
    ]
    assert not throttle.key_refused(ELSEWHERE)
    clock.now += 4 * LAPSE_SECONDS
    assert not throttle.key_refused(HERE)
    throttle.succeeded(HERE)
    assert not any(throttle.key_refused(HERE) for _ in range(2 * FREE_KEYS))


def test_guesses_from_everywhere_at_one_user_slow_down(throttle):
    """A user who is guessed at from many addresses costs each of them more and more."""
    for number in range(20):
        fail(throttle, 1, Peer(f"203.0.113.{number}", 1))
    assert throttle.delay_seconds(Peer("203.0.113.99", 1), "boss") == pytest.approx(10.0)


def test_who_has_come_in_goes_first(throttle, clock):
    """In a queue known sources are first, those with recent failures last."""
    assert throttle.rank(HERE) == 1
    throttle.succeeded(HERE)
    assert throttle.rank(HERE) == 0
    throttle.failed(HERE, "boss")
    throttle.failed(ELSEWHERE, "boss")
    clock.now += LAPSE_SECONDS - 1
    assert throttle.rank(HERE) == throttle.rank(ELSEWHERE) == 2
    assert (throttle.standing(HERE), throttle.standing(ELSEWHERE)) == (0, 2)
    clock.now += 1
    assert throttle.rank(HERE) == 0
    assert throttle.standing(ELSEWHERE) == 1


def test_success_forgives_nothing(throttle):
    """A login with one's own small account does not wash the failures at another away."""
    fail(throttle, 4)
    throttle.succeeded(HERE)
    assert throttle.delay_seconds(HERE, "boss") == pytest.approx(4.8)


@pytest.mark.parametrize(
    ("settings", "peer", "spared"),
    [
        ({}, Peer("127.0.0.1", 5), False),
        ({"throttle_loopback": False}, Peer("127.0.0.1", 5), True),
        ({"throttle_loopback": False}, Peer("::1", 5), True),
        ({"throttle_loopback": False}, Peer("::ffff:127.0.0.1", 5), True),
        ({"throttle_loopback": False}, Peer("::2", 5), False),
        ({"throttle_loopback": False}, HERE, False),
        ({"throttle_loopback": False}, Peer("", uid=0), False),
        ({"throttle_unix": False}, Peer("", uid=0), True),
        ({"throttle_unix": False}, Peer("127.0.0.1", 5), False),
    ],
)
def test_peers_on_this_machine_can_be_spared(settings, peer, spared, clock):
    """Loopback and Unix peers wait longer each time unless a setting spares them."""
    throttle = Throttle(LoginSettings(**settings), clock)
    assert throttle.is_spared(peer) is spared
    assert (fail(throttle, 4, peer)[3] > 0.3) is not spared


def test_what_is_remembered_is_bounded(throttle):
    """A flood of names and addresses leaves no more than so many of them in memory."""
    for number in range(REMEMBERED + 500):
        throttle.failed(Peer(f"2001:db8:{number:x}::1", 1), f"user{number}")
        throttle.succeeded(Peer(f"2001:db8:{number:x}::1", 1))
    assert len(throttle._sources._counts) == REMEMBERED
    assert len(throttle._users._counts) == REMEMBERED
    assert len(throttle._welcome) == REMEMBERED
    for number in range(REMEMBERED + 500):
        throttle.key_refused(Peer(f"2001:db9:{number:x}::1", 1))
    assert len(throttle._keys._counts) == REMEMBERED


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:1:2:3", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2", True),
    ],
)
def test_what_counts_as_one_source(one, other, same):
    """An IPv4 address is a source; with IPv6 it is all that one customer has."""
    assert (source_of(Peer(one, 1)) == source_of(Peer(other, 2))) is same


def test_system_users_are_sources():
    """On a Unix socket each system user is a source of their own."""
    assert source_of(Peer("", uid=1000)) != source_of(Peer("", uid=1001))


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 100)), max_size=60))
def test_delays_stay_in_their_bounds(steps):
    """Whatever happens and whenever, a delay is between the first and the most."""
    clock = Clock()
    throttle = Throttle(LoginSettings(), clock)
    for wrong, seconds in steps:
        clock.now += seconds
        assert 0.3 <= throttle.delay_seconds(HERE, "boss") <= 10.0
        if wrong:
            throttle.failed(HERE, "boss")
        else:
            throttle.succeeded(HERE)


# ---- turns


def test_a_source_has_one_turn_at_a_time():
    """Of several at once from one source each begins when the one before has ended."""

    async def main():
        turns, busy, order = Turns(), 0, []

        async def one(name):
            nonlocal busy
            async with turns.of("here") as turn:
                busy += 1
                assert busy == 1
                turn.free_at = asyncio.get_running_loop().time() + 0.01
                await asyncio.sleep(0)
                order.append(name)
                busy -= 1

        await asyncio.gather(*(one(number) for number in range(5)))
        assert order == [0, 4, 3, 2, 1]

    asyncio.run(main())


def test_the_lowest_rank_is_next():
    """Of the waiters the lowest rank, and of these the latest, has the next turn."""

    async def main():
        turns, order = Turns(), []

        async def one(name, rank):
            async with turns.of("here", rank):
                order.append(name)

        async with turns.of("here"):
            ranks = {"a": 2, "b": 1, "c": 1, "d": 2}
            tasks = [asyncio.create_task(one(*item)) for item in ranks.items()]
            await asyncio.sleep(0)
        await asyncio.wait(tasks)
        assert order == ["c", "b", "d", "a"]

    asyncio.run(main())


def test_who_leaves_leaves_the_pause_behind():
    """A turn that is cancelled is still followed by its pause."""

    async def main():
        turns = Turns()
        loop = asyncio.get_running_loop()
        began = asyncio.Event()
        free_at = loop.time() + 0.2

        async def leaves():
            async with turns.of("here") as turn:
                turn.free_at = free_at
                began.set()
                await asyncio.Event().wait()

        first = asyncio.create_task(leaves())
        await began.wait()
        first.cancel()
        await asyncio.wait([first])
        async with turns.of("here"):
            assert loop.time() >= free_at

    asyncio.run(main())


def test_who_leaves_while_waiting_is_forgotten():
    """Thousands of waiters that leave during a source's delay leave nothing behind."""

    async def main():
        turns = Turns()

        async def wait():
            async with turns.of("here"):
                await asyncio.Event().wait()

        async with turns.of("here") as turn:
            for _ in range(100):
                task = asyncio.create_task(wait())
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
            assert turn.waiting == []
            # The last to come is next, also if it leaves at the moment in which its turn comes.
            tasks = [asyncio.create_task(wait()) for _ in range(2)]
            await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.wait([tasks[1]])
        assert turn.busy
        tasks[0].cancel()
        await asyncio.wait([tasks[0]])
        assert not turn.busy

    asyncio.run(main())


def test_another_source_does_not_wait():
    """While one source serves its delay, another one has its turn."""

    async def main():
        turns = Turns()
        async with turns.of("here") as turn:
            turn.free_at = asyncio.get_running_loop().time() + 1000
            async with asyncio.timeout(20), turns.of("elsewhere"):
                pass

    asyncio.run(main())


def test_turns_are_forgotten():
    """Without waiters and after the pause nothing of a source is kept."""

    async def main():
        turns = Turns()
        for number in range(100):
            async with turns.of(str(number)) as turn:
                turn.free_at = asyncio.get_running_loop().time() + 0.01
        async with asyncio.timeout(20):
            while turns._turns:  # noqa: ASYNC110 - a dict has no event
                await asyncio.sleep(0.01)

    asyncio.run(main())


# ---- unauthenticated connections


unauthenticated_later = []


class Connection:
    def __init__(self):
        self.aborted = False

    def abort(self):
        self.aborted = True


@pytest.fixture
def crowd():
    """Make a limit of 6 unauthenticated connections, 3 of one source, and its log."""
    events = []
    bus = EventBus()
    bus.subscribe(events.append)
    drops = DropLog(bus, source_of, lambda _, call: unauthenticated_later.append(call))
    unauthenticated = UnauthenticatedConnections(
        drops=drops,
        source_of=source_of,
        most=6,
        most_per_source=3,
        standing=lambda peer: {"192.0.2.99": 0, "192.0.2.66": 2}.get(peer.host, 1),
    )
    unauthenticated_later.clear()

    def come(host):
        connection = Connection()
        unauthenticated.add(connection, "ssh", Peer(host, 5))
        return connection

    return unauthenticated, come, events


def test_the_oldest_of_a_source_makes_room(crowd):
    """When one address has too many connections its oldest is evicted, and no other's."""
    unauthenticated, come, events = crowd
    other = come("192.0.2.2")
    mine = [come("192.0.2.1") for _ in range(5)]
    assert [one.aborted for one in mine] == [True, True, False, False, False]
    assert not other.aborted
    assert len(unauthenticated) == 4
    told = ConnectionDropped(
        transport="ssh", peer="192.0.2.1:5", reason="more than 3 connections before login"
    )
    assert events == [told, told]


def test_the_crowded_source_makes_room(crowd):
    """When there are too many in all, the source with most loses its oldest, not the newest."""
    _, come, events = crowd
    alone = come("192.0.2.1")
    crowded = [come("192.0.2.2") for _ in range(3)]
    others = [come("192.0.2.3"), come("192.0.2.4"), come("192.0.2.5")]
    assert [one.aborted for one in crowded] == [True, False, False]
    assert not alone.aborted
    assert not any(one.aborted for one in others)
    assert events[0].reason == "more than 6 connections before login in all"


def test_of_equal_sources_the_first_makes_room(crowd):
    """Where all have as many, the oldest of all is ended rather than the newest refused."""
    _, come, _ = crowd
    all_of_them = [come(f"192.0.2.{number}") for number in range(7)]
    assert [one.aborted for one in all_of_them] == [True] + [False] * 6


def test_a_known_source_is_spared(crowd):
    """Where all have as many, a known source's stays."""
    _, come, _ = crowd
    operator = come("192.0.2.99")
    others = [come(f"192.0.2.{number}") for number in range(20)]
    assert not operator.aborted
    assert sum(one.aborted for one in others) == 15


def test_where_a_guess_was_wrong_is_ended_first(crowd):
    """Where all have as many, one of a source without failures stays, though older."""
    _, come, _ = crowd
    others = [come(f"192.0.2.{number}") for number in range(5)]
    guesser = come("192.0.2.66")
    others.append(come("192.0.2.7"))
    assert guesser.aborted
    assert not any(one.aborted for one in others)


def test_who_has_logged_in_is_not_counted(crowd):
    """A connection that has been removed, twice even, makes room for others."""
    unauthenticated, come, events = crowd
    for _ in range(50):
        one = come("192.0.2.1")
        unauthenticated.remove(one)
        unauthenticated.remove(one)
    assert len(unauthenticated) == 0
    assert events == []


# ---- the log of evicted connections


@pytest.fixture
def telling():
    """Make a log of evicted connections: its function, the events, and the scheduled calls."""
    events, waiting = [], []
    bus = EventBus()
    bus.subscribe(events.append)
    drops = DropLog(bus, source_of, lambda seconds, call: waiting.append((seconds, call)))

    def tell(host, times):
        for _ in range(times):
            drops.tell("ssh", Peer(host, 5), "an HTTP request, not SSH")

    return tell, events, waiting


def test_a_flood_is_told_of_by_a_number(telling):
    """Of one source a few evicted connections are logged, and a minute later how many more."""
    tell, events, waiting = telling
    tell("192.0.2.1", TOLD_EACH + 993)
    assert len(events) == TOLD_EACH
    ((seconds, summary),) = waiting
    assert seconds == SUMMARY_SECONDS
    waiting.clear()
    summary()
    assert events[-1].reason == "993 more connections of 192.0.2.1 ended, in 60 s"
    tell("192.0.2.1", 1)  # and so on, from the beginning
    assert len(events) == TOLD_EACH + 2


def test_few_are_told_of_without_a_number(telling):
    """If there were no more, nothing is logged at the end of the minute."""
    tell, events, waiting = telling
    tell("192.0.2.1", TOLD_EACH)
    waiting[0][1]()
    assert len(events) == TOLD_EACH


def test_a_flood_from_everywhere_is_told_of_in_few_lines(telling):
    """Thousands of sources are neither kept nor logged one by one."""
    tell, events, waiting = telling
    for number in range(5000):
        tell(f"10.0.{number // 256}.{number % 256}", 1)
    assert len(events) == len(waiting) - 1 + TOLD_EACH == 256 + TOLD_EACH
    for _, summary in waiting:
        summary()
    (number,) = [event.reason for event in events if "more connections" in event.reason]
    assert number == f"{5000 - 256 - TOLD_EACH} more connections of other sources ended, in 60 s"
