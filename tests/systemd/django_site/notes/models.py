"""What the site stores."""

from django.db import models


class Note(models.Model):
    """A note."""

    text = models.TextField()
