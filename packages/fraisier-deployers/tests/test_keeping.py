"""What a policy keeps, beside what restic itself keeps of as many snapshots."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from fraisier_deployers.backup.backup_settings import KeepSection
from fraisier_deployers.backup.keeping import kept

from tests.restic_keys import make_cheap

ZONE = ZoneInfo("Europe/Berlin")  # in UTC, some of the times below are of another day, week or year
EDGES = (
    *("2018-05-05 12:00:00", "2019-03-01 12:00:00", "2020-03-01 12:00:00", "2025-01-02 12:00:00"),
    *("2021-12-31 23:30:00", "2022-01-01 00:30:00", "2022-01-02 23:59:59", "2022-01-03 00:00:00"),
    *("2023-01-01 00:15:00", "2024-02-29 12:00:00", "2024-12-29 10:00:00", "2024-12-30 00:10:00"),
    *("2025-03-30 01:59:59", "2025-03-30 03:00:00", "2025-10-26 00:30:00", "2025-10-26 03:30:00"),
)
PARTS = 8  # a backup mostly sleeps, to see whether another one locks the repository
RULES = "last", "daily", "weekly", "monthly", "yearly"
Restic = Callable[..., bytes]


@pytest.fixture(scope="module")
def rng() -> random.Random:
    return random.Random(os.environ["FRAISIER_SEED"])


@pytest.fixture(scope="module")
def times(rng: random.Random) -> list[datetime]:
    edges = [datetime.fromisoformat(text).replace(tzinfo=ZONE) for text in EDGES]
    spans = [3] * 8 + [40] * 8 + [900] * 8
    newest = datetime(2025, 11, 5, 22, 30, tzinfo=ZONE)
    drawn = [newest - timedelta(minutes=rng.randrange(days * 1440)) for days in spans]
    return rng.sample([*edges, *drawn], len(edges) + len(drawn))


@pytest.fixture(scope="module")
def restic(tmp_path_factory: pytest.TempPathFactory, times: list[datetime]) -> Restic:
    if shutil.which("restic") is None:
        pytest.skip("restic is not installed")
    folder = tmp_path_factory.mktemp("restic")
    environment = {**os.environ, "RESTIC_PASSWORD": "of this test", "TZ": ZONE.key}

    def run(*arguments: str, repository: str = "one") -> bytes:
        command = ["restic", "--no-cache", "--repo", repository, *arguments]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True).stdout

    def back_up(part: int) -> str:
        repository = shutil.copytree(folder / "one", folder / f"part-{part}")
        for tag in range(part, len(times), PARTS):
            when = f"{times[tag]:%Y-%m-%d %H:%M:%S}"
            run("backup", "--tag", str(tag), "--time", when, "file", repository=str(repository))
        return str(repository)

    run("init")
    make_cheap(folder / "one", environment)
    (folder / "file").write_text("a tiny file")
    with ThreadPoolExecutor(PARTS) as pool:
        for repository in pool.map(back_up, range(PARTS)):
            shutil.copytree(repository, folder / "one", dirs_exist_ok=True)
    return run


def kept_by_restic(restic: Restic, keep: KeepSection, times: list[datetime]) -> set[int]:
    """Return which of the times restic keeps, and the oldest if it is one that has been kept since 0.16.0: if
    any rule may still keep one after the last one kept.
    """
    flags = [f"--keep-{rule}={count}" for rule, count in keep.model_dump().items() if count]
    (group,) = json.loads(restic("forget", "--dry-run", "--no-lock", "--json", "--group-by=paths", *flags))
    found = {int(snapshot["tags"][0]) for snapshot in group["keep"]}
    return found | ({times.index(min(times))} if group["reasons"][-1]["counters"] else set())


def test_fifty_random_policies_keep_what_restic_keeps_of_forty_snapshots(
    restic: Restic, times: list[datetime], rng: random.Random
) -> None:
    assert len(times) == len(json.loads(restic("snapshots", "--json", "--no-lock"))) == 40
    for number in range(50):
        rules = [RULES[number]] if number < len(RULES) else rng.sample(RULES, rng.randint(1, len(RULES)))
        keep = KeepSection(**{rule: 40 if rules == [rule] else rng.randint(1, 15) for rule in rules})
        ours = {index for index, names in enumerate(kept(times, keep)) if names}
        assert ours == kept_by_restic(restic, keep, times), keep.model_dump()


def test_a_backup_says_which_rules_keep_it() -> None:
    newest = datetime(2025, 6, 15, 12, tzinfo=UTC)
    times = [newest - timedelta(days=days) for days in (0, 1, 2, 60, 400)]
    names = kept(times, KeepSection(last=1, daily=2, monthly=2))
    assert names == [("last", "daily", "monthly"), ("daily",), (), ("monthly",), ()]


def test_the_oldest_is_kept_while_a_rule_may_still_keep_one() -> None:
    times = [datetime(2025, 6, day, tzinfo=UTC) for day in range(1, 5)]
    assert kept(times, KeepSection(yearly=2)) == [("yearly",), (), (), ("yearly",)]
    assert kept(times, KeepSection(yearly=1)) == [(), (), (), ("yearly",)]


def test_backups_of_the_same_moment_are_told_apart() -> None:
    assert kept([datetime(2025, 6, 1, tzinfo=UTC)] * 3, KeepSection(last=2)).count(("last",)) == 2


def test_nothing_is_kept_of_nothing() -> None:
    assert kept([], KeepSection(last=1)) == []
