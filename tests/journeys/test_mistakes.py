"""What a first-hour user types wrong, and what the one line that answers it teaches."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from cubes import cube, write_netcdf, write_zarr
from rasterio.transform import from_origin
from rasters import coordinates, write_raster
from searches import editing

from owl_geo import Run
from owl_geo.cli import _run, init
from owl_geo.cli.flags import SETTINGS

SAMPLE = Path(__file__).parents[2] / "sample_data"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sample data, a run with a batch, and things that are none of these."""
    folder = tmp_path_factory.mktemp("first hour")
    for name in ("scene.tif", "area.osm", "truth.gpkg"):
        shutil.copyfile(SAMPLE / name, folder / name)
    (folder / "bad.tif").write_text("nonsense")
    (folder / "notes.toml").write_text("hello\n")
    (folder / "ring").symlink_to("ring")
    (folder / "none.toml").write_text("classes = []\n")
    (folder / "wide.toml").write_text("[source]\nmin_valid = 90\n")
    (folder / "empty.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    (folder / "bad.zip").write_text("nonsense")
    (folder / "notes.txt").write_text("milk and bread\n")
    values = np.random.default_rng(0).random((2, 64, 64)).astype("float32")
    write_netcdf(folder / "cube.nc", cube(values))
    write_zarr(folder / "cube.zarr", cube(values))
    for name in ("B2", "B3", "B4"):
        write_raster(folder / "bands" / f"{name}.tif", coordinates(64, 64, 1))
    write_raster(folder / "bands" / "truth.tif", coordinates(64, 64, 1, "uint8") % 7)
    for name, east in (("west", 0), ("east", 6400)):
        place = from_origin(500_000 + east, 5_700_000, 10, 10)
        write_raster(folder / "two" / f"{name}.tif", coordinates(64, 64, 1), transform=place)
    scene, osm = str(folder / "scene.tif"), str(folder / "area.osm")
    assert _run(["init", str(folder / "Run"), "--scene", scene, "--osm", osm, "-q"]) == 0
    assert _run(["query", str(folder / "Run"), "-q"]) == 0
    return folder


def error(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys, code: int) -> str:
    monkeypatch.chdir(folder)
    before = sorted(path.name for path in folder.iterdir())
    capsys.readouterr()
    assert _run(shlex.split(text)) == code
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("error: ")
    assert sorted(path.name for path in folder.iterdir()) == before
    return line


INIT = "init new --scene scene.tif"
ORACLE = f"{INIT} --oracle truth.gpkg"
STRATA = "init new --scene bands/B2.tif --patch-size 8 --oracle bands/truth.tif"
SEVEN = "it has 0, 1, 2, 3, 4, 5, 6"


@pytest.mark.parametrize(
    ("typed", "taught"),
    [
        ("inti new", ["'init'"]),
        (f"{INIT} --band red", ["'--bands'"]),
        ("query Run --annotator ana", ["--annotators"]),
        ("query", ["RUN is the folder that `owl-geo init RUN` makes"]),
        ("ingest Run/rounds/000/batch.gpkg", ["the run comes first, then its batch"]),
        (f"{INIT} --bands red nir", ["join lists with commas"]),
        (f"{INIT} --head forrest", ["did you mean 'forest'?"]),
        (f"{INIT} --strategy uncertanty", ["did you mean 'uncertainty'?"]),
        (f"{INIT} --patch-size 10m", ["--patch-size", "'10m'"]),
        (f"{INIT} --bands red,,nir", ["'red,,nir' has an empty item between its commas"]),
        (f"{INIT} --mask scene.tif --mask-bad=3,--8", ["--mask-bad", "give whole numbers"]),
        (f"{INIT} --mask scene.tif --mask-bad 3²", ["--mask-bad", "give whole numbers"]),
        ("run new --source synthetic", ["--out new"]),
        ("predict Run --device gpu", ["'auto', 'cpu', 'cuda', 'mps'"]),
        # the help that explains the option, which a long one leaves out
        (f"{INIT} --vector-column v", ["--source vectors", "`owl-geo init --help-all`"]),
        (f"{INIT} --stride x", ["`owl-geo init --help-all`"]),
        (f"{INIT} --patch-size 10m", ["`owl-geo init --help`"]),
        (f"{STRATA} --oracle-values 1=present,2", ["VALUE=NAME, and '2' none", "--help-all`"]),
        (f"{STRATA} --oracle-values 1=present,=absent", ["'absent' no value before the ="]),
        (f"{STRATA} --oracle-values 1=present,1=absent", ["'1' means both 'present' and 'absent'"]),
    ],
)
def test_wrong_words(typed, taught, made, monkeypatch, capsys) -> None:
    line = error(typed, made, monkeypatch, capsys, 2)
    assert all(words in line for words in taught), line
    assert line.endswith(("--help`", "--help-all`"))


@pytest.mark.parametrize(
    ("typed", "taught"),
    [
        ("init new", ["--scene FILE", "owl-geo sample"]),
        ("init new --scene scne.tif", ["scne.tif does not exist", "did you mean 'scene.tif'?"]),
        ("init new --scene no/scene.tif", ["its folder does not exist either"]),
        ("init new --scene 'tiles/*.tif'", ["no scene matches", "check the pattern"]),
        ("init new --scene bad.tif", ["bad.tif as a raster", "open it in QGIS"]),
        ("init new --scene area.osm", ["vector layer", "--osm"]),
        ("init new --scene truth.gpkg", ["vector layer", "--oracle"]),
        ("init new --scene cube.nc", ["a data cube? add --source cube"]),
        ("init new --scene cube.zarr", ["a data cube? add --source cube"]),
        ("init new --scene scene.tif --view v=cube.nc", ["view 'v': ", "(a view takes GeoTIFFs)"]),
        ("init new --scene two", ["lie on each other", "a pattern in quotes: 'FOLDER/*.tif'"]),
        ("init new --scene bad.zip", ["unpack it and name the folder", "/vsizip/"]),
        ("init new --scene notes.txt", ["notes.txt, read as a list of scenes, line 1:"]),
        ("init new --scene bands --oracle bands/truth.tif", ["'truth'", "--bands B2,B3,B4"]),
        ("init new --scene bands/B2.tif --mask bands/B2.tif --mask-bad 0", ["file of --mask"]),
        (f"{INIT} --bands red,nri", ["no band 'nri'", "did you mean 'nir'?"]),
        (f"{INIT} --bands B2", ["scene 'scene' has no band 'B2'; it has blue, green, red, nir"]),
        (f"{INIT} --scene bands --bands red", ["scene 'bands' has no band 'red'; it has B2,"]),
        (
            f"{INIT} --scene bands",
            ["has no band 'blue'; it has", "first scene, 'scene', has blue,"],
        ),
        ("sample bands", ["bands is not empty; name a new folder"]),
        (f"{INIT} --bands 1,7", ["no band 7", "1 blue, 2 green"]),
        (f"{INIT} --patch-size 1024", ["512 rows", "smaller patch_size"]),
        (f"{INIT} --osm area.pbf", ["area.pbf does not exist", "did you mean 'area.osm'?"]),
        (f"{INIT} --osm aera.osm", ["aera.osm does not exist", "did you mean 'area.osm'?"]),
        (f"{INIT} --osm truth.gpkg", ["no column 'landuse'", "OpenStreetMap extract"]),
        (f"{INIT} --osm scene.tif", ["the file is a raster"]),
        (f"{INIT} --aoi empty.geojson", ["no polygon", "draw some in QGIS"]),
        (f"{ORACLE} --oracle-column klass --oracle-values x", ["did you mean 'class'?"]),
        (f"{ORACLE} --oracle-column class", ["'clean', 'contaminated'", "--oracle-values"]),
        (f"{ORACLE} --oracle-values contaminated", ["--oracle-column", "the file has site, class"]),
        (f"{STRATA}", ["is a raster", SEVEN, "name the values that mean 'present'"]),
        (f"{STRATA} --oracle-values 99", ["no pixel of any patch has 99", SEVEN]),
        (f"{STRATA} --oracle-values water", ["'water' is not a number", SEVEN]),
        (f"{INIT} --oracle area.osm", ["--oracle-column landuse --oracle-values industrial"]),
        (f"{INIT} --config wide.toml --stride 9", ["source.min_valid is 90"]),
        (f"{INIT} --config notes.toml", ["notes.toml", "line 1"]),
        (f"{INIT} --config bands", ["bands is a folder; name a TOML file"]),
        ("init scene.tif --scene new", ["scene.tif is a file", "--scene"]),
        ("init Run --scene scene.tif", ["already holds a run", "--overwrite"]),
        (f"{STRATA} --config none.toml --oracle-values 1", ["classes is empty"]),
        ("init Run", ["already holds a run", "rebuild it after an edit with --update"]),
        (f"{INIT} --aoi area.osm|layername=lines", ["`ogr2ogr aoi.gpkg", "area.osm' lines`"]),
        (f"{INIT} --patch-size -8", ["--patch-size is -8, but it should be greater"]),
        (f"{INIT} --patch-size 2 --model cnn", ["--patch-size: patches of 2 pixels", "for cnn"]),
        (f"{INIT} --batch-size 0", ["--batch-size is 0"]),
        (f"{INIT} --min-valid 90", ["--min-valid is 90", "0.9 for 90 %"]),
        (f"{INIT} --alpha 3", ["--alpha is 3, but it must be between 0 and 1"]),
        (f"{INIT} --classes yes", ["--classes is yes", "absent,present"]),
        (f"{INIT} --classes no,yes --positive yess", ["--positive is 'yess'", "mean 'yes'?"]),
        (f"{INIT} --stride 0", ["--stride is 0"]),
        (f"{INIT} --mask scene.tif", ["a mask needs --mask-bad"]),
        (f"{INIT} --labels-per-hour 9", ["--labels-per-hour and --hours go together"]),
        (f"{INIT} --weights imagenet", ["--weights is for a backbone; set --model to resnet18"]),
        (f"{INIT} --labels mine.gpkg", ["--labels: it is not an address of PostgreSQL"]),
        ("init new --scene c.nc --source cube --time medain", ["--time is", "mean 'median'?"]),
        ("init new --source synthetic --image-size 1", ["--image-size is 1"]),
        ("run --source synthetic --out new --n-samples -1", ["--n-samples is -1"]),
        ("compare new --source synthetic --n-bands 0", ["--n-bands is 0"]),
        ("query Run --annotators ana,Ana --go-on", ["--annotators has 'ana' twice"]),
        ("report Run --out r.pdf", ["r.pdf must be an HTML file; name it r.html"]),
        ("plot Run --out bad.tif", ["bad.tif is a file; name a folder"]),
        ("predict Run --out bad.tif", ["bad.tif is a file; name a folder"]),
        ("compare bad.tif --run Run", ["bad.tif is a file; name a folder"]),
        ("query new", ["no run folder at new", "`owl-geo init new --scene FILE`"]),
        ("query rum", ["did you mean 'Run'?"]),
        ("query Run/owl.toml", ["did you mean 'Run', the run that it is in?"]),
        ("status Run/rounds", ["did you mean 'Run', the run that it is in?"]),
        ("ingest Run/rounds/000/batch.gpkg Run", ["did you mean 'Run'"]),
        ("ingest Run Run/rounds/000", ["is a folder; name the batch GeoPackage in it"]),
        ("ingest Run Run/rounds/000/bach.gpkg", ["did you mean 'batch.gpkg'?"]),
        ("ingest Run scene.tif", ["is a TIFF image", "`owl-geo query Run` printed"]),
        ("ingest Run truth.gpkg", ["no layer 'batch'", "owl-geo labels import"]),
        ("predict Run", ["no answer to learn from yet", "`owl-geo status Run` says which"]),
        (f"init {300 * 'x'} --scene scene.tif", ["File name too long; choose another path"]),
        (f"query {300 * 'x'}", ["File name too long; choose another path"]),
        ("init ring/Run --scene scene.tif", ["cannot write ring/Run", "nothing there was changed"]),
    ],
)
def test_what_can_be_mended(typed, taught, made, monkeypatch, capsys) -> None:
    line = error(typed, made, monkeypatch, capsys, 1)
    assert all(words in line for words in taught), line


def test_each_option_that_decides_a_setting_is_known_by_it() -> None:
    no_settings = {
        *("run_path", "source", "config_path", "overwrite", "update", "dry_run", "cluster"),
        *(
            "on_error",
            "osm",
            "examples",
            "preset",
            "debug",
            "log_json",
            "quiet",
            "verbose",
            "help_all",
        ),
    }
    parameters = {parameter.name for parameter in init.init.params} - no_settings
    spoken = {name for names in SETTINGS.values() for name in names}
    assert parameters == spoken - {"annotators", "overlap"}


def test_a_label_that_is_none(made, monkeypatch, capsys) -> None:
    with editing(Run(made / "Run").batch_path(0)) as connection:
        connection.execute("UPDATE batch SET label = 'yes' WHERE rank = 1")
    line = error("ingest Run Run/rounds/000/batch.gpkg", made, monkeypatch, capsys, 1)
    assert "which is not a label of this run; known: absent, present, unsure, skip" in line
    with editing(Run(made / "Run").batch_path(0)) as connection:
        connection.execute("UPDATE batch SET label = 'Present' WHERE rank = 1")
    line = error("ingest Run Run/rounds/000/batch.gpkg", made, monkeypatch, capsys, 1)
    assert "did you mean 'present'? known: absent, present, unsure, skip" in line
    with editing(Run(made / "Run").batch_path(0)) as connection:
        connection.execute("UPDATE batch SET label = NULL WHERE rank = 1")
    assert _run(shlex.split("ingest Run Run/rounds/000/batch.gpkg")) == 0
    said = capsys.readouterr().out
    assert f"yet in {Path('Run/rounds/000/batch.gpkg')}; save the edits in QGIS first" in said


def test_a_batch_of_another_run(made, monkeypatch, capsys) -> None:
    monkeypatch.chdir(made)
    shutil.copytree("Run", "Other")
    try:
        with editing(Path("Other/rounds/000/batch.gpkg")) as connection:
            connection.execute("UPDATE batch SET batch_id = 'ffff0000-000'")
        line = error("ingest Run Other/rounds/000/batch.gpkg", made, monkeypatch, capsys, 1)
    finally:
        shutil.rmtree("Other")
    assert "of another run; this run's newest is" in line
    assert "name the run that it belongs to" in line


@pytest.mark.parametrize(
    ("before", "after", "taught"),
    [
        ("near_industrial = 3.0", "near_industry = 3.0", "did you mean 'near_industrial'?"),
        ("batch_size = 10", 'batch_size = "ten"', "loop.batch_size is 'ten'"),
        ("batch_size = 10", "batchsize = 10", "did you mean 'batch_size'?"),
        ('layer = "osm"', 'layer = "ozm"', "did you mean 'osm'?"),
        ("seed = 42", "seed = ", "cannot be read as TOML"),
        ("patch_size = 32", "patch_size = 8", "--update`"),
    ],
)
def test_an_edit_of_owl_toml(before, after, taught, made, monkeypatch, capsys) -> None:
    toml = made / "Run" / "owl.toml"
    text = toml.read_text()
    assert before in text
    toml.write_text(text.replace(before, after, 1))
    try:
        line = error("predict Run", made, monkeypatch, capsys, 1)
    finally:
        toml.write_text(text)
    assert taught in line
    assert str(Path("Run") / "owl.toml") in line


def warning(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> str:
    """Return the one warning of a command that does its work."""
    monkeypatch.chdir(folder)
    capsys.readouterr()
    assert _run(shlex.split(text)) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: ")
    return line


SMALL = "--patch-size 8 --initial 5 --batch-size 5 -q"


@pytest.mark.parametrize("dry", ["", "--dry-run"])
def test_a_mask_among_the_bands_of_a_folder(dry, made, tmp_path, monkeypatch, capsys) -> None:
    shutil.copytree(made / "bands", tmp_path / "bands")
    text = f"init new --scene bands {SMALL} {dry}"
    line = warning(text, tmp_path, monkeypatch, capsys)
    assert "truth does not look like a band of it; name the bands with --bands B2,B3,B4" in line
    assert _run(["query", "new", "-q"]) == (1 if dry else 0)
    assert "does not look like a band" not in capsys.readouterr().err  # it was said
    assert _run(shlex.split(f"{text} --bands B2,B3 --overwrite")) == 0
    assert capsys.readouterr().err == ""


def test_the_good_values_of_a_mask(tmp_path, monkeypatch, capsys) -> None:
    write_raster(tmp_path / "s.tif", coordinates(160, 160, 2))
    clouds = np.full((1, 160, 160), 4, "uint8")
    clouds[:, :40, :40] = 9
    write_raster(tmp_path / "clouds.tif", clouds)
    masked = "init new --scene s.tif --mask clouds.tif --patch-size 8 --initial 2 --batch-size 1 -q"
    line = warning(f"{masked} --mask-bad 4", tmp_path, monkeypatch, capsys)
    assert "nearly all is masked, 25 of 400 patches are left: is 4 a bad value of" in line
    assert "clouds.tif? it has 4 on 94 % of the pixels" in line
    assert _run(shlex.split(f"{masked} --mask-bad 9 --overwrite")) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ((0, 8), "no present in the held-out part, so there will be no AUC; try another --seed"),
        ((0, 0), "no patch is present"),
        ((0, 160), "every patch is present"),
    ],
)
def test_a_truth_of_one_side(place, said, tmp_path, monkeypatch, capsys) -> None:
    write_raster(tmp_path / "s.tif", coordinates(160, 160, 2))
    truth = np.zeros((1, 160, 160), "uint8")
    truth[:, : place[1] if place[1] else 2, : place[1] if place[1] else 2] = 1
    write_raster(tmp_path / "truth.tif", truth)
    text = f"init new --scene s.tif --oracle truth.tif --oracle-values 1 {SMALL}"
    assert said in warning(text, tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ("--initial 200", "a first batch of 200 in a pool of 400 is large: nothing"),
        ("--batch-size 100000", "a batch of 100,000 in a pool of 400"),
        ("--initial 10 --patch-size 80", "the pool has 4 patches: too few to search"),
        ("--initial 10 --patch-size 160", "the pool has 1 patch: too few to search"),
    ],
)
def test_a_batch_that_is_nearly_all(size, said, tmp_path, monkeypatch, capsys) -> None:
    write_raster(tmp_path / "s.tif", coordinates(160, 160, 2))
    text = f"init new --scene s.tif --patch-size 8 {size} -q"
    assert said in warning(text, tmp_path, monkeypatch, capsys)


