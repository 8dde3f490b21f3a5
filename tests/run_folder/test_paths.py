"""Where the files of a run lie, and which run is meant by a path that is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from searches import make

from owl_geo import Run
from owl_geo.errors import RunError
from owl_geo.measures.metrics import RoundMetrics
from owl_geo.run_folder.paths import RunPaths, is_run, no_run
from owl_geo.run_folder.records import Round
from owl_geo.settings import owl_toml

NOTHING = RoundMetrics(2, 0, 0, 0.0, 0.0, 0.0, 0.0, 0)


def dealt(**team: tuple[int, ...]) -> Round:
    return Round(2, "r-002", ("a", "b"), 0, NOTHING, {}, (), team)


def test_the_files_of_a_round() -> None:
    paths = RunPaths(Path("RUN"))
    assert paths.batch(2) == Path("RUN/rounds/002/batch.gpkg")
    assert paths.model(12) == Path("RUN/rounds/012/model.safetensors")
    assert paths.batches(dealt()) == {None: paths.batch(2)}
    assert paths.batches(dealt(ana=(0,), ben=(), cy=(1,))) == {
        "ana": Path("RUN/rounds/002/batch-ana.gpkg"),
        "cy": Path("RUN/rounds/002/batch-cy.gpkg"),
    }


def test_names_that_one_file_could_have_are_kept_apart() -> None:
    parts = RunPaths(Path("RUN")).batches(dealt(**{"a/b": (0,), "a:b": (0,), "../a": (1,)}))
    assert len({path.name.casefold() for path in parts.values()}) == 3
    assert all(path.parent == Path("RUN/rounds/002") for path in parts.values())


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that one is in, with runs in it: UTM, mines, sites/north and sites/south."""
    for name in ("UTM", "mines", "sites/north", "sites/south"):
        run = tmp_path / name
        (run / "rounds" / "000").mkdir(parents=True)
        (run / owl_toml.FILE_NAME).touch()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("mines/rounds/000", ["mines"]),
        ("mines/rounds/000/batch.gpkg", ["mines"]),
        ("sites/north/owl.toml", ["sites/north"]),
        ("sites", ["sites/north", "sites/south"]),
        ("mine", ["mines"]),
        ("MINES2", ["mines"]),
        ("utm1", ["UTM"]),
        ("sites/nort", ["sites/north"]),
    ],
)
def test_the_run_that_is_meant_is_named_as_one_would_type_it(
    given: str, meant: list[str], here: Path
) -> None:
    error = no_run(Path(given))
    assert error is not None
    assert error.message.startswith(f"no run folder at {Path(given)}")
    names = " or ".join(repr(str(Path(name))) for name in meant)
    assert error.remedy.startswith(f"did you mean {names}")
    with pytest.raises(RunError, match="no run folder"):
        Run(given)


def test_a_whole_path_is_answered_by_a_whole_path(here: Path) -> None:
    error = no_run(here / "mines" / "rounds")
    assert error is not None
    assert repr(str(here / "mines")) in error.remedy


def test_a_folder_in_a_run_leads_out_of_it(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here / "mines" / "rounds")
    error = no_run(Path("000"))
    assert error is not None
    assert repr(str(here / "mines")) in error.remedy  # which no part of the path given leads to


def test_where_no_run_is_near_it_says_how_to_make_one(here: Path) -> None:
    error = no_run(Path("elsewhere/forests"))
    make = "make one with `owl-geo init elsewhere/forests --scene FILE`"
    assert error is not None and error.remedy == make
    assert str(error) == f"no run folder at elsewhere/forests; {make}"
    spaced = no_run(Path("my forests"))
    assert spaced is not None and "`owl-geo init 'my forests' --scene" in spaced.remedy
    # whoever reads owl.toml in an empty folder says that it is missing
    assert no_run(Path("empty")) is None


def test_a_run_is_one(tmp_path: Path) -> None:
    run = make(tmp_path / "r")
    assert is_run(run.path)
    assert no_run(run.path) is None
    assert not is_run(tmp_path)
