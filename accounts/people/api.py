"""One's own account as JSON, and what operators do about other people's. For people: a token that a script carries changes none of it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db.models import Prefetch, QuerySet, prefetch_related_objects
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.endpoints import RecordView
from accounts.models import ApiToken, BrowserSession, Membership, Role, User
from accounts.people import changing, passwords, sessions
from accounts.scopes import READS
from accounts.tokens.ending import living_of
from config.errors import Fault, Forbidden, Invalid, Unavailable
from config.web.names import NameField
from config.web.rest import StrictSerializer

NO_STORE = {"Cache-Control": "no-store"}
LONGEST = 4096
NONE = ()  # no token does it: a person signs in


class OwnMembership(serializers.ModelSerializer[Membership]):
    """A team, and what one may do there."""

    team = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    role = serializers.ChoiceField(choices=Role.choices)

    class Meta:
        model = Membership
        fields = ("team", "role", "created_at")


class Account(serializers.ModelSerializer[User]):
    """Who one is."""

    name = serializers.CharField(source="get_full_name", read_only=True)
    is_operator = serializers.BooleanField(source="is_superuser", read_only=True, help_text="Admin in every team, and of the server.")
    memberships = OwnMembership(many=True, read_only=True)

    class Meta:
        model = User
        fields = ("username", "name", "email", "is_operator", "memberships")


class AccountChange(StrictSerializer):
    """What may be changed."""

    name = NameField(max_length=150, required=False, allow_blank=True)
    email = serializers.EmailField(required=False, allow_blank=True)
    present = serializers.CharField(max_length=LONGEST, required=False, default="", trim_whitespace=False, help_text="The password, where `email` changes.")


class PasswordChange(StrictSerializer):
    """The present password, and the next."""

    present = serializers.CharField(max_length=LONGEST, trim_whitespace=False)
    new = serializers.CharField(max_length=LONGEST, trim_whitespace=False)
    end_tokens = serializers.ListField(child=serializers.UUIDField(), max_length=1000, default=list, help_text="Ids of your tokens that end with it.")


class PasswordSet(StrictSerializer):
    """What opens the way to a new password."""

    key = serializers.CharField(max_length=200, help_text="What stands behind `key=` in the link.")
    new = serializers.CharField(max_length=LONGEST, trim_whitespace=False)


class Forgetful(StrictSerializer):
    """Who forgot the password."""

    name = serializers.CharField(max_length=254, help_text="Username or e-mail address.")


class SessionRow(serializers.ModelSerializer[BrowserSession]):
    """A browser in which one is signed in."""

    class Meta:
        model = BrowserSession
        fields = ("id", "device", "address", "created_at", "seen_at")


class PersonChange(StrictSerializer):
    """Whether somebody is let in."""

    is_active = serializers.BooleanField()


class Person(serializers.ModelSerializer[User]):
    """Somebody, as operators see them."""

    name = serializers.CharField(source="get_full_name", read_only=True)

    class Meta:
        model = User
        fields = ("username", "name", "email", "is_active", "last_login")


class PasswordLink(serializers.Serializer[Any]):  # Any: shown, never read
    """A link that works once."""

    url = serializers.CharField(help_text="To send as you like. It works once, within a day, and is not shown again.")


class OwnAccount(RecordView):
    """The caller's account."""

    scopes: ClassVar = {"get": READS, "patch": NONE}

    @extend_schema(operation_id="account", summary="Your account", responses=Account)
    def get(self, request: Request) -> Response:
        """Who you are, and in which teams; a token tells of its own team alone."""
        held = Membership.objects.filter(team__in=self.caller.teams()).select_related("team")
        prefetch_related_objects([self.caller.user], Prefetch("memberships", held))
        return Response(Account(self.caller.user).data, headers=NO_STORE)

    @extend_schema(operation_id="account_change", summary="Change your account", request=AccountChange, responses=Account)
    def patch(self, request: Request) -> Response:
        """Change name or e-mail address; another address takes the password, as it opens the account."""
        user, asked = self.caller.user, self.asked(AccountChange)
        name, email = asked.get("name", user.get_full_name()), asked.get("email", user.email)
        passwords.edit(request._request, user, name=name, email=email, present=asked["present"])
        return Response(Account(user).data, headers=NO_STORE)


class OwnPassword(RecordView):
    """The caller's password."""

    scopes: ClassVar = {"post": NONE}

    @extend_schema(operation_id="password_change", summary="Change your password", request=PasswordChange, responses={204: None})
    def post(self, request: Request) -> Response:
        """Every other session and every JWT ends, and the tokens named in `end_tokens`; the others stay."""
        user, asked = self.caller.user, self.asked(PasswordChange)
        passwords.change(request._request, user, present=asked["present"], new=asked["new"], ending=named(user, asked["end_tokens"]))
        return Response(status=status.HTTP_204_NO_CONTENT, headers=NO_STORE)


