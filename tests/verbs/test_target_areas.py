"""How many hectares are targets: answered, predicted, and by the audit."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import searches
from corners import answered, table
from rasters import write_raster

import owl_geo
from owl_geo.cli import _run as owl
from owl_geo.cli.predict import area_line
from owl_geo.errors import ConfigError
from owl_geo.measures.audit import Estimate
from owl_geo.verbs.status import status
from owl_geo.verbs.target_areas import TargetArea

PATCH = 0.64 / 0.9996**2  # hectares: 8 pixels of 10 metres in the middle of a zone


def test_what_was_answered_counts_as_answered_and_the_rest_by_its_probability(tmp_path) -> None:
    run = answered(tmp_path / "run", model={"head": "logistic"})
    summary = owl_geo.predict(run)
    said = table(summary.folder)["probability"]
    label = run.labels.current().set_index("patch_id")["label"].reindex(said.index)
    is_target = np.where(label.isna(), said >= 0.5, label == "present")
    areas = gpd.read_file(summary.areas, layer="areas")
    assert summary.area is not None and summary.area.places == len(areas) > 1
    # c lies west of the middle of its zone, where the scale is another
    assert summary.area.hectares == pytest.approx(is_target.sum() * PATCH, rel=2e-3)
    assert areas["area_ha"].sum() == pytest.approx(summary.area.hectares)
    assert areas["patches"].sum() == is_target.sum()
    assert areas["answered"].sum() == (label == "present").sum()
    assert summary.area.answered == pytest.approx((label == "present").sum() * PATCH, rel=2e-3)
    # another threshold needs no scene again
    more = owl_geo.predict(run, threshold=0.01)
    assert more.done == () and more.area.hectares > summary.area.hectares
    assert more.area.threshold == 0.01
    assert gpd.read_file(summary.areas, layer="areas")["area_ha"].sum() == pytest.approx(
        more.area.hectares
    )
    # a part of the pool has no estimate for the whole
    part = owl_geo.predict(run, out=tmp_path / "part", scenes=["a"])
    assert part.area.by_audit is None and part.area.hectares < summary.area.hectares
    with pytest.raises(ConfigError, match="threshold is 0"):
        owl_geo.predict(run, threshold=0.0)


@pytest.mark.parametrize("stride", [8, 4])
def test_the_audit_gives_an_interval_unless_patches_overlap(tmp_path, capsys, stride) -> None:
    values = np.random.default_rng(0).random((1, 64, 128))
    values[:, :32, :64] += 1  # a quarter
    scene = write_raster(tmp_path / "scene.tif", values.astype(np.float32))
    run = owl_geo.init(
        tmp_path / "run",
        {
            "source": {
                "kind": "geotiff",
                "scenes": [{"name": "s", "path": str(scene)}],
                "patch_size": 8,
                "stride": stride,
            },
            "loop": {"initial": 40},
            "acquisition": {"audit_share": 0.7},
            "model": {"head": "logistic"},
        },
    ).run
    entry = owl_geo.query(run)
    places = {patch: patch.split("/")[1:] for patch in entry.patch_ids}
    labels = {
        patch: "present" if int(row) < 32 and int(col) < 64 else "absent"
        for patch, (row, col) in places.items()
    }
    searches.label(run.batch_path(0), labels)
    owl_geo.ingest(run, [run.batch_path(0)], annotator="ana")
    area = owl_geo.predict(run).area
    assert area is not None
    if stride == 4:
        assert area.by_audit is None
        # no ground twice: the corner, and up to a patch around it
        assert 32 * PATCH <= area.hectares < 1.3 * 32 * PATCH
        return
    assert area.hectares == pytest.approx(32 * PATCH, rel=1e-3)
    left = status(run).left.left
    found = list(labels.values()).count("present")
    assert area.answered == pytest.approx(found * PATCH, rel=1e-4)
    assert area.by_audit.low == pytest.approx((found + left.low) * PATCH, rel=1e-4)
    assert area.by_audit.high == pytest.approx((found + left.high) * PATCH, rel=1e-4)
    capsys.readouterr()
    assert owl(["predict", str(run.path)]) == 0
    said = capsys.readouterr().out
    assert (
        f"present: {area.hectares:.1f} ha in 1 place, {area.answered:.2f} ha of them answered"
        in said
    )
    assert "by the audit" in said and str(run.path / "predictions" / "areas.gpkg") in said


def test_in_words() -> None:
    area = TargetArea(1234.5, 0.0, 3, 0.4, Estimate(1000, 96.44, 2000))
    assert area_line(area, "pit") == (
        "pit: 1,234 ha in 3 places, 0 ha of them answered, the rest with a probability of 0.4 or "
        "more; by the audit 96.4 to 2,000 ha (95 %)"
    )


def test_a_place_that_was_answered_in_one_image_counts_as_answered_in_all(tmp_path) -> None:
    rng = np.random.default_rng(0)
    scenes = []
    for name in ("may", "june"):
        path = write_raster(tmp_path / f"{name}.tif", rng.random((2, 64, 64)).astype(np.float32))
        scenes.append({"name": name, "path": str(path)})
    source = {"kind": "geotiff", "scenes": scenes, "patch_size": 8, "same_ground": "keep"}
    run = owl_geo.init(tmp_path / "run", {"source": source, "model": {"head": "logistic"}}).run
    may = [patch for patch in run.patches["patch_id"] if patch.startswith("may/")]
    table = pd.DataFrame({"patch_id": may[:50], "label": ["present"] * 10 + ["absent"] * 40})
    table.to_csv(tmp_path / "answers.csv", index=False)
    owl_geo.import_answers(run, tmp_path / "answers.csv", annotator="ana")
    area = owl_geo.predict(run, threshold=1e-9).area
    assert area is not None
    # 14 places have no answer, in either image; 40 were answered as no target
    assert area.hectares == pytest.approx((10 + 14) * PATCH, rel=1e-3)
    assert area.answered == pytest.approx(10 * PATCH, rel=1e-3)
