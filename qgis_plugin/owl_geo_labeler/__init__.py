"""Label the patches that owl-geo chooses, on the map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qgis.gui import QgisInterface


def classFactory(iface: QgisInterface | None) -> Any:
    """Return the plugin; in a QGIS where it cannot run, return one that only shows a message."""
    try:
        from .plugin import OwlGeoPlugin
    except ImportError as error:
        if iface is None:
            raise
        return _Unavailable(iface, str(error))
    return OwlGeoPlugin(iface)


class _Unavailable:
    """Stands in for the plugin and says why it cannot run."""

    def __init__(self, iface: QgisInterface, reason: str) -> None:
        self._iface = iface
        self._reason = reason

    def initGui(self) -> None:
        """Show the message."""
        self._iface.messageBar().pushWarning(
            "owl-geo",
            f"the plugin cannot run in this QGIS ({self._reason}); it needs QGIS 3.22 or newer",
        )

    def unload(self) -> None:
        """Nothing was added."""
