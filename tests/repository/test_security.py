"""What no module may do: unpickle, make SQL or commands of values, parse XML that may be a bomb."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
import rasterio

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path
    for part in ("owl_geo", "qgis_plugin", "benchmarks")
    for path in (ROOT / part).rglob("*.py")
)


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Yield every call in a file, with the dotted name of what is called."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def keywords(call: ast.Call) -> dict[str | None, str]:
    return {word.arg: ast.unparse(word.value) for word in call.keywords}


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_reads_nothing_that_could_run_code(path: Path) -> None:
    unpickling = {"pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"} & imports(path)
    # torch raises pickle's error for a file that holds more than tensors
    assert unpickling <= ({"pickle"} if path.name == "weights.py" else set())
    for name, call in calls(path):
        words = keywords(call)
        assert name not in ("eval", "exec", "os.system", "pickle.load", "pickle.loads"), name
        assert words.get("shell", "False") == "False", ast.unparse(call)
        if name.endswith("torch.load") or name == "torch.load":
            assert words.get("weights_only") == "True", ast.unparse(call)
        if name in ("np.load", "numpy.load"):
            assert words.get("allow_pickle") == "False", ast.unparse(call)
        if name in ("yaml.load", "ET.parse", "ET.fromstring", "ElementTree.parse"):
            pytest.fail(f"{ast.unparse(call)}: XML is read by defusedxml")


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if "sqlite3" in imports(path)],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_sql_holds_names_and_no_values(path: Path) -> None:
    allowed = {"gpkg", "quoted", "names", "layer", "geometry", "table", "_COLUMNS", "join", "name"}
    allowed |= {"BATCH_LAYER", "LABELS_LAYER", "LABELS_COLUMNS", "schema"}  # constants
    for name, call in calls(path):
        if not name.endswith((".execute", ".executemany")) or not call.args:
            continue
        for part in ast.walk(call.args[0]):
            if isinstance(part, ast.FormattedValue):
                words = {n.id for n in ast.walk(part) if isinstance(n, ast.Name)}
                assert words <= allowed, ast.unparse(call)
            assert not isinstance(part, ast.Mod), ast.unparse(call)


def test_gdal_executes_no_code_of_virtual_rasters() -> None:
    assert os.environ.get("GDAL_VRT_ENABLE_PYTHON") in (None, "NO", "TRUSTED_MODULES")
    with rasterio.Env() as environment:
        assert environment.options.get("GDAL_VRT_ENABLE_PYTHON") in (None, "NO")
    for path in FILES:
        assert "GDAL_VRT_ENABLE_PYTHON" not in path.read_text(encoding="utf-8")


# Versions from which on a vulnerability that concerns what owl-geo does is mended.
MENDED = {
    "torch": ((2, 6), "CVE-2025-32434: code execution in spite of weights_only"),
    "pyarrow": ((14, 0, 1), "CVE-2023-47248: code execution by a Parquet file"),
}


@pytest.mark.parametrize("name", MENDED)
def test_what_is_installed_is_not_known_to_be_vulnerable(name: str) -> None:
    least, why = MENDED[name]
    try:
        found = tuple(int(part) for part in version(name).split("+")[0].split(".")[:3])
    except (PackageNotFoundError, ValueError):
        pytest.skip(f"{name} has no version to compare")
    assert found >= least, f"{name} {found}: {why}"


def test_what_is_installed_fits_together() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
