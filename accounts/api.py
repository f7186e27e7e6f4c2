"""Signing in for scripts and tools; teams, their members, and the caller's own tokens as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.contrib.auth import authenticate
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts import services
from accounts.audit.recording import record
from accounts.endpoints import RecordView, unstored
from accounts.models import ApiToken, Membership, Role, Scope, Team
from accounts.of_team import OfTeam
from accounts.scopes import ADMINISTERS, EDITS, READS
from accounts.signing_in.authentication import pair_for, refreshed
from accounts.teams import changing
from accounts.tokens import ending, issuing
from config.errors import Forbidden, Unauthenticated
from config.web.names import NameField
from config.web.rest import StrictSerializer
from projects.models import Project

ROLES = Role.choices


class NameAndPassword(StrictSerializer):
    """Who signs in."""

    username = serializers.CharField(max_length=254, help_text="Username or e-mail address.")
    password = serializers.CharField(max_length=4096, trim_whitespace=False)


class Pair(serializers.Serializer[Any]):  # Any: shown, never read
    """Two JWTs: one to call with, one to get the next with."""

    access = serializers.CharField(help_text="Send it as `Authorization: Bearer <access>`; it holds for a short while (ACCESS_TOKEN_EXPIRE_MINUTES).")
    refresh = serializers.CharField(help_text="Exchange it at /api/v1/auth/token/refresh; it holds for some days (REFRESH_TOKEN_EXPIRE_DAYS).")


class RefreshAsked(StrictSerializer):
    """The refresh token."""

    refresh = serializers.CharField(max_length=4096)


class Access(serializers.Serializer[Any]):  # Any: shown, never read
    """A new access token."""

    access = serializers.CharField()


class OpenView(RecordView):
    """An address for who has no token yet, or none that still holds."""

    authentication_classes = ()
    permission_classes = ()
    scopes: ClassVar = {"post": ()}  # whoever brings a token here is not asked for it


class SignIn(OpenView):
    """JWTs for a name and a password."""

    @extend_schema(operation_id="sign_in", summary="Sign in", request=NameAndPassword, responses={200: Pair}, auth=[])
    def post(self, request: Request) -> Response:
        """An access and a refresh token for a user's name (or e-mail address) and password. They speak for all teams of the user."""
        asked = self.asked(NameAndPassword)
        user = authenticate(request._request, username=asked["username"], password=asked["password"])
        if user is None:
            raise Unauthenticated("Name and password do not fit together, or the account is switched off. Capital letters count in the password.")
        record("sign_in.done", on=user, by=user, details={"way": "over the API"})
        access, refresh = pair_for(user)
        return unstored(Response({"access": access, "refresh": refresh}))


class Refresh(OpenView):
    """The next access token."""

    @extend_schema(operation_id="sign_in_refresh", summary="Get the next access token", request=RefreshAsked, responses={200: Access}, auth=[])
    def post(self, request: Request) -> Response:
        """Refused for a user who is switched off, and after a change of password or signing out everywhere."""
        access = refreshed(self.asked(RefreshAsked)["refresh"])
        if access is None:
            raise Unauthenticated("This refresh token has expired, or its user changed the password, signed out everywhere or is switched off: sign in again.")
        return unstored(Response({"access": access}))


class TeamName(StrictSerializer):
    """What a team is called."""

    name = NameField(max_length=255)


class TeamRow(serializers.ModelSerializer[Team]):
    """A team, and what the caller may do in it."""

    role = serializers.SerializerMethodField(help_text="Your role.")

    class Meta:
        model = Team
        fields = ("id", "slug", "name", "role", "created_at")

    @extend_schema_field(serializers.ChoiceField(choices=ROLES))
    def get_role(self, team: Team) -> str:
        """The caller's role."""
        return str(self.context["view"].caller.roles[team.pk])


