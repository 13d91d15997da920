"""That the API answers at all."""

from __future__ import annotations

from tests.databases import both_databases
from tests.graphql.serving import Api


@both_databases
def test_what_is_requested_is_in_the_history(api: Api) -> None:
    requested = api.ask('mutation { deploy(fraiseId: "my_api", environment: "production") { id status } }')
    assert requested["deploy"]["status"] == "PENDING"
    assert api.ask("{ deploymentHistory { id status } }") == {"deploymentHistory": [requested["deploy"]]}
