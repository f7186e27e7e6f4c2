"""What lies under /static/."""

from __future__ import annotations

import pytest
from django.contrib.staticfiles.finders import get_finders

LIBRARY = "/static/drf_spectacular_sidecar"


@pytest.mark.parametrize("path", ["redoc/bundles/redoc.standalone.js.map", "swagger-ui-dist/swagger-ui.css.map"])
def test_source_maps_of_libraries_are_not_served(client, db, path):
    assert client.get(f"{LIBRARY}/{path}").status_code == 404


def test_what_pages_load_of_libraries_is_served(client, db):
    for path in (f"{LIBRARY}/swagger-ui-dist/swagger-ui-bundle.js", f"{LIBRARY}/swagger-ui-dist/swagger-ui.css", "/static/admin/css/base.css"):
        answer = client.get(path)
        assert answer.status_code == 200
        answer.close()


def test_source_maps_are_not_collected_either():
    collected = [path for finder in get_finders() for path, _ in finder.list(["CVS", ".*", "*~"])]
    assert any(path.endswith("swagger-ui.css") for path in collected)
    assert not [path for path in collected if path.endswith(".map")]
