"""`fraisier backups list|verify|restore|prune`: what they do with the copies of a fraise type, and say."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fraisier.exit_codes import ExitCode
from fraisier_core import Release
from fraisier_core.testing import FakeRun
from fraisier_deployers.backup.backing_up import make_backup
from fraisier_deployers.backup.backup_settings import BackupSettings

from tests.command import FRAISIER, SECONDS, run_fraisier
from tests.packages import PackageFolder
from tests.waiting import wait_until

FIRST = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECRET = "correct-horse-battery"


@dataclass(frozen=True, slots=True)
class Shop:
    """A fraise that backs up an SQLite database; the configuration is JSON, which is YAML.

    Args:
        folder: of it all.
        section: of its environment `production`.
    """

    folder: Path
    section: dict[str, Any]

    @property
    def copies(self) -> Path:
        return self.folder / "copies"

    def configure(self, **keys: Any) -> None:
        """Add keys to the section."""
        self.section.update(keys)
        shop = {"type": "backup", "environments": {"production": self.section}}
        (self.folder / "fraises.yaml").write_text(json.dumps({"fraises": {"shop": shop}}))

    def back_up(self, count: int) -> list[str]:
        """Make backups, a day after each other, and return their names."""
        settings = BackupSettings.model_validate({**self.section, "keep": None})
        made = []
        for day in range(count):
            kept = self.folder / ".fraisier/backups/shop/production"
            run = FakeRun(settings, Release("", self.folder, ""), fraise="shop", folder=kept)
            make_backup(run, self.copies, lambda day=day: FIRST + timedelta(days=day))  # type: ignore[misc]
            made.append(run.stored[-1].name)
        return made

    def fraisier(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return run_fraisier(*arguments, folder=self.folder, environ=os.environ | environ)

    def told(self, *arguments: str, code: int = ExitCode.SUCCESS) -> Any:
        """Return the JSON that a command of `backups` prints."""
        done = self.fraisier("backups", *arguments, "--json")
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)

    def rows(self, path: Path) -> list[tuple[int]]:
        with closing(sqlite3.connect(path)) as database:
            return database.execute("SELECT n FROM t ORDER BY n").fetchall()

    def marked(self) -> set[str]:
        """Return of which copies it is known what `verify` found, as `PLACE:NAME`."""
        return {path.name for path in (self.folder / ".fraisier/backups/shop/production/verified").iterdir()}

    def damage(self, name: str, folder: Path) -> None:
        """Flip one bit of a copy."""
        (path,) = (each for each in folder.glob(f"{name}.*") if each.suffix != ".json")
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path, {"source": {"sqlite": str(tmp_path / "shop.db")}, "path": str(tmp_path / "copies")})
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database, database:
        database.execute("CREATE TABLE t (n integer)")
        database.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(100)])
    made.configure()
    return made


@pytest.fixture
def offsite(shop: Shop) -> Path:
    """A remote of rclone's, which is configured."""
    if shutil.which("rclone") is None:
        pytest.skip("rclone is not installed")
    shop.configure(remotes={"offsite": {"rclone": str(shop.folder / "offsite")}})
    return shop.folder / "offsite"


def test_each_copy_is_listed_with_its_place_and_why_it_is_kept(shop: Shop, offsite: Path) -> None:
    names = shop.back_up(3)
    shop.configure(keep={"last": 2})
    told = shop.told("list")
    assert told["problems"] == []
    assert [(each["name"], each["place"]) for each in told["copies"]] == [
        (name, place) for name in reversed(names) for place in ("local", "offsite")
    ]
    newest, oldest = told["copies"][0], told["copies"][-1]
    (file,) = shop.copies.glob(f"{names[-1]}.sqlite*")
    assert (newest["size"], newest["source"]) == (file.stat().st_size, "sqlite")
    assert (newest["encrypted"], newest["verified_at"]) == (False, None)
    assert newest["created_at"] == "2026-01-03T12:00:00.000000Z"
    assert (newest["kept"], oldest["kept"]) == (["last", "the newest"], [])
    assert oldest["destination"] == str(offsite)
    assert shop.fraisier("backups", "test", "shop", "production").returncode == ExitCode.SUCCESS
    head, *lines = shop.fraisier("backups", "list", "shop", "prod").stdout.splitlines()
    assert head.split() == ["BACKUP", "AGE", "SIZE", "PLACE", "ENCRYPTED", "VERIFIED", "KEPT"]
    assert ["never" in line for line in lines] == [False, *[True] * 5]  # one copy was restored as a test
    assert lines[-1].startswith(f"{names[0]}  ")
    assert lines[-1].endswith("offsite  no         never     goes at the next pruning")


