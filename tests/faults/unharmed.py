"""What no attack does to a server: it takes no memory without end, loses no acknowledged point, and nothing breaks in it."""

from __future__ import annotations

from collections.abc import Iterable

from tests.faults.ledger import account
from tests.faults.served import Served
from tests.faults.stored import stored
from tests.faults.writing import Clients, drained

MEMORY_BYTES = 900_000_000


def assert_unharmed(server: Served, clients: Clients, *, besides: Iterable[tuple[str, str]]) -> None:
    """Stop the server, and see that all is there. `besides` are series that others than the clients wrote."""
    drained(server)
    memory = server.highest_memory
    print(f"memory: {memory / 1e6:.0f} MB at the most; {clients.total('broken')} requests of scripts broke off")
    assert server.stop() == 0
    found = stored(server.data_dir)
    for series in besides:
        del found.series[series]
    result = account(clients.batches, found)
    assert not clients.problems, clients.problems[:10]
    assert result.is_clean, result
    assert result.acknowledged > 100
    assert memory < MEMORY_BYTES
    assert "Traceback" not in server.printed()
