"""Faults that others bring about: what they touch goes on, and the log has the first of them."""

import logging

MAX_LOGGED = 20  # faults of one kind that are written into the log; more would push the rest of it out


class Faults:
    """Those of one edge, behind which the others go on."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._met = 0

    def met(self, error: Exception, event: str, *arguments: object) -> None:
        """Notes one; `event` and `arguments` are the line for the log."""
        self._met += 1
        if self._met <= MAX_LOGGED:
            self._log.error(event, *arguments, exc_info=error)
