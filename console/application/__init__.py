"""Applications: ports, factories, services and shells in one process, which can be saved."""

from console.application.application import Application, current
from console.application.shell import ShellFactory

__all__ = ["Application", "ShellFactory", "current"]