@extend_schema_view(list=extend_schema(operation_id="teams", summary="Teams"))
class Teams(RecordView, mixins.ListModelMixin, GenericViewSet[Team]):
    """The caller's teams."""

    scopes: ClassVar = {"list": READS, "retrieve": READS, "create": (), "partial_update": ADMINISTERS, "leave": ()}
    of_the_team: ClassVar = frozenset({"partial_update"})
    queryset = Team.objects.none()
    serializer_class = TeamRow
    ordering_fields = ("name", "created_at")

    def get_queryset(self) -> QuerySet[Team]:
        """The caller's teams."""
        return Team.objects.none() if self.is_schema else self.caller.teams()

    @extend_schema(operation_id="team_make", summary="Make a team", request=TeamName, responses={201: TeamRow})
    def create(self, request: Request) -> Response:
        """Make a team, and be its admin. Takes a sign-in or a JWT: an API token speaks for one team."""
        made = changing.make(self.asked(TeamName)["name"], by=self.caller.user)
        request._request._caller = None  # type: ignore[attr-defined]  # who is admin there now
        return Response(self.get_serializer(made).data, status=status.HTTP_201_CREATED)

    @extend_schema(operation_id="team_rename", summary="Rename a team", request=TeamName, responses=TeamRow)
    def partial_update(self, request: Request, team: str) -> Response:
        """Call a team otherwise; its slug stays. For its admins."""
        found = services.team_named(self.caller, team)
        self.require(Role.ADMIN, found.pk)
        changing.rename(found, self.asked(TeamName)["name"], by=self.caller.user)
        return Response(self.get_serializer(found).data)

    @extend_schema(operation_id="team_leave", summary="Leave a team", request=None, responses={204: None})
    def leave(self, request: Request, team: str) -> Response:
        """Go; your tokens for the team end. The last admin stays (409): make somebody else admin first."""
        changing.leave(services.team_named(self.caller, team), self.caller.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(operation_id="team", summary="One team", responses=TeamRow)
    def retrieve(self, request: Request, team: str) -> Response:
        """One of your teams, by UUID or slug."""
        return Response(self.get_serializer(services.team_named(self.caller, team)).data)


class MemberRow(serializers.ModelSerializer[Membership]):
    """One person's role in the team."""

    user = serializers.CharField(source="user.username", read_only=True)
    email = serializers.EmailField(source="user.email", read_only=True)
    role = serializers.ChoiceField(choices=ROLES)

    class Meta:
        model = Membership
        fields = ("user", "email", "role", "created_at")


class NewMember(StrictSerializer):
    """Who joins, and as what."""

    user = serializers.CharField(max_length=254, help_text="Username or e-mail address of somebody who has an account.")
    role = serializers.ChoiceField(choices=ROLES, default=Role.VIEWER)


class RoleChange(StrictSerializer):
    """A member's new role."""

    role = serializers.ChoiceField(choices=ROLES)


@extend_schema_view(list=extend_schema(operation_id="members", summary="Members of a team"))
class Members(OfTeam, mixins.ListModelMixin, GenericViewSet[Membership]):
    """The members of one team, for its admins."""

    scopes: ClassVar = dict.fromkeys(("list", "create", "partial_update", "destroy"), ADMINISTERS)
    of_the_team: ClassVar = frozenset(scopes)
    queryset = Membership.objects.none()
    serializer_class = MemberRow
    ordering_fields = ("user__username", "role", "created_at")

    def member(self) -> Membership:
        """The member in the address. Raises Http404."""
        return get_object_or_404(Membership.objects.select_related("user", "team"), team=self.team(), user__username=self.kwargs["user"])

    def get_queryset(self) -> QuerySet[Membership]:
        """The team's members."""
        return Membership.objects.none() if self.is_schema else self.team().memberships.select_related("user").order_by("user__username")

    @extend_schema(operation_id="member_add", summary="Add a member", request=NewMember, responses={201: MemberRow})
    def create(self, request: Request, team: str) -> Response:
        """Take somebody who has an account into the team without asking. For operators: admins of a team invite (POST /teams/{team}/invitations)."""
        owner = self.team()
        if not self.caller.user.is_superuser:
            raise Forbidden(
                f"People join by saying yes: POST /api/v1/teams/{owner.slug}/invitations makes a link to send. Only an operator adds somebody directly."
            )
        asked = self.asked(NewMember)
        member = services.add_member(owner, services.user_named(asked["user"]), asked["role"], by=self.caller.user)
        return Response(self.get_serializer(member).data, status=status.HTTP_201_CREATED)

    @extend_schema(operation_id="member_change", summary="Change a member's role", request=RoleChange, responses=MemberRow)
    def partial_update(self, request: Request, team: str, user: str) -> Response:
        """Give a member another role; the last admin stays admin."""
        member = self.member()
        services.change_role(member, self.asked(RoleChange)["role"], by=self.caller.user)
        return Response(self.get_serializer(member).data)

    @extend_schema(operation_id="member_remove", summary="Remove a member", responses={204: None})
    def destroy(self, request: Request, team: str, user: str) -> Response:
        """Take somebody out of the team; the last admin stays."""
        services.remove_member(self.member(), by=self.caller.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class TokenRow(serializers.ModelSerializer[ApiToken]):
    """A token as it may be shown again."""

    team = serializers.SlugRelatedField[Team](slug_field="slug", read_only=True)
    project = serializers.SlugRelatedField[Project](slug_field="slug", read_only=True, allow_null=True, help_text="The one that it is limited to, or null.")
    scope = serializers.ChoiceField(choices=Scope.choices, help_text="`before`: made before there were scopes, and does all that its owner may.")
    parent = serializers.UUIDField(  # type: ignore[assignment]  # a name of DRF's own, for an attribute of another kind
        source="parent_id", read_only=True, allow_null=True, help_text="The token that made it, and with which it ends; or null."
    )

    class Meta:
        model = ApiToken
        fields: tuple[str, ...] = ("id", "name", "prefix", "team", "project", "scope", "parent", "created_at", "expires_at", "last_used_at")


class IssuedToken(TokenRow):
    """A token on the one occasion when its text is shown."""

    token = serializers.CharField(read_only=True, help_text="Send it as `Authorization: Bearer <token>`. It is not shown again.")

    class Meta(TokenRow.Meta):
        fields = (*TokenRow.Meta.fields, "token")


class TokenChange(StrictSerializer):
    """What may be changed of a token: everything but the name only towards less."""

    name = serializers.CharField(max_length=100, required=False, help_text="Where it is used, for example: gpu7.")
    scope = serializers.ChoiceField(choices=issuing.GIVEN, required=False)
    project = serializers.CharField(max_length=255, required=False, help_text="UUID, name or slug of the one project that it is for; none for all of the team.")
    expires_at = serializers.DateTimeField(required=False)

    def validate_scope(self, value: str) -> Scope:
        """As the scope that it is."""
        return Scope(value)

    def validate_expires_at(self, value: datetime | None) -> datetime | None:
        """A time to come, or None for never."""
        if value is not None and value <= timezone.now():
            raise serializers.ValidationError("This time has passed: give one to come, or leave it out for a token that does not expire.")
        return value


class NewToken(TokenChange):
    """What a new token is for."""

    name = serializers.CharField(max_length=100, help_text="Where it is used, for example: gpu7.")
    team = serializers.CharField(max_length=100, required=False, help_text="UUID or slug; needed only by members of several teams.")
    scope = serializers.ChoiceField(
        choices=issuing.GIVEN,
        default=Scope.WRITE,
        help_text="What it may do at most; `ingest` is enough for a script that trains. A token makes no stronger one.",
    )
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None, help_text="One that a token makes ends with that one at the latest.")
    password = serializers.CharField(
        max_length=4096, required=False, trim_whitespace=False, write_only=True, help_text="Your own, where your sign-in is older than an hour."
    )


@extend_schema_view(list=extend_schema(operation_id="tokens", summary="Your tokens"))
class Tokens(RecordView, mixins.ListModelMixin, GenericViewSet[ApiToken]):
    """The caller's own tokens; asked with a token that does not administer, that one and those that it made."""

    scopes: ClassVar = {"list": READS, "create": EDITS, "partial_update": EDITS, "destroy": EDITS}
    queryset = ApiToken.objects.none()
    serializer_class = TokenRow
    ordering_fields = ("name", "created_at", "last_used_at")

    def get_queryset(self) -> QuerySet[ApiToken]:
        """Those not revoked."""
        return ApiToken.objects.none() if self.is_schema else ending.within_reach(self.caller).filter(revoked_at=None)

    def token(self) -> ApiToken:
        """The token in the address, revoked or not. Raises Http404."""
        return get_object_or_404(ending.within_reach(self.caller), pk=self.kwargs["token"])

    def project_named(self, reference: str, team: Team) -> Project:
        """A project of the team. Raises NotFound or Conflict."""
        return Project.objects.visible_to(self.caller).filter(team=team).named(reference)

    @extend_schema(operation_id="token_issue", summary="Make a token", request=NewToken, responses={201: IssuedToken})
    def create(self, request: Request) -> Response:
        """Make a token for one of your teams. Its text is in this answer and nowhere else."""
        asked = self.asked(NewToken)
        team = services.team_named(self.caller, asked["team"]) if "team" in asked else services.default_team(self.caller)
        project = self.project_named(asked["project"], team) if "project" in asked else None
        issuing.prove(request._request, self.caller, asked.get("password", ""))
        wanted = issuing.Wanted(asked["name"], team, Scope(asked["scope"]), project, asked["expires_at"])
        token, secret = issuing.mint(self.caller, wanted)
        shown: dict[str, Any] = {**TokenRow(token).data, "token": secret}  # Any: JSON
        return unstored(Response(shown, status=status.HTTP_201_CREATED))

    @extend_schema(operation_id="token_change", summary="Narrow a token", request=TokenChange, responses=TokenRow)
    def partial_update(self, request: Request, token: str) -> Response:
        """Give it another name, or let it do less: a narrower scope, one project, an earlier end. What it made shrinks with it."""
        found = self.token()
        asked = self.asked(TokenChange)
        if "project" in asked:
            asked["project"] = self.project_named(asked["project"], found.team)
        ending.narrow(found, **asked)
        return Response(self.get_serializer(found).data)

    @extend_schema(operation_id="token_revoke", summary="Revoke a token", responses={204: None})
    def destroy(self, request: Request, token: str) -> Response:
        """End a token and those that it made: every process has forgotten them within 30 s. May be repeated."""
        ending.revoke(self.token())
        return Response(status=status.HTTP_204_NO_CONTENT)
