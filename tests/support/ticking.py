"""A clock that tests advance."""


class Clock:
    """A monotonic clock that only tests advance."""

    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        return self.now
