"""The rules every pool has unless told otherwise; `docs/alerts.md` is printed from them."""

from millpond.alerts.defaults.machinery import MONITORS, RESOURCES, SESSIONS, WORKERS
from millpond.alerts.defaults.traffic import CALLS, QUEUE, STATE

DEFAULT_GROUPS = (STATE, CALLS, QUEUE, WORKERS, RESOURCES, SESSIONS, MONITORS)
