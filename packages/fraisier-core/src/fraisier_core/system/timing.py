"""How long leases, heartbeats and the waits around them last, in seconds; a test checks their relations."""

from __future__ import annotations

# A lease says who executes a deployment.
LEASE = 30.0
RENEWAL = 2.0  # between two renewals
TICK = 0.2  # between two looks of the lease keeper at the output, a cancellation and the owner
INTERRUPTION = 10.0  # until an interrupted deployment process ends even if a plugin heeds nothing
LAST_GRACE = 1.0  # from SIGTERM to SIGKILL for what a deployment left running

# A worker that lives says so.
HEARTBEAT = 4.0  # at least, between two heartbeats
HEARTBEAT_TIMEOUT = 15.0  # since the last one, until the worker counts as gone
POLL = 1.0  # between two turns of the worker, and of looks for work in a store that is near
GRACE = 25.0  # after SIGTERM, until deployments that have not finished are interrupted
STOP = 20.0  # from there until the worker ends without them

# What executes slows down if many files are deleted meanwhile.
DELETION = 60.0  # from when an old release was set aside until it is deleted though something executes

# A command that follows its deployment.
FOLLOW = 0.1  # between two looks at its progress
FOLLOW_AT_FIRST = 0.01  # instead, while it is new
FOLLOW_AT_FIRST_FOR = 2.0
RECOVERY = 1.0  # between two looks for a deployment whose process is gone

# Asking a repository for its branches, to find pushes that were missed.
HEADS = 30.0  # that one repository may take
HEADS_GRACE = 15.0  # from there until a process that asks, and hangs, is given up
LONGEST_PAUSE_OF_HEADS = 3600.0  # between two attempts to ask one that does not answer

# A forge may announce a commit before every one of its servers has it.
LATE_COMMIT = 30.0  # for which it is asked for again

# What ends is started again: later each time, unless it ran for longer than the longest pause.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
