"""The service in the pictures: a shop that sends orders, with a console in it.

    python shop.py HOST KEYS TELNET_PORT SSH_PORT

HOST is the machine's name in the pictures. The service ends when stdin ends; a line on stdin makes
it block its loop.
"""

from __future__ import annotations

import asyncio
import random
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from console import Console, FileCredentials

ITEMS = ("tea, 100 g", "kettle", "two cups", "café filter №4", "お茶", "honey")
STATES = ("packed", "sent", "sent", "paid", "returned")


class PaymentError(Exception):
    """The bank has refused a payment."""


@dataclass
class Order:
    """An order of a customer."""

    id: int
    item: str
    price: float
    state: str
    note: str | None = None


@dataclass
class Shop:
    """Takes orders, and sends them."""

    orders: list[Order] = field(default_factory=list)
    rates: dict[str, float] = field(default_factory=lambda: {"EUR": 1.0, "JPY": 161.4})

    async def ship(self, order: Order, *, express: bool = False, tries: int = 3) -> str:
        """Hand an order to the carrier.

        Goes on trying while the carrier does not answer. What has been sent
        already is not sent twice.

        Returns:
            The number by which the parcel can be followed.
        """
        await asyncio.sleep(0.05 if express else 0.5 * tries)
        order.state = "sent"
        return f"1Z{order.id:06}"

    def refund(self, order: Order, amount: float | None = None) -> float:
        """Give money back: all of it, unless an amount is named."""
        if order.state != "returned":
            raise PaymentError(f"order {order.id} has not come back: it is {order.state}")
        return order.price if amount is None else amount

    def reindex(self, seconds: float) -> None:
        """Sort everything anew, on the loop, which is a mistake."""
        print("sorting", flush=True)
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self.orders = sorted(self.orders, key=lambda order: order.id)

    async def carry(self) -> None:
        """Fetch parcels, for ever."""
        await asyncio.Event().wait()


def make_orders(count: int) -> list[Order]:
    """Make orders, the same ones each time."""
    chance = random.Random(7)
    return [
        Order(
            4711 + number,
            chance.choice(ITEMS),
            round(chance.uniform(3, 90), 2),
            chance.choice(STATES),
            "a gift" if number % 4 == 3 else None,
        )
        for number in range(count)
    ]


async def main(keys: Path, telnet: int, ssh: int) -> None:
    """Serve until stdin ends."""
    shop = Shop(make_orders(240))
    carrier = asyncio.create_task(shop.carry(), name="carrier")
    console = Console(
        "shop",
        namespace={"shop": shop},
        credentials=FileCredentials(keys, initial={"boss": "sekrit"}),
        keys=keys,
        telnet=telnet,
        ssh=ssh,
    )
    async with console:
        print(console.telnet_port, console.ssh_port, flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            shop.reindex(5)
    carrier.cancel()


if __name__ == "__main__":
    host, directory, *ports = sys.argv[1:]
    socket.gethostname = lambda: host
    asyncio.run(main(Path(directory), *map(int, ports)))
