"""Clients of a served pool: the verbs of `Pool` and `SyncPool`, over HTTP.

In the order a call travels: `asynchronous` or `blocking` (the faces), `remote_calls`, `remote_session` and
`remote_stream` (the verbs), `values` (arguments become bytes), `round_trip` (one request on a kept connection),
`http1` (HTTP/1.1 on a socket), and back: `values`, or `remote_errors` for what failed.
"""
