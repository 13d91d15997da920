"""What a command asks a Fraisier on another machine, and the records that the answers hold."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from fraisier_core.store.events import DeploymentEvent, Untold
from fraisier_core.store.holds import Hold
from fraisier_core.store.records import BranchHead, Deployment, EnvironmentStatus, LogChunk, Step

T = TypeVar("T")
ENUMS = {"status", "trigger", "event", "step_status"}
"""What is a name of an enum there, and its value in lower case here."""


def camel(name: str) -> str:
    """Return the name of a column as GraphQL has it."""
    return re.sub(r"_(\w)", lambda found: found[1].upper(), name)


def fields(record: Any, *without: str) -> str:
    """Return the selection of a record, some of its fields left out."""
    return " ".join(camel(name) for name in record._fields if name not in without)


def record_of(record: type[T], row: Mapping[str, Any], **known: Any) -> T:
    """Return the record that a row of an answer holds, which `known` completes."""
    names: tuple[str, ...] = record._fields  # type: ignore[attr-defined]
    return record(**{name: _value(name, row[camel(name)]) for name in names if name not in known}, **known)


def _value(name: str, value: Any) -> Any:
    if name == "pathspecs":
        return tuple(tuple(each) for each in value or ())
    if name == "arguments":
        return tuple(value or ())
    if name == "stored_size":  # a Float there: it exceeds what an Int may be
        return None if value is None else int(value)
    return value.lower() if name in ENUMS and isinstance(value, str) else value


DEPLOYMENT = fields(Deployment)
HOLD = fields(Hold, "fraise_id", "environment")
EVENT = fields(DeploymentEvent, "deployment_id")
CHUNK = fields(LogChunk)
FRAISES = """{ fraises {
  id type description problem
  environments { environment name branch appPath }
} }"""
STATUS = f"""query Status($fraise: String, $environment: String) {{
  fraiseStatus(fraiseId: $fraise, environment: $environment) {{
    {fields(EnvironmentStatus)}
    branchHeads {{ {fields(BranchHead, "fraise_id", "environment")} }}
  }}
}}"""
FIND = """query Find($part: String!, $limit: Int!) {
  deploymentHistory(idPart: $part, limit: $limit) { id }
}"""
HISTORY = f"""query History($fraise: String, $environment: String, $limit: Int!, $cursor: ID) {{
  deploymentHistory(fraiseId: $fraise, environment: $environment, limit: $limit, cursor: $cursor) {{
    {DEPLOYMENT}
  }}
}}"""
AHEAD = """query Ahead($fraise: String!, $environment: String!) {
  running: deploymentHistory(fraiseId: $fraise, environment: $environment, status: RUNNING, limit: 50) {
    id kind lane executor
  }
  pending: deploymentHistory(fraiseId: $fraise, environment: $environment, status: PENDING, limit: 200) {
    id kind lane executor hold { id }
  }
}"""
ONE = f"query One($id: ID!) {{ deployment(id: $id) {{ {DEPLOYMENT} }} }}"
PROGRESS = f"""query Progress($id: ID!) {{
  deployment(id: $id) {{
    {DEPLOYMENT}
    steps {{ {fields(Step)} }}
    events {{ {EVENT} }}
    output {{ {CHUNK} }}
    untold {{ {fields(Untold)} }}
  }}
}}"""
DEPLOY = f"""mutation Deploy(
  $fraise: String!, $environment: String!, $commit: String, $branch: String, $overrideHold: Boolean
) {{
  deploy(
    fraiseId: $fraise, environment: $environment
    commit: $commit, branch: $branch, overrideHold: $overrideHold
  ) {{ {DEPLOYMENT} }}
}}"""
HOLDS = f"""query Holds($fraise: String, $environment: String) {{
  fraiseStatus(fraiseId: $fraise, environment: $environment) {{
    fraiseId environment hold {{ {HOLD} }}
  }}
}}"""
MAKE_HOLD = f"""mutation Hold($fraise: String!, $environment: String, $reason: String!, $until: String) {{
  hold(fraiseId: $fraise, environment: $environment, reason: $reason, until: $until) {{ {HOLD} }}
}}"""
RESUME = f"""mutation Resume($fraise: String!, $environment: String) {{
  resume(fraiseId: $fraise, environment: $environment) {{ {HOLD} }}
}}"""
RUN = f"""mutation Run($fraise: String!, $environment: String!, $arguments: [String!]) {{
  run(fraiseId: $fraise, environment: $environment, arguments: $arguments) {{ {DEPLOYMENT} }}
}}"""
BACKUP = f"""mutation Backup($fraise: String!, $environment: String!) {{
  backup(fraiseId: $fraise, environment: $environment) {{ {DEPLOYMENT} }}
}}"""
RESTORE_TEST = f"""mutation RestoreTest($fraise: String!, $environment: String!) {{
  restoreTest(fraiseId: $fraise, environment: $environment) {{ {DEPLOYMENT} }}
}}"""
ROLLBACK = f"""mutation Rollback($fraise: String!, $environment: String!, $to: String) {{
  rollback(fraiseId: $fraise, environment: $environment, to: $to) {{ {DEPLOYMENT} }}
}}"""
CANCEL = f"mutation Cancel($id: ID!) {{ cancel(id: $id) {{ {DEPLOYMENT} }} }}"
EVENTS = f"""subscription Events($id: ID!, $after: Int) {{
  deploymentEvents(deploymentId: $id, after: $after) {{ {EVENT} }}
}}"""
OUTPUT = f"""subscription Output($id: ID!, $after: Int) {{
  deploymentOutput(deploymentId: $id, after: $after) {{ {CHUNK} }}
}}"""


def histories(chosen: Sequence[Mapping[str, str]], limit: int) -> tuple[str, dict[str, str]]:
    """Return a document that asks for the newest deployments, once for each choice of arguments, and its
    variables. What the first choice means is called `of0`, and so on.
    """
    asked: list[str] = []
    variables: dict[str, str] = {}
    for number, arguments in enumerate(chosen):
        given = {f"{name}{number}": value for name, value in arguments.items()}
        named = ", ".join(f"{name}: ${name}{number}" for name in arguments)
        asked.append(f"of{number}: deploymentHistory({named}, limit: {limit}) {{ {DEPLOYMENT} }}")
        variables |= given
    types = ", ".join(f"${name}: String!" for name in variables)
    return f"query Histories({types}) {{ {' '.join(asked)} }}", variables
