"""A place in the metric store of the test's own, as the tests of the store have it."""

from tests.metrics.conftest import place

__all__ = ["place"]