@pytest.mark.usefixtures("offsite")
def test_what_cannot_be_read_or_listed_is_named_and_the_rest_is_listed(shop: Shop) -> None:
    names = shop.back_up(2)
    (shop.copies / f"{names[0]}.json").write_text("{")
    shop.configure(remotes={"offsite": {"rclone": "nowhere:backups"}})
    told = shop.told("list", "shop", code=ExitCode.FAILED)
    assert [each["name"] for each in told["copies"]] == [names[1]]
    unreadable, away = told["problems"]
    assert (unreadable["place"], unreadable["name"]) == ("local", f"{names[0]}.json")
    assert "is no manifest" in unreadable["problem"]
    assert (away["place"], away["name"], away["destination"]) == ("offsite", None, "nowhere:backups")
    assert "cannot list" in away["problem"]
    plain = shop.fraisier("backups", "list", "shop", "production")
    assert plain.returncode == ExitCode.FAILED
    assert plain.stderr.startswith(f"shop production, local: {names[0]}.json is no manifest")
    assert "\nshop production, offsite: " in plain.stderr


def test_a_damaged_copy_is_found_where_it_lies(shop: Shop, offsite: Path) -> None:
    first, second = shop.back_up(2)
    shop.damage(first, offsite)
    done = shop.fraisier("backups", "verify", "shop", "production")
    assert done.returncode == ExitCode.FAILED
    lines = done.stdout.splitlines()
    assert lines[:2] == [f"{first} at local: good", f"{second} at local: good"]
    assert lines[2].startswith(f"{first} at offsite: {first}.sqlite.zst at {offsite} is damaged: its SHA-256")
    assert lines[3:] == [f"{second} at offsite: good"]
    assert f"reading {first} at {offsite}" in done.stderr
    told = shop.told("list", code=ExitCode.FAILED)
    verified = {(each["name"], each["place"]): each["verified_at"] for each in told["copies"]}
    assert verified.pop((first, "offsite")) is None
    assert None not in verified.values()
    for path in offsite.glob(f"{first}.*"):  # as a scheduled backup does
        path.unlink()
    (shop.copies / f"{second}.json").write_text("{")
    shop.fraisier("backups", "verify", "shop", "production")
    assert shop.marked() == {f"local:{first}", f"local:{second}", f"offsite:{second}"}


def test_a_copy_that_was_damaged_since_it_was_made_is_good_no_more(shop: Shop) -> None:
    assert shop.fraisier("backup", "shop", "production").returncode == ExitCode.SUCCESS
    (copy,) = shop.told("list")["copies"]
    assert (copy["verified_at"] is None, copy["kept"]) == (False, ["no `keep` is set", "the newest"])
    shop.damage(copy["name"], shop.copies)
    assert shop.fraisier("backups", "verify", "shop", "production").returncode == ExitCode.FAILED
    told = shop.told("list", code=ExitCode.FAILED)
    (problem,) = told["problems"]
    assert told["copies"][0]["verified_at"] is None
    assert (problem["place"], problem["name"]) == ("local", copy["name"])
    assert "is damaged: its SHA-256 is" in problem["problem"]
    _, line = shop.fraisier("backups", "list").stdout.splitlines()
    assert "  not good  " in line
    assert json.loads(shop.fraisier("status", "--json").stdout)[0]["doubt"] == problem["problem"]
    shop.damage(copy["name"], shop.copies)  # the bit is as it was
    assert shop.told("verify", "shop", "production")[0]["problem"] is None
    assert shop.told("list")["problems"] == []
    assert json.loads(shop.fraisier("status", "--json").stdout)[0]["doubt"] is None


def test_a_copy_that_cannot_be_read_now_or_was_restored_since_is_not_said_to_be_bad(shop: Shop) -> None:
    assert shop.fraisier("backup", "shop", "production").returncode == ExitCode.SUCCESS
    name = shop.told("list")["copies"][0]["name"]
    (copy,) = shop.copies.glob("*.zst")
    verify = ("verify", "shop", "production")

    def doubted() -> bool:
        return json.loads(shop.fraisier("status", "--json").stdout)[0]["doubt"] is not None

    aside = copy.rename(shop.folder / "aside")
    copy.mkdir()
    (found,) = shop.told(*verify, code=ExitCode.FAILED)
    assert found["problem"].endswith(f"{name}.sqlite.zst: Is a directory")
    assert (shop.told("list")["problems"], doubted()) == ([], False)
    copy.rmdir()
    shop.told(*verify, code=ExitCode.FAILED)
    assert doubted()
    aside.rename(copy)
    assert doubted()
    assert shop.fraisier("backups", "test", "shop", "production").returncode == ExitCode.SUCCESS
    assert (shop.told("list")["problems"], doubted()) == ([], False)


