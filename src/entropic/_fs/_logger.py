"""The one logger, ``entropic``. It is loaded by those who have something to say, and logging with it."""

from __future__ import annotations

import logging

from ._telling import listeners, one_line

logger = logging.getLogger("entropic")


class _ToListeners(logging.NullHandler):
    """Prints nothing, as libraries should: who listens decides."""

    def handle(self, event: logging.LogRecord) -> bool:
        if event.levelno >= logging.WARNING:
            for hear in listeners:
                hear(event.getMessage())
        return True


def _spells_out(event: logging.LogRecord) -> bool:
    """Make the texts of an event harmless, which may be those of a record or the name of a file."""
    if isinstance(event.args, tuple):
        event.args = tuple(one if isinstance(one, (int, float)) else one_line(one) for one in event.args)
    return True


logger.addHandler(_ToListeners())
logger.addFilter(_spells_out)
