"""How gunicorn serves the site."""

workers = 1
graceful_timeout = 1