def test_one_backup_or_one_place_is_verified(shop: Shop, offsite: Path) -> None:
    first, second = shop.back_up(2)
    shop.damage(first, offsite)
    assert shop.told("verify", "shop", "production", "--place", "local") == [
        {"name": name, "place": "local", "problem": None} for name in (first, second)
    ]
    assert [each["name"] for each in shop.told("verify", "shop", "prod", "latest")] == [second, second]
    (found,) = shop.told("verify", "shop", "prod", "0101T", "--place", "offsite", code=ExitCode.FAILED)
    assert found["name"] == first
    for arguments, what in (
        (["0105T"], 'shop production has no backup "0105T"'),
        (["2026"], '"2026" is ambiguous: several backups match'),
        (["--place", "moon"], 'no place is named "moon"; there are: local, offsite'),
    ):
        done = shop.fraisier("backups", "verify", "shop", "production", *arguments)
        assert done.returncode == ExitCode.UNKNOWN_NAME
        assert what in done.stderr


def test_the_newest_backup_is_restored_into_a_new_file(shop: Shop) -> None:
    _, second = shop.back_up(2)
    new = shop.folder / "new.db"
    done = shop.fraisier("backups", "restore", "shop", "production", "--to", "${NEW}", NEW=str(new))
    assert done.returncode == ExitCode.SUCCESS, done.stderr
    assert done.stdout == f"{second} is restored into {new}\n"
    assert done.stderr == f"{second} from {shop.copies}\n"
    assert shop.rows(new) == shop.rows(shop.folder / "shop.db")


def test_a_target_that_is_not_empty_is_replaced_only_by_its_name(shop: Shop, offsite: Path) -> None:
    first, _ = shop.back_up(2)
    source = shop.folder / "shop.db"
    with closing(sqlite3.connect(source)) as database, database:
        database.execute("DELETE FROM t WHERE n > 4")
    restore = ("restore", "shop", "production", first, "--to", str(source), "--from", "offsite")
    refused = shop.fraisier("backups", *restore)
    assert refused.returncode == ExitCode.CONFLICT
    assert f"{source} is not empty: " in refused.stderr
    assert f"add --replace {source}" in refused.stderr
    assert shop.fraisier("backups", *restore, "--replace", "shop").returncode == ExitCode.CONFLICT
    assert shop.rows(source) == [(n,) for n in range(5)]
    told = shop.told(*restore, "--replace", str(source))
    assert (told["name"], told["place"], told["target"]) == (first, "offsite", str(source))
    backed_up = Path(told["replaced"])
    assert backed_up.parent == shop.copies / "replaced"
    assert len(shop.rows(source)) == 100
    (aside,) = shop.folder.glob("shop.db.replaced-*")
    said = shop.fraisier("backups", "prune", "shop", "production").stderr
    assert f"{aside} was replaced by a restore, and is kept until you rm {aside}\n" in said
    what = f"{backed_up} is a backup of what was replaced by a restore"
    assert f"{what}, and is kept until you rm {backed_up} " in said


def test_copies_are_restored_without_the_record(shop: Shop) -> None:
    (name,) = shop.back_up(1)
    text = json.loads((shop.folder / "fraises.yaml").read_text())
    text["database"] = {"url": "postgresql://fraisier@127.0.0.1:1/fraisier?connect_timeout=1"}
    (shop.folder / "fraises.yaml").write_text(json.dumps(text))
    new, source = shop.folder / "new.db", shop.folder / "shop.db"
    shop_production = ("shop", "production")
    for arguments, said in (
        (("list",), ["the record cannot be read: "]),
        (("verify", *shop_production), ["the record cannot be read: "]),
        (
            ("restore", *shop_production, "--to", str(new)),
            ["the record cannot be read: ", "this is not in the audit: "],
        ),
    ):
        done = shop.fraisier("backups", *arguments)
        assert (done.returncode, name in done.stdout) == (ExitCode.SUCCESS, True), done.stderr
        told = [line for line in done.stderr.splitlines() if "connection" in line]
        assert [line.startswith(each) for line, each in zip(told, said, strict=True)] == [True] * len(said)
    assert shop.rows(new) == shop.rows(source)
    new.unlink()
    for arguments in (("prune",), ("restore", "--to", str(source), "--replace", str(source))):
        done = shop.fraisier("backups", arguments[0], *shop_production, *arguments[1:])
        assert done.returncode == ExitCode.STORE, done.stderr
    assert not [*shop.folder.glob("shop.db.*")]


