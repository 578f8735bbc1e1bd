"""Runs every cell of `test_clients.py` and prints what each client can do, as a Markdown table.

``PYTHONPATH=tests python -m support.client_matrix``, from the root of the project.
"""

import sys
from pathlib import Path

import pytest

from support.client_features import FEATURES, IMPOSSIBLE
from support.clients import ALL_CLIENTS


class Results:
    """A plugin of pytest that keeps the result of each cell."""

    def __init__(self):
        self.of_cell = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item):
        report = yield
        parameters = getattr(item, "callspec", None)
        if parameters is not None and (report.when == "call" or report.outcome != "passed"):
            cell = parameters.params["name"], parameters.params["client"]
            self.of_cell[cell] = report.outcome
        return report


def matrix(of_cell):
    """Return the table's lines, and below it the reasons for impossible cells."""
    reasons = list(dict.fromkeys(IMPOSSIBLE.values()))
    yield "| | " + " | ".join(ALL_CLIENTS) + " |"
    yield "|---" * (len(ALL_CLIENTS) + 1) + "|"
    for name, (_, group) in FEATURES.items():
        row = []
        for client in ALL_CLIENTS:
            reason = IMPOSSIBLE.get((group, client))
            shown = of_cell.get((name, client), "not run")
            row.append(f"n/a {reasons.index(reason) + 1}" if reason else shown)
        yield f"| {name} | " + " | ".join(row) + " |"
    yield ""
    for number, reason in enumerate(reasons, 1):
        yield f"{number}. {reason}"


if __name__ == "__main__":
    results = Results()
    file = Path(__file__).parents[1] / "clients" / "test_clients.py"
    status = pytest.main(["-q", "--no-header", str(file), *sys.argv[1:]], plugins=[results])
    print("\n".join(matrix(results.of_cell)))
    sys.exit(status)
