"""The settings: which owl-geo program, and whose answers these are."""

from __future__ import annotations

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from .settings import PluginSettings


class SettingsDialog(QDialog):
    """Shows the settings and keeps them when it is accepted."""

    def __init__(self, settings: PluginSettings, parent: QWidget) -> None:
        super().__init__(parent)
        self._settings = settings
        self.setWindowTitle(self.tr("owl-geo settings"))
        self.setMinimumWidth(480)
        self.program = QgsFileWidget(self)
        self.program.setFilePath(settings.chosen_executable)
        self.program.lineEdit().setPlaceholderText(
            settings.executable or self.tr("not found on PATH")
        )
        self.annotator = QLineEdit(settings.annotator, self)
        form = QFormLayout()
        form.addRow(self.tr("owl-geo program"), self.program)
        form.addRow(self.tr("Annotator"), self.annotator)
        says = QLabel(
            self.tr(
                "Leave the program empty to use the owl-geo on PATH. In a virtual environment it "
                "is bin/owl-geo, on Windows Scripts\\owl-geo.exe."
            ),
            self,
        )
        says.setWordWrap(True)
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel, self
        )
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(says)
        layout.addWidget(buttons)

    def accept(self) -> None:
        """Keep what was entered."""
        self._settings.chosen_executable = self.program.filePath().strip()
        self._settings.annotator = self.annotator.text().strip()
        super().accept()
