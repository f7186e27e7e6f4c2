"""The pages of one channel: where alerts are sent, whether they arrive, and a test of it. For admins of its team; the server's own for operators."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import Caller, caller
from accounts.models import Role
from alerts.forms import ChannelForm, NewChannelForm
from alerts.models import Channel, Delivery
from alerts.sending import channels, outbox
from config.errors import Forbidden, TooManyRequests

SHOWN = 10


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """Make a channel. The page after it shows the secret of a webhook, this once."""
    asking = caller(request)
    require_admin(asking)
    form = NewChannelForm(asking, request.POST or None, team=request.GET.get("team", ""))
    made = form.saved() if request.method == "POST" else None
    if made is None:
        return render(request, "alerts/channel_new.html", {"form": form}, status=422 if form.errors else 200)
    if made.kind == Channel.Kind.WEBHOOK:
        return render(request, "alerts/channel.html", of(made) | {"secret": made.secret})
    messages.success(request, f"{made.name} is made. Send a test to see that it arrives.")
    return redirect("alerts:channel", made.pk)


def require_admin(asking: Caller) -> None:
    """Raise Forbidden for who administers nothing that has alerts."""
    if not asking.user.is_superuser and not channels.administered(asking):
        raise Forbidden(f"Choosing where alerts are sent takes the role {Role.ADMIN.label.lower()} in a team. An admin of your team can give it.")


@login_required
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, channel_id: uuid.UUID) -> HttpResponse:
    """One channel, what it was sent lately, and a form to change it."""
    channel = channels.changeable(caller(request), channel_id)
    form = ChannelForm(request.POST or None, channel=channel)
    if request.method == "POST" and form.saved():
        messages.success(request, f"{channel.name} is saved.")
        return redirect("alerts:channel", channel.pk)
    return render(request, "alerts/channel.html", of(channel, form), status=422 if form.errors else 200)


@login_required
@require_POST
def test(request: HttpRequest, channel_id: uuid.UUID) -> HttpResponse:
    """Send a test message now, and say what came of it."""
    channel = channels.changeable(caller(request), channel_id)
    try:
        sent = outbox.send_test(channel)
    except TooManyRequests as refused:
        messages.error(request, str(refused))
        return redirect("alerts:channel", channel.pk)
    if sent.state == Delivery.State.DONE:
        messages.success(request, f"The test reached {channel.name}.")
    else:
        messages.error(request, f"The test did not reach {channel.name}. {sent.last_error}")
    return redirect("alerts:channel", channel.pk)


@never_cache
@login_required
@require_POST
def renew_secret(request: HttpRequest, channel_id: uuid.UUID) -> HttpResponse:
    """Sign with a new secret from now on, and show it, this once."""
    channel = channels.changeable(caller(request), channel_id)
    channels.renew_secret(channel)
    return render(request, "alerts/channel.html", of(channel) | {"secret": channel.secret})


@login_required
@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest, channel_id: uuid.UUID) -> HttpResponse:
    """Send no more there."""
    channel = channels.changeable(caller(request), channel_id)
    if request.method == "POST":
        channels.delete(channel)
        messages.success(request, f"{channel.name} is deleted: nothing more is sent there.")
        return redirect("alerts:alerts")
    waiting = channel.deliveries.filter(state=Delivery.State.WAITING).count()
    return render(request, "alerts/channel_delete.html", {"channel": channel, "waiting": waiting})


def of(channel: Channel, form: ChannelForm | None = None) -> dict[str, Any]:  # Any: a template's context
    """What the page of a channel shows: its form, and what it was sent last."""
    sent = channel.deliveries.select_related("alert__project", "alert__experiment__project").order_by("-created_at")
    return {"channel": channel, "form": form or ChannelForm(channel=channel), "sent": list(sent[:SHOWN]), "to": outbox.recipients(channel)}