def test_a_strategy_that_is_not_installed_is_told_by_init(made, monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "skactiveml.pool", None)
    text = f"{INIT} --strategy skactiveml:badge"
    assert "needs scikit-activeml; install owl-geo[activeml]" in error(
        text, made, monkeypatch, capsys, 1
    )


CONCEPT = """[layers.osm]
path = "{0}/area.osm"
[concepts.fill]
kind = "share"
layer = "osm"
where = ["{1}"]
[concepts.much]
kind = "{2}"
of = "fill"
value = {3}
"""


@pytest.mark.parametrize(
    ("concept", "said"),
    [
        (("landuse=farmlnd", "below", 2), "did you mean 'landuse=farmland'?"),
        (("landuse=farmland", "below", 2), "concepts.much holds for 100 % of the patches, so it"),
        (("landuse=farmland", "above", 2), "concepts.much holds for none of the patches, so it"),
    ],
)
def test_a_concept_that_tells_little(concept, said, made, tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / "c.toml").write_text(CONCEPT.format(made.as_posix(), *concept))
    monkeypatch.chdir(tmp_path)
    text = f"init new --scene {shlex.quote(str(made / 'scene.tif'))} --config c.toml -q"
    assert _run(shlex.split(text)) == 0
    assert said in capsys.readouterr().err


