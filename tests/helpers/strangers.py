"""Files as a stranger may hand them in, and the command line that they are handed to."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import pytest

from owl_geo.cli import _run


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    def refusal(self) -> str:
        """Return the one line that says why, after checking that it stands alone."""
        lines = [line for line in self.err.splitlines() if not line.startswith("warning: ")]
        assert self.code == 1, self
        assert len(lines) == 1, self
        assert lines[0].startswith("error: "), self
        assert len(lines[0]) < 2000, self
        return lines[0]

    def done(self) -> str:
        """Return what was printed, after checking that all went well."""
        assert self.code == 0, self
        assert "Warning" not in self.err, self
        return self.out


@dataclass(frozen=True)
class Owl:
    """The command line in this process; what leaves it as a traceback fails the test."""

    folder: Path
    capture: pytest.CaptureFixture[str]

    def __call__(self, *arguments: object) -> Said:
        self.capture.readouterr()
        code = _run([str(argument) for argument in arguments])
        out, err = self.capture.readouterr()
        return Said(code, out, err)

    def init(self, scene: object, *options: object, run: str = "run") -> Said:
        """Make a run of one scene in patches of 8 pixels; nothing is left behind where it fails."""
        path = self.folder / run
        said = self("init", path, "--scene", scene, "--patch-size", 8, "-q", *options)
        assert path.exists() == (said.code == 0)
        assert not list(self.folder.glob(f".{run}*")), "a half-written run"
        return said


def tiff_header(width: int, height: int, bands: int = 1) -> bytes:
    """Return a TIFF that is all header and claims any size."""
    tags = [
        *((256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, bands)),
        *((278, height), (279, 100)),
    ]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\x00" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)


def vrt(path: Path, band: str, *, size: int = 16) -> Path:
    """Write a virtual raster with one band of any content."""
    path.write_text(
        f'<VRTDataset rasterXSize="{size}" rasterYSize="{size}"><SRS>EPSG:32631</SRS>'
        f"<GeoTransform>500000,10,0,5700000,0,-10</GeoTransform>{band}</VRTDataset>",
        encoding="utf-8",
    )
    return path


def simple_source(file: object) -> str:
    """Return a virtual raster's band that shows the first band of another file."""
    return (
        '<VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f'<SourceFilename relativeToVRT="0">{file}</SourceFilename><SourceBand>1</SourceBand>'
        "</SimpleSource></VRTRasterBand>"
    )
