"""The hook specs of a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fraisier_core.markers import hookspec

if TYPE_CHECKING:
    from fraisier_core.store.protocol import Reader
    from fraisier_core.system.host import Host


class StoreHooks:
    """The hooks of a store: open the record in such a database."""

    @hookspec(firstresult=True)
    def open_store(self, url: str, host: Host, for_reading: bool) -> Reader | None:
        """Return the store at `url`: a `Store`, or a `Reader` if it is opened for reading. Required.

        Called once by each process that needs the record.

        Args:
            url: as `resolve_url` returned it.
            host: this host, as leases and serving releases name it.
            for_reading: create and change nothing; None if there is no store yet.

        Raises `StoreError` if it cannot be opened, or another version made it.

        Example::

            @hookimpl
            def open_store(url, host, for_reading):
                return MyReader(url, host) if for_reading else MyStore(url, host)
        """

    @hookspec(firstresult=True)
    def resolve_url(self, url: str, folder: Path) -> str:
        """Return the url as `open_store` takes it. Optional.

        Called when the configuration is loaded. Without it the url is taken as it is written.

        Args:
            url: what `database.url` says.
            folder: the folder of the configuration.

        Raises `ValueError` with what is wrong, if this is no url of such a store.

        Example::

            @hookimpl
            def resolve_url(url, folder):
                return url
        """