def named(user: User, ids: list[Any]) -> list[ApiToken]:  # Any: UUIDs
    """The user's tokens with these ids. Raises Invalid for one that is not there."""
    found = list(living_of(user).filter(pk__in=ids))
    missing = sorted({str(each) for each in ids} - {str(token.pk) for token in found})
    if missing:
        message = f"You have no token {missing[0]} that works."
        raise Invalid(message, [Fault(None, "end_tokens", "unknown", message)])
    return found


@extend_schema_view(list=extend_schema(operation_id="sessions", summary="Where you are signed in"))
class Sessions(RecordView, mixins.ListModelMixin, GenericViewSet[BrowserSession]):
    """The browsers in which the caller is signed in."""

    scopes: ClassVar = dict.fromkeys(("list", "destroy", "end_all"), NONE)
    queryset = BrowserSession.objects.none()
    serializer_class = SessionRow
    ordering_fields = ("seen_at", "created_at")

    def get_queryset(self) -> QuerySet[BrowserSession]:
        """The caller's own."""
        return BrowserSession.objects.none() if self.is_schema else sessions.of(self.caller.user)

    @extend_schema(operation_id="session_end", summary="Sign one out", responses={204: None})
    def destroy(self, request: Request, session: int) -> Response:
        """End one session."""
        sessions.end_one(get_object_or_404(self.get_queryset().select_related("user"), pk=session))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(operation_id="sessions_end", summary="Sign out everywhere", responses={204: None})
    def end_all(self, request: Request) -> Response:
        """End every session but the one that asks, where it is one, and every JWT."""
        sessions.end(self.caller.user, but=request.session.session_key)
        return Response(status=status.HTTP_204_NO_CONTENT)


class OpenView(RecordView):
    """An address for who cannot sign in."""

    authentication_classes = ()
    permission_classes = ()
    scopes: ClassVar = {"post": NONE}


class Forgotten(OpenView):
    """A link by e-mail."""

    @extend_schema(operation_id="password_forgotten", summary="Ask for a new password", request=Forgetful, responses={202: None}, auth=[])
    def post(self, request: Request) -> Response:
        """Send a link to whoever has this name or address. The answer is the same where nobody has. 503 where there is no mail server: ask an operator."""
        asked = self.asked(Forgetful)
        if not settings.EMAIL_URL:
            raise Unavailable("This server sends no e-mail: an operator can make you a link for a new password.", code="no_mail", retry_after_s=3600)
        passwords.ask(request._request, asked["name"])
        return Response(status=status.HTTP_202_ACCEPTED, headers=NO_STORE)


class NewPassword(OpenView):
    """A password, set anew."""

    @extend_schema(operation_id="password_set", summary="Set a new password by a link", request=PasswordSet, responses={204: None}, auth=[])
    def post(self, request: Request) -> Response:
        """Set the password of whoever has the key. It works once; every session and JWT ends."""
        asked = self.asked(PasswordSet)
        passwords.set_anew(asked["key"], asked["new"])
        return Response(status=status.HTTP_204_NO_CONTENT, headers=NO_STORE)


class People(RecordView):
    """Other people, for operators."""

    scopes: ClassVar = dict.fromkeys(("get", "patch", "post"), NONE)

    def person(self) -> User:
        """Whom the address names. Raises Forbidden for who is no operator, Http404."""
        if not self.caller.user.is_superuser:
            raise Forbidden("This is for operators: sign in as a superuser.")
        return get_object_or_404(User, username=self.kwargs["user"])


class OnePerson(People):
    """Somebody's account."""

    @extend_schema(operation_id="person", summary="One person", responses=Person)
    def get(self, request: Request, user: str) -> Response:
        """One person. For operators."""
        return Response(Person(self.person()).data, headers=NO_STORE)

    @extend_schema(operation_id="person_change", summary="Switch an account off or on", request=PersonChange, responses=Person)
    def patch(self, request: Request, user: str) -> Response:
        """Switch an account off: sessions, tokens and JWTs end for good; runs and words keep the name. For operators."""
        person = self.person()
        verb = changing.switch_on if self.asked(PersonChange)["is_active"] else changing.switch_off
        verb(person, by=self.caller.user)
        return Response(Person(person).data, headers=NO_STORE)


class LinkForPerson(People):
    """A way back in for somebody."""

    @extend_schema(operation_id="person_password_link", summary="Make a link for a new password", request=None, responses={201: PasswordLink})
    def post(self, request: Request, user: str) -> Response:
        """A link with which somebody sets a new password, once, within a day. For operators."""
        url = request.build_absolute_uri(passwords.link_by(self.caller.user, self.person()))
        return Response({"url": url}, status=status.HTTP_201_CREATED, headers=NO_STORE)
