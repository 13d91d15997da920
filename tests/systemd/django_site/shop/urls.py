"""The pages of the site: which version it is, and whether it is healthy."""

from __future__ import annotations

from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.urls import path
from notes.models import Note

VERSION = Path(__file__).with_name("version").read_text()


def version(request: HttpRequest) -> HttpResponse:
    """Return which version answers."""
    return HttpResponse(VERSION)


def health(request: HttpRequest) -> HttpResponse:
    """Return how many notes there are, which needs a database that is migrated."""
    return HttpResponse(f"well, {Note.objects.count()} notes")


urlpatterns = [path("", version), path("health", health)]
