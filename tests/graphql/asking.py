"""Asking a store in this process, without a web app."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from fraisier_core.access.grants import Grant
from fraisier_core.access.scope import Scope
from fraisier_graphql.api_schema import ApiSchema
from fraisier_graphql.compiling import Compiler
from fraisier_graphql.dialects import dialect_of
from fraisier_graphql.executing import Executor, Request
from fraisier_graphql.reading import Readers

from tests.databases import Database

SCHEMA = ApiSchema.read()
EVERYTHING = "deploy"


class Asker:
    """Answers documents from a store.

    Args:
        database: where that is.
        introspection: whether it answers about the schema, too.
    """

    def __init__(self, database: Database, *, introspection: bool = False) -> None:
        self.kind = database.url.partition(":")[0]
        self._readers = Readers(database.open)
        compiler = Compiler(SCHEMA, dialect_of(self.kind))
        self.executor = Executor(compiler, self._readers, {}, introspection=introspection)

    def answer(
        self, query: str, variables: Mapping[str, Any] | None = None, scope: str = EVERYTHING, **more: Any
    ) -> Any:
        """Return what is answered to a client of a scope."""
        grant = Grant("tester", Scope.parse(scope))
        response = asyncio.run(self.executor.execute(Request(query, variables=variables, **more), grant))
        return json.loads(response.body)

    def ask(
        self, query: str, variables: Mapping[str, Any] | None = None, scope: str = EVERYTHING, **more: Any
    ) -> Any:
        """Ask for what there is, and return the data."""
        answer = self.answer(query, variables, scope, **more)
        assert "errors" not in answer, answer
        return answer["data"]

    def codes(
        self, query: str, variables: Mapping[str, Any] | None = None, scope: str = EVERYTHING, **more: Any
    ) -> list[str]:
        """Ask for what is refused, and return the codes."""
        return [error["code"] for error in self.answer(query, variables, scope, **more)["errors"]]

    def close(self) -> None:
        """Close the connections."""
        self._readers.close()
