"""The worker: `worker` claims and hands out, `launcher` forks, `runner` is the process of one deployment."""
