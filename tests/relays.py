"""A relay on loopback that cuts connections: for servers that are real, on a line that is bad."""

from __future__ import annotations

import contextlib
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def cutting_relay(target: str, cuts: list[int]) -> Iterator[str]:
    """Relay to `target`, `host:port`; yields its own. Each of the `cuts` ends one connection after so many bytes.

    Bytes in both directions count, of the connection that reaches the number; what has a large body is cut.
    """
    lock = threading.Lock()
    threads: list[threading.Thread] = []
    ends: list[socket.socket] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket, passed: list[int]) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                passed[0] += len(data)
                with lock:
                    cut = bool(cuts) and passed[0] > cuts[0]
                    if cut:
                        cuts.pop(0)
                sink.sendall(data)
                if cut:
                    break
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def connection(client: socket.socket) -> None:
        name, _, port = target.partition(":")
        with client, socket.create_connection((name, int(port))) as server:
            ends.extend((client, server))
            passed = [0]
            back = threading.Thread(target=pump, args=(server, client, passed))
            back.start()
            pump(client, server, passed)
            back.join()

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=connection, args=(client,)))
            threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
