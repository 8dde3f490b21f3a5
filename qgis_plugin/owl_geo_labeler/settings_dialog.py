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

from .errors import Problem
from .panels import WrappedLabel
from .settings import PluginSettings, program_at


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
            settings.found_executable or self.tr("not found")
        )
        self.annotator = QLineEdit(settings.annotator, self)
        form = QFormLayout()
        form.addRow(self.tr("owl-geo program"), self.program)
        form.addRow(self.tr("Annotator"), self.annotator)
        says = QLabel(
            self.tr(
                "Leave the program empty to use the owl-geo that installed this plugin, or the "
                "one on PATH. You can also choose the folder of a virtual environment."
            ),
            self,
        )
        says.setWordWrap(True)
        self.problem = WrappedLabel(self)
        # fixed colours, legible in light and dark themes
        self.problem.setStyleSheet("background: #FFE08A; color: #332600; padding: 6px")
        self.problem.hide()
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel, self
        )
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(says)
        layout.addWidget(self.problem)
        layout.addWidget(buttons)

    def accept(self) -> None:
        """Keep what was entered; if there is no such program, stay open and say why."""
        text = self.program.filePath().strip()
        try:
            program = program_at(text) if text else ""
        except Problem as problem:
            self.problem.setText(str(problem))
            self.problem.show()
            return
        self._settings.chosen_executable = program
        self._settings.annotator = self.annotator.text().strip()
        super().accept()
