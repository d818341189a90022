"""What a PostgreSQL server needs, loaded for those who have one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._fs import forks_held_off
from ...errors import MissingExtraError
from ._url import DatabasePlace

if TYPE_CHECKING:
    from ._leases import Leases
    from ._postgres import PostgresServer


def server_and_leases(place: DatabasePlace, durable: bool) -> tuple[PostgresServer, Leases]:
    """
    A server, by its driver, and the locks of its keys.

    Raises:
        MissingExtraError: The driver is not installed (an `ImportError`).
    """
    try:
        with forks_held_off(importing=True):
            from ._leases import Leases
            from ._postgres import PostgresServer
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        raise MissingExtraError("Cannot reach a PostgreSQL server", error.name, "sql") from None
    server = PostgresServer(place, durable)
    return server, Leases(server)
