"""Invitations as JSON: made by a team's admins, accepted by whoever has the key."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.endpoints import RecordView
from accounts.invitations import inviting
from accounts.models import Invitation, Membership, Role
from accounts.of_team import OfTeam
from accounts.passes.models import FOR_MOST
from accounts.scopes import ADMINISTERS
from config.web.names import NameField
from config.web.rest import StrictSerializer

NO_STORE = {"Cache-Control": "no-store"}


class InvitationRow(serializers.ModelSerializer[Invitation]):
    """An invitation as it may be shown again."""

    role = serializers.ChoiceField(choices=Role.choices)
    made_by = serializers.SlugRelatedField[Any](slug_field="username", read_only=True)

    class Meta:
        model = Invitation
        fields: tuple[str, ...] = ("id", "name", "role", "made_by", "created_at", "ends_at")


class IssuedInvitation(InvitationRow):
    """An invitation on the one occasion when its link is shown."""

    url = serializers.CharField(read_only=True, help_text="To send as you like. It works once, and is not shown again.")
    key = serializers.CharField(read_only=True, help_text="The same without the address, for POST /api/v1/invitations/accept.")
    sent = serializers.BooleanField(read_only=True, help_text="Whether it went out by e-mail; that needs EMAIL_URL and an address as name.")

    class Meta(InvitationRow.Meta):
        fields = (*InvitationRow.Meta.fields, "url", "key", "sent")


class NewInvitation(StrictSerializer):
    """Who is invited, as what."""

    name = NameField(max_length=FOR_MOST, help_text="An e-mail address or a name. Whether somebody has it is not looked at.")
    role = serializers.ChoiceField(choices=Role.choices, default=Role.VIEWER)
    days = serializers.IntegerField(min_value=1, max_value=inviting.DAYS_MOST, default=inviting.DAYS, help_text="For how long the link works.")


class Key(StrictSerializer):
    """What opens an invitation."""

    key = serializers.CharField(max_length=200, help_text="What stands behind `key=` in the link.")


class NewAccount(Key):
    """What opens an invitation, and the account that it makes."""

    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=4096, trim_whitespace=False)
    name = NameField(max_length=150, required=False, allow_blank=True, default="")
    email = serializers.EmailField(required=False, allow_blank=True, default="")


class Joined(serializers.ModelSerializer[Membership]):
    """Who is in which team now."""

    user = serializers.CharField(source="user.username", read_only=True)
    team = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    role = serializers.ChoiceField(choices=Role.choices)

    class Meta:
        model = Membership
        fields = ("user", "team", "role", "created_at")


@extend_schema_view(list=extend_schema(operation_id="invitations", summary="Open invitations of a team"))
class Invitations(OfTeam, mixins.ListModelMixin, GenericViewSet[Invitation]):
    """The open invitations of one team, for its admins."""

    scopes: ClassVar = dict.fromkeys(("list", "create", "renew", "destroy"), ADMINISTERS)
    of_the_team: ClassVar = frozenset(scopes)
    queryset = Invitation.objects.none()
    serializer_class = InvitationRow
    ordering_fields = ("name", "created_at", "ends_at")

    def get_queryset(self) -> QuerySet[Invitation]:
        """Those that still open something."""
        if self.is_schema:
            return Invitation.objects.none()
        return Invitation.objects.filter(team=self.team()).open(at=timezone.now()).select_related("made_by", "team")

    def invitation(self) -> Invitation:
        """The open invitation in the address. Raises Http404."""
        found: Invitation = get_object_or_404(self.get_queryset(), pk=self.kwargs["invitation"])
        return found

    def shown(self, invitation: Invitation, key: str, *, code: int) -> Response:
        """The answer with the link, this once."""
        sent = inviting.is_sent(invitation, key, by=self.caller.user)
        url = self.request.build_absolute_uri(inviting.link_of(key))
        return Response({**InvitationRow(invitation).data, "url": url, "key": key, "sent": sent}, status=code, headers=NO_STORE)

    @extend_schema(operation_id="invite", summary="Invite somebody", request=NewInvitation, responses={201: IssuedInvitation})
    def create(self, request: Request, team: str) -> Response:
        """Make an invitation. Its link is in this answer and nowhere else, but for an e-mail: where `name` is an address and there is a mail server."""
        owner, asked = self.team(), self.asked(NewInvitation)
        invitation, key = inviting.invite(owner, by=self.caller.user, **asked)
        return self.shown(invitation, key, code=status.HTTP_201_CREATED)

    @extend_schema(operation_id="invitation_renew", summary="Make a new link", request=None, responses=IssuedInvitation)
    def renew(self, request: Request, team: str, invitation: str) -> Response:
        """A new link for an open invitation, for as long as it had at first. The one before opens nothing any more."""
        found = self.invitation()
        return self.shown(found, inviting.renew(found, by=self.caller.user), code=status.HTTP_200_OK)

    @extend_schema(operation_id="invitation_take_back", summary="Take an invitation back", responses={204: None})
    def destroy(self, request: Request, team: str, invitation: str) -> Response:
        """Its link opens nothing any more."""
        inviting.take_back(self.invitation(), by=self.caller.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class Accept(RecordView):
    """Yes, by somebody with an account."""

    scopes: ClassVar = {"post": ()}  # a person says yes, not a script

    @extend_schema(operation_id="invitation_accept", summary="Accept an invitation", request=Key, responses={201: Joined})
    def post(self, request: Request) -> Response:
        """Join the team that the key is for. Takes a sign-in or a JWT: an API token speaks for one team, and joins no other."""
        return Response(Joined(inviting.accept(self.asked(Key)["key"], self.caller.user)).data, status=status.HTTP_201_CREATED)


class Join(RecordView):
    """Yes, by somebody without an account."""

    authentication_classes = ()
    permission_classes = ()
    scopes: ClassVar = {"post": ()}

    @extend_schema(operation_id="invitation_join", summary="Accept an invitation with a new account", request=NewAccount, responses={201: Joined}, auth=[])
    def post(self, request: Request) -> Response:
        """Make an account and join the team that the key is for. Without a key nobody makes an account."""
        return Response(Joined(inviting.join(**self.asked(NewAccount))).data, status=status.HTTP_201_CREATED)
