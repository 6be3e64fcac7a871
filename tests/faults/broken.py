"""A handler module that cannot be imported; it records each try in the file its environment names."""

from __future__ import annotations

import os

from tests.faults.handlers import began

began(os.environ["FAULTS_IMPORTS"])


class Broken:
    """Never comes to exist."""


raise ImportError("the weights are missing")