def test_a_layer_without_some_columns_is_told_once(made, tmp_path, monkeypatch, capsys) -> None:
    with rasterio.open(made / "scene.tif") as scene:
        place, crs = shapely.box(*scene.bounds), scene.crs
    layer = gpd.GeoDataFrame({"landuse": ["industrial"]}, geometry=[place], crs=crs)
    layer.to_file(tmp_path / "map.gpkg")
    monkeypatch.chdir(tmp_path)
    text = f"init new --scene {shlex.quote(str(made / 'scene.tif'))} --osm map.gpkg -q"
    assert _run(shlex.split(text)) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "has no column" in line]
    assert len(lines) == 1
    assert "concepts.land_cover and concepts.dist_industrial on it match nothing" in lines[0]


def test_values_of_the_truth_stand_for_several_classes(made, monkeypatch, capsys) -> None:
    monkeypatch.chdir(made)
    (made / "three.toml").write_text('classes = ["other", "water", "town"]\n', encoding="utf-8")
    options = [*shlex.split(STRATA.replace("new", "several"))[1:], "--config", "three.toml", "-q"]
    try:
        for values, positive, meant in (
            ("1=town,2=water,3=town", "town", {"town": ("1", "3"), "water": ("2",)}),
            ("4,5", "town", {"town": ("4", "5")}),
        ):
            said = _run(["init", *options, "--oracle-values", values, "--overwrite"])
            assert said == 0, capsys.readouterr().err
            settings = Run("several").settings
            assert settings.positive == positive
            assert settings.oracle is not None and settings.oracle.values == meant
    finally:
        shutil.rmtree(made / "several", ignore_errors=True)
        (made / "three.toml").unlink()
