"""The shipped tables, read once for all tests of this package."""

import pytest

from buildsys.kubernetes.tables import Tables


@pytest.fixture(scope="session")
def tables() -> Tables:
    return Tables.load()