def test_a_damaged_copy_is_not_restored(shop: Shop) -> None:
    (name,) = shop.back_up(1)
    shop.damage(name, shop.copies)
    done = shop.fraisier("backups", "restore", "shop", "production", "--to", str(shop.folder / "new.db"))
    assert done.returncode == ExitCode.FAILED
    assert "is damaged" in done.stderr
    assert not (shop.folder / "new.db").exists()


def test_a_target_of_a_variable_that_is_not_set_is_refused(shop: Shop) -> None:
    """One of a shell is an empty text, which is never the place that was backed up."""
    shop.back_up(1)
    (shop.folder / "shop.db").unlink()
    for arguments, message in (
        (("--to", "${NOT_SET}"), "--to: the variable NOT_SET is not set; "),
        (("--to", "${EMPTY}"), "--to is empty: "),
        (("--to", "new"), "the target must be an absolute path"),
        (("", "--to", "/new"), "NAME is empty: "),
    ):
        done = shop.fraisier("backups", "restore", "shop", "production", *arguments, EMPTY="")
        assert (done.returncode, message in done.stderr) == (ExitCode.USAGE, True), done.stderr
    assert not (shop.folder / "shop.db").exists()


def test_pruning_says_what_stays_and_why_before_it_deletes_anything(shop: Shop, offsite: Path) -> None:
    names = shop.back_up(3)
    shop.configure(keep={"last": 1, "yearly": 1})
    prune = ("backups", "prune", "shop", "production")
    planned = shop.fraisier(*prune, "--dry-run").stdout.splitlines()
    assert planned[:3] == [
        f"local: {names[2]} stays: last, yearly, the newest good one",
        f"local: {names[0]} would go",
        f"local: {names[1]} would go",
    ]
    assert len(shop.told("verify", "shop", "production")) == len(shop.told("list")["copies"]) == 6
    undeletable = next(shop.copies.glob(f"{names[0]}.*.zst"))
    undeletable.unlink()
    undeletable.mkdir()
    local, remote = shop.told("prune", "shop", "production", code=ExitCode.FAILED)
    assert (local["deleted"], remote["deleted"]) == (names[1:2], names[:2])
    assert (list(local["undeleted"]), remote["undeleted"]) == ([names[0]], {})
    assert (local["problem"], local["unreadable"]) == (None, {})
    assert local["kept"] == {names[2]: ["last", "yearly", "the newest good one"]}
    assert sorted(each["name"] for each in shop.told("list")["copies"]) == [names[0], names[2], names[2]]
    assert sorted(path.suffix for path in offsite.iterdir()) == [".json", ".zst"]
    assert {mark for mark in shop.marked() if "offsite" in mark} == {f"offsite:{names[2]}"}
    audited = json.loads(shop.fraisier("token", "audit", "--json").stdout)
    assert [(each["action"], each["detail"]) for each in audited] == [
        ("prune", f"{names[0]}, {names[1]} at {place}") for place in ("offsite", "local")
    ]


def test_nothing_is_pruned_if_the_newest_backup_failed_or_is_damaged(shop: Shop) -> None:
    names = shop.back_up(3)
    shop.configure(keep={"last": 1})
    shop.damage(names[2], shop.copies)
    (place,) = shop.told("prune", "shop", "production", code=ExitCode.FAILED)
    assert (place["deleted"], place["problem"].partition(":")[0]) == ([], "the newest backup is not good")
    shop.damage(names[2], shop.copies)  # which flips the bit back
    (shop.folder / "shop.db").unlink()
    assert shop.fraisier("backup", "shop", "production").returncode == ExitCode.FAILED
    done = shop.fraisier("backups", "prune", "shop", "production")
    assert done.returncode == ExitCode.FAILED
    assert done.stdout.startswith("local: nothing is pruned: the newest run, ")
    assert len(shop.told("list")["copies"]) == 3


