from datetime import timedelta

import pytest
from django.contrib.auth import authenticate
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.access import Caller
from accounts.models import ApiToken, Membership, Role, Team, User
from accounts.signing_in.authentication import token_for as usable_token
from config.errors import Forbidden, NotFound
from tests.conftest import PASSWORD

pytestmark = pytest.mark.differs_on_servers("uniqueness, case and constraints are the database's")


@pytest.fixture
def issued(erin, team) -> tuple[ApiToken, str]:
    return ApiToken.issue(user=erin, team=team, name="gpu7")


def test_a_team_slug_clash_gets_a_number(db):
    assert [Team.objects.create(name="Größe A").slug for _ in range(3)] == ["größe-a", "größe-a-2", "größe-a-3"]


def test_roles_include_the_weaker_ones():
    assert [[held.allows(needed) for needed in Role] for held in Role] == [[True, False, False], [True, True, False], [True, True, True]]


def test_a_person_is_in_a_team_once(team, bob):
    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.create(team=team, user=bob, role=Role.ADMIN)


def test_a_tokens_text_is_not_stored(issued):
    token, secret = issued
    row = ApiToken.objects.filter(pk=token.pk).values().get()
    assert secret not in str(row)
    assert row["digest"] == ApiToken.hashed(secret)
    assert secret.startswith(row["prefix"])
    assert len(secret) >= 40


def test_a_token_is_known_by_its_text_alone(issued):
    token, secret = issued
    assert usable_token(secret) == token
    for wrong in (secret[:-1], secret + "x", secret.upper(), "", token.prefix, token.digest):
        assert usable_token(wrong) is None


def test_an_expired_revoked_or_ownerless_token_is_unknown(issued):
    token, secret = issued
    token.expires_at = timezone.now() - timedelta(seconds=1)
    token.save()
    assert usable_token(secret) is None
    token.expires_at = timezone.now() + timedelta(hours=1)
    token.save()
    assert usable_token(secret) == token
    User.objects.update(is_active=False)
    assert usable_token(secret) is None
    User.objects.update(is_active=True)
    token.revoke()
    assert usable_token(secret) is None


def test_revoking_twice_keeps_the_first_time(issued):
    token, _ = issued
    token.revoke()
    first = token.revoked_at
    token.revoke()
    assert ApiToken.objects.get().revoked_at == first


def test_use_is_noted_at_most_once_a_minute(issued, django_assert_num_queries):
    token, _ = issued
    start = timezone.now()
    with django_assert_num_queries(1):
        for second in range(60):
            token.record_use(at=start + timedelta(seconds=second))
    assert ApiToken.objects.get().last_used_at == start
    with django_assert_num_queries(1):
        token.record_use(at=start + timedelta(seconds=60))


@pytest.mark.parametrize("name", ["erin", "erin@example.com", "ERIN@Example.COM"])
def test_people_sign_in_by_username_or_e_mail(erin, name):
    assert authenticate(username=name, password=PASSWORD) == erin
    assert authenticate(username=name, password="wrong") is None


def test_an_inactive_person_does_not_sign_in(erin):
    User.objects.update(is_active=False)
    assert authenticate(username="erin@example.com", password=PASSWORD) is None


def test_a_username_with_an_at_sign_still_signs_in(db):
    user = User.objects.create_user("me@work", password=PASSWORD)
    assert authenticate(username="me@work", password=PASSWORD) == user


def test_an_e_mail_belongs_to_one_person_and_none_to_many(erin):
    User.objects.create_user("x")
    User.objects.create_user("y")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user("z", email="Erin@Example.com")


def test_a_token_speaks_for_its_team_only(erin, team):
    other = Team.objects.create(name="Other")
    Membership.objects.create(team=other, user=erin, role=Role.ADMIN)
    token, _ = ApiToken.issue(user=erin, team=team, name="t")
    assert Caller(erin).roles == {team.pk: Role.EDITOR, other.pk: Role.ADMIN}
    assert Caller(erin, token).roles == {team.pk: Role.EDITOR}
    assert list(Caller(erin, token).teams()) == [team]


def test_a_token_of_somebody_who_left_the_team_opens_nothing(erin, team):
    token, _ = ApiToken.issue(user=erin, team=team, name="t")
    Membership.objects.all().delete()
    assert Caller(erin, token).roles == {}


def test_a_superuser_is_admin_everywhere(team, carol):
    root = User(is_superuser=True)
    assert set(Caller(root).roles.values()) == {Role.ADMIN}
    assert len(Caller(root).roles) == 2


def test_a_missing_right_is_forbidden_and_a_missing_part_is_not_there(team, bob, carol):
    Caller(bob).require(Role.VIEWER, team.pk)
    with pytest.raises(Forbidden, match="editor"):
        Caller(bob).require(Role.EDITOR, team.pk)
    with pytest.raises(NotFound):
        Caller(carol).require(Role.VIEWER, team.pk)
