"""What is wrong with the files of users and keys, in the log once for each change of them."""

from __future__ import annotations

import logging
from pathlib import Path

logger = logging.getLogger("console.auth")


class Complaints:
    """Remembers what has been said of each file: they are read again at each login."""

    def __init__(self) -> None:
        self._told: dict[Path, object] = {}

    def tell(self, path: Path, problems: list[str]) -> None:
        """Log what is wrong with a file, unless that has been said of the file as it is now.

        Args:
            path: The file, which need not exist.
            problems: A line each; none once it is all right again.
        """
        try:
            status = path.stat()
            version = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        except OSError:
            version = None
        news = (version, tuple(problems)) if problems else None
        if self._told.get(path) != news:
            self._told[path] = news
            for problem in problems:
                logger.warning("%s", problem)
