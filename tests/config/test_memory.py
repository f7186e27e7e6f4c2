from __future__ import annotations

import gc

from operations.memory import keep_what_is_loaded


def test_a_full_collection_no_longer_looks_at_what_is_loaded():
    try:
        keep_what_is_loaded()
        assert gc.get_freeze_count() > 50_000
        assert len(gc.get_objects(generation=2)) < gc.get_freeze_count() / 10
    finally:
        gc.unfreeze()
