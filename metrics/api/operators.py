"""What operators ask of the metric store: points that were set aside, and a replay of what a spool still keeps."""

from __future__ import annotations

from typing import ClassVar

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from accounts.access import caller
from accounts.audit.recording import record
from accounts.scopes import ADMINISTERS
from config.errors import Forbidden
from metrics import process
from metrics.api.answering import ERRORS, StoreView, as_json


class DeadLetters(StoreView):
    """Rows that the metric store refused, kept and replayable. For operators."""

    scopes: ClassVar = {"get": ADMINISTERS, "post": ADMINISTERS}

    @extend_schema(operation_id="dead_letters", summary="Rows that the store refused", responses={200: OpenApiTypes.OBJECT, 403: ERRORS[403]})
    def get(self, request: Request) -> HttpResponse:
        """Up to 100 of them, oldest first, with the store's reason."""
        operator(request)
        return as_json({"count": process.spools().dead_count(), "rows": process.spools().dead_letters()})

    @extend_schema(operation_id="dead_letters_replay", summary="Try them again", request=None, responses={200: OpenApiTypes.OBJECT, 403: ERRORS[403]})
    def post(self, request: Request) -> HttpResponse:
        """Put all of them back into the queue, each under the identity it had."""
        operator(request)
        replayed = process.spools().replay_dead()
        record("store.restored", details={"replayed": replayed})
        return as_json({"replayed": replayed})


class Restore(StoreView):
    """What the spool keeps of the last day, sent to the metric store again. For operators."""

    scopes: ClassVar = {"post": ADMINISTERS}

    @extend_schema(operation_id="restore", summary="Store the kept batches again", request=None, responses={200: OpenApiTypes.OBJECT, 403: ERRORS[403]})
    def post(self, request: Request) -> HttpResponse:
        """After a damaged store, or one put back from a backup. May be repeated: points overwrite themselves."""
        operator(request)
        points = process.spools().restore()
        record("store.restored", details={"points": points})
        return as_json({"points": points})


def operator(request: Request) -> None:
    """Raise Forbidden for anyone but a superuser, and for a superuser's token that does not administer."""
    if not caller(request).is_operator:
        raise Forbidden("This is for operators: sign in as a superuser, or send a superuser's token of the scope admin (Administer).")
