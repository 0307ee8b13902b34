"""Figures for Prometheus over HTTP on a loopback address. They are read when they are asked for: nothing on
the way of a request waits for them, and without the setting nothing of this is loaded.
"""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

import wire
from server.errors import PortTaken
from server.relay import BYTES
from server.settings import metrics_address

if TYPE_CHECKING:
    from server.phonebook import PhoneBookServer

LOOK = 0.5  # seconds between looks how late the event loop is
LOGINS = ("login", "login-failed", "login-throttled")


class LoopLag:
    """How late the event loop does what was due: the last look, and the worst since it was asked for."""

    def __init__(self) -> None:
        self.last = self._worst = 0.0

    def worst(self) -> float:
        """Seconds; begins anew."""
        worst, self._worst = self._worst, 0.0
        return worst

    async def watch(self) -> None:
        """Looks until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LOOK
            await asyncio.sleep(LOOK)
            self.last = max(0.0, loop.time() - due)
            self._worst = max(self._worst, self.last)


class Metrics(Collector):
    """One phone book's figures, served until `close`."""

    def __init__(self, server: "PhoneBookServer") -> None:
        """Listens. Raises `PortTaken`, `SettingsError`."""
        self._server = server
        self._lag = LoopLag()
        host, port = metrics_address(server.settings.metrics_listen)
        registry = CollectorRegistry()
        registry.register(self)
        try:
            self._http, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            where = server.settings.metrics_listen
            raise PortTaken(f"The figures cannot be served at {where}: {error.strerror}.") from None
        self.port = self._http.server_port
        self.watching = asyncio.create_task(self._lag.watch(), name="loop-lag")

    def close(self) -> None:
        """No more figures."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def collect(self) -> Iterator[Metric]:
        """Everything, as it is now; on a thread of the HTTP server."""
        server = self._server
        yield InfoMetricFamily("parley", "This phone book.", {"version": wire.VERSION})
        yield GaugeMetricFamily("parley_start_time_seconds", "When it started.", server.started)
        yield GaugeMetricFamily("parley_sessions", "People who are logged in.", server.directory.count)
        connections, without = server.admitted
        yield GaugeMetricFamily("parley_connections", "TCP connections.", connections)
        yield GaugeMetricFamily(
            "parley_connections_unauthenticated", "TCP connections without a login.", without
        )
        yield CounterMetricFamily("parley_requests", "Requests of all kinds.", server.service.requests)
        yield CounterMetricFamily("parley_lookups", "Answered `whois` requests.", server.service.lookups)
        yield CounterMetricFamily("parley_pushes", "Notifications sent.", server.performer.pushes)
        relayed = server.counts.get(BYTES, 0)
        yield CounterMetricFamily("parley_relay_bytes", "Bytes carried for shells without a way.", relayed)
        yield from self._events()
        yield from self._queues()
        yield _hashing(server)
        lag, worst = self._lag.last, self._lag.worst()
        yield GaugeMetricFamily("parley_loop_lag_seconds", "How late the event loop is.", lag)
        yield GaugeMetricFamily("parley_loop_lag_worst_seconds", "The worst since the last reading.", worst)

    def _events(self) -> Iterator[Metric]:
        counts = dict(self._server.counts)
        logins = CounterMetricFamily("parley_logins", "Logins by their result.", labels=["result"])
        for what in LOGINS:
            logins.add_metric([what.removeprefix("login-").replace("login", "ok")], counts.get(what, 0))
        yield logins
        events = CounterMetricFamily("parley_events", "What happened, by kind.", labels=["kind"])
        for what, count in sorted(counts.items()):
            events.add_metric([what], count)
        yield events

    def _queues(self) -> Iterator[Metric]:
        depth = GaugeMetricFamily("parley_queue_depth", "What waits, by where.", labels=["queue"])
        depth.add_metric(["hashes"], self._server.passwords.waiting)
        depth.add_metric(["accounts"], self._server.accounts.waiting)
        yield depth


def _hashing(server: "PhoneBookServer") -> Metric:
    """Password hashes as a histogram; the time in the queue is not part of it."""
    taken = server.passwords.taken
    buckets, total = [], 0
    for bound, count in zip((*taken.bounds, float("inf")), taken.counts, strict=True):
        total += count
        buckets.append(("+Inf" if bound == float("inf") else str(bound), float(total)))
    histogram = HistogramMetricFamily("parley_hash_seconds", "Seconds that a password hash took.")
    histogram.add_metric([], buckets, taken.sum)
    return histogram
