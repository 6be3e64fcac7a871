"""Pools in a FastAPI, Starlette or Litestar application of one's own: parts that each work alone.

Nothing of FastAPI or Litestar is imported here; what is Litestar's own is in `millpond.http.integration.litestar`.
"""

from __future__ import annotations

from millpond.http.integration.errors import exception_handlers as exception_handlers
from millpond.http.integration.leaving import begun as begun
from millpond.http.integration.leaving import cancel_on_disconnect as cancel_on_disconnect
from millpond.http.integration.lifespan import lifespan as lifespan
from millpond.http.integration.lifespan import provide as provide
from millpond.http.integration.watching import healthz as healthz
from millpond.http.integration.watching import metrics as metrics
from millpond.http.integration.watching import readyz as readyz
