"""`hatch run bench [NAME ...]`: measure, and print the table; `--write` puts it into the documentation."""

from __future__ import annotations

import compileall
import sys
import sysconfig
import tempfile
from pathlib import Path

from benchmarks import (
    accepting,
    accepting_beside_queries,
    accepting_postgresql,
    backups,
    claiming,
    commands,
    deploying,
    fraiseql_server,
    graphql_history,
    history,
    jobs,
    large_push,
    live,
    many_fraises,
    observed,
    providers,
    refs,
    starting,
    submodules,
)
from benchmarks.figures import Figure

BENCHMARKS = {
    "accepting": accepting.figures,
    "accepting_beside_queries": accepting_beside_queries.figures,
    "accepting_postgresql": accepting_postgresql.figures,
    "refs": refs.figures,
    "live": live.figures,
    "many_fraises": many_fraises.figures,
    "large_push": large_push.figures,
    "starting": starting.figures,
    "claiming": claiming.figures,
    "deploying": deploying.figures,
    "observed": observed.figures,
    "commands": commands.figures,
    "jobs": jobs.figures,
    "backups": backups.figures,
    "submodules": submodules.figures,
    "history": history.figures,
    "graphql_history": graphql_history.figures,
    "fraiseql_server": fraiseql_server.figures,
    "providers": providers.figures,
}
HEADER = "| what | goal | measured | met | detail |\n|---|---|---|---|---|\n"
PAGE = Path(__file__).parent.parent / "docs" / "reference" / "performance.md"
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->"


def main() -> None:
    """Run the named benchmarks, by default all of them."""
    arguments = sys.argv[1:]
    _compile()
    names = [name for name in arguments if name != "--write"] or list(BENCHMARKS)
    found = [figure for name in names for figure in _run(name)]
    table = HEADER + "".join(f"{figure.row()}\n" for figure in found)
    if "--write" in arguments:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}{table}{END}{rest.partition(END)[2]}")
    sys.exit(0 if all(figure.holds for figure in found) else 1)


def _compile() -> None:
    """Compile what is imported, as pip does when it installs: neither uv nor every environment does."""
    for folder in (PAGE.parents[2] / "packages", Path(sysconfig.get_path("purelib"))):
        compileall.compile_dir(folder, quiet=2)


def _run(name: str) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="fraisier-bench-") as folder:
        found = []
        for figure in BENCHMARKS[name](Path(folder)):
            print(figure.row(), flush=True)
            found.append(figure)
        return found


if __name__ == "__main__":
    main()