def test_nothing_is_pruned_or_restored_while_a_backup_is_under_way(shop: Shop) -> None:
    shop.back_up(2)
    reached, opened = shop.folder / "reached", shop.folder / "opened"
    script = f"touch {reached}; while [ ! -e {opened} ]; do sleep 0.05; done; echo dump"
    source = {"command": ["sh", "-c", script], "restore": ["cp", "/dev/stdin", "{target}"]}
    shop.configure(source=source, keep={"last": 1})
    with subprocess.Popen([FRAISIER, "backup", "shop", "production"], cwd=shop.folder) as backup:
        try:
            wait_until(reached.exists)
            for arguments in (["prune"], ["restore", "--to", str(shop.folder / "new")]):
                command, *options = arguments
                done = shop.fraisier("backups", command, "shop", "production", *options)
                assert done.returncode == ExitCode.CONFLICT, done.stderr
                assert "of shop production is under way: wait until it has ended" in done.stderr
        finally:
            opened.touch()
        assert backup.wait(SECONDS) == ExitCode.SUCCESS
    told = shop.told("list")["copies"]
    assert [each["source"] for each in told] == ["command"]
    assert told[0]["verified_at"] is not None


def test_no_secret_is_shown(shop: Shop) -> None:
    """A server that is away has its address and its password in its URL."""
    url = f"postgresql://shop:{SECRET}@127.0.0.1:1/shop"
    shop.configure(source={"postgresql": "${DATABASE_URL}"})
    for arguments in (
        ("list",),
        ("verify", "shop", "production"),
        ("restore", "shop", "prod", "--to", "new"),
    ):
        done = shop.fraisier("backups", *arguments, DATABASE_URL=url)
        assert SECRET not in done.stdout + done.stderr
    unset = shop.fraisier("backups", "list", "shop", "production")
    assert unset.returncode == ExitCode.CONFIGURATION
    assert "DATABASE_URL" in unset.stderr


OTHER_TYPE = """
from datetime import datetime, timezone
from fraisier_core import BackupCopy, BackupJobSettings, KeptBackups, ListedPlace, VerifiedCopy, hookimpl

class Vault(KeptBackups):
    def __init__(self, context):
        self.context = context
    def places(self):
        return ["vault"]
    def names(self):
        return ["one"]
    def listings(self):
        printed = self.context.command(["echo", self.context.environment]).output.strip()
        copy = BackupCopy("one", datetime(2026, 1, 1, tzinfo=timezone.utc), 7, "x")
        yield ListedPlace("vault", printed, (copy,))
    def verify(self, name, place):
        yield VerifiedCopy("one", "vault", "/vault")
    def restore(self, name, target, *, place, replace):
        raise NotImplementedError
    def prune(self, *, dry_run):
        return iter(())

@hookimpl
def settings():
    return BackupJobSettings

@hookimpl
def back_up(run):
    pass

@hookimpl
def backups(settings, context):
    return Vault(context)
"""
WITHOUT = OTHER_TYPE.rpartition("@hookimpl")[0]


def test_any_fraise_type_may_answer_and_one_that_does_not_is_refused(tmp_path: Path) -> None:
    packages = PackageFolder(tmp_path / "packages")
    packages.folder.mkdir()
    packages.deployer("vault", OTHER_TYPE)
    packages.deployer("mute", WITHOUT)
    environments: dict[str, Any] = {"environments": {"production": {}}}
    fraises = {"shop": {"type": "vault", **environments}, "other": {"type": "mute", **environments}}
    (tmp_path / "fraises.yaml").write_text(json.dumps({"fraises": fraises}))
    shop = Shop(tmp_path, {})
    given = {"PYTHONPATH": str(packages.folder)}
    listed = shop.fraisier("backups", "list", "--json", **given)
    assert listed.returncode == ExitCode.SUCCESS, listed.stderr
    (copy,) = json.loads(listed.stdout)["copies"]
    assert (copy["fraise_id"], copy["destination"], copy["size"]) == ("shop", "production", 7)
    assert shop.fraisier("backups", "verify", "shop", "prod", **given).stdout == "one at vault: good\n"
    refused = shop.fraisier("backups", "list", "other", "production", **given)
    assert refused.returncode == ExitCode.USAGE
    assert refused.stderr == 'other production keeps no backups: its type "mute" has none\n'


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("fraisier backups verify shop production 0", []),
        ("fraisier backups restore shop production l", ["latest"]),
        ("fraisier backups verify shop production --place ", ["local"]),
        ("fraisier backups restore shop production shop-", ["shop-production-"]),
    ],
)
def test_the_shell_offers_backups_and_places(shop: Shop, line: str, offered: list[str]) -> None:
    shop.back_up(1)
    words = line.split(" ")
    asked = {"_FRAISIER_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    found = shop.fraisier(**asked).stdout.split()
    assert len(found) == len(offered)
    assert all(each.startswith(begun) for each, begun in zip(found, offered, strict=True))
