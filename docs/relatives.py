"""What comes closest to our metrics elsewhere: in OpenTelemetry's conventions, and in two pools many people know.

HikariCP's names are as Micrometer gives them. For the tables of `docs/exporting.md` alone.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Relative:
    """What comes closest to a PromQL expression over our metrics; "" where the other has nothing like it."""

    ours: str
    otel: str = ""
    hikari: str = ""
    psycopg: str = ""


FOLLOWS = {  # metric -> the convention its OpenTelemetry name follows
    "millpond_pool_uptime_seconds": "process.uptime",
    "millpond_workers": "db.client.connection.count",
    "millpond_workers_max": "db.client.connection.max",
    "millpond_worker_start_seconds": "db.client.connection.create_time",
    "millpond_calls_queued": "db.client.connection.pending_requests",
    "millpond_calls_running": "http.server.active_requests",
    "millpond_call_errors_total": "db.client.connection.timeouts",
    "millpond_queue_wait_seconds": "db.client.connection.wait_time",
    "millpond_service_seconds": "db.client.connection.use_time",
    "millpond_call_duration_seconds": "rpc.client.call.duration",
    "millpond_request_bytes": "rpc.client.request.size",
    "millpond_response_bytes": "rpc.client.response.size",
    "millpond_operation_duration_seconds": "rpc.client.call.duration",
    "millpond_workers_cpu_ratio": "process.cpu.utilization",
    "millpond_workers_resident_bytes": "process.memory.usage",
    "millpond_parent_resident_bytes": "process.memory.usage",
    "millpond_parent_open_fds": "process.unix.file_descriptor.count",
    "millpond_parent_threads": "process.thread.count",
    "millpond_parent_cpu_seconds_total": "process.cpu.time",
}

RELATIVES: tuple[Relative, ...] = (
    Relative("sum(millpond_workers)", "db.client.connection.count", "hikaricp.connections", "pool_size"),
    Relative(
        'millpond_workers{state="ready"}',
        'db.client.connection.count{state="idle"}',
        "hikaricp.connections.idle",
        "pool_available",
    ),
    Relative(
        'millpond_workers{state="busy"}', 'db.client.connection.count{state="used"}', "hikaricp.connections.active"
    ),
    Relative("millpond_workers_min", "db.client.connection.idle.min", "hikaricp.connections.min", "pool_min"),
    Relative("millpond_workers_max", "db.client.connection.max", "hikaricp.connections.max", "pool_max"),
    Relative(
        "millpond_calls_queued",
        "db.client.connection.pending_requests",
        "hikaricp.connections.pending",
        "requests_waiting",
    ),
    Relative("millpond_calls_submitted_total", psycopg="requests_num"),
    Relative(
        "millpond_queue_wait_seconds",
        "db.client.connection.wait_time",
        "hikaricp.connections.acquire",
        "requests_wait_ms",
    ),
    Relative("millpond_service_seconds", "db.client.connection.use_time", "hikaricp.connections.usage", "usage_ms"),
    Relative(
        'millpond_call_errors_total{code="deadline_exceeded"}',
        "db.client.connection.timeouts",
        "hikaricp.connections.timeout",
        "requests_errors",
    ),
    Relative(
        "millpond_worker_start_seconds",
        "db.client.connection.create_time",
        "hikaricp.connections.creation",
        "connections_ms",
    ),
    Relative("millpond_worker_starts_total", psycopg="connections_num"),
    Relative("millpond_worker_start_failures_total", psycopg="connections_errors"),
    Relative('millpond_worker_deaths_total{cause="crashed"}', psycopg="connections_lost"),
    Relative("millpond_call_duration_seconds", "rpc.client.call.duration"),
    Relative("millpond_request_bytes", "rpc.client.request.size"),
    Relative("millpond_response_bytes", "rpc.client.response.size"),
)
