"""A batch that was published in PostGIS, in plain QGIS with no plugin, opened by an annotator.

tests/plugin/test_store_qgis.py starts this with a server that is up: OWL_QGIS_FOLDER/expected.json has the
connections of ana and ben, the view and what stands in it.
"""

import pytest
from qgis.core import (
    NULL,
    QgsAbstractDatabaseProviderConnection,
    QgsCategorizedSymbolRenderer,
    QgsDataSourceUri,
    QgsProject,
    QgsProviderRegistry,
    QgsVectorLayer,
)


@pytest.fixture
def open_as(expected):
    """Open the view as a role, in a connection of its own."""

    def open_as(role):
        uri = QgsDataSourceUri()
        uri.setConnection(
            "127.0.0.1", str(expected["port"]), expected["database"], role, expected["password"]
        )
        uri.setDataSource("owl_geo", expected["layer"], "geom", "", "fid")
        layer = QgsVectorLayer(uri.uri(False), role, "postgres")
        assert layer.isValid(), layer.error().message()
        QgsProject.instance().addMapLayer(layer)
        return layer

    return open_as


def column(layer, name):
    index = layer.fields().indexOf(name)
    assert index >= 0, name
    return index


def by_fid(layer):
    return {feature["fid"]: feature for feature in layer.getFeatures()}


def change(layer, fid, **values):
    """Change a feature as a form does; returns the errors, none where it was stored."""
    assert layer.startEditing()
    feature = by_fid(layer)[fid]
    for name, value in values.items():
        assert layer.changeAttributeValue(feature.id(), column(layer, name), value)
    if layer.commitChanges():
        return []
    errors = layer.commitErrors()
    assert layer.rollBack()
    return errors


def test_the_layer_is_whole(open_as, expected):
    layer = open_as("ana")
    assert layer.crs().authid() == "EPSG:32631"
    assert layer.featureCount() == len(expected["patch_ids"])
    assert [by_fid(layer)[i + 1]["patch_id"] for i in range(4)] == expected["patch_ids"]
    assert layer.primaryKeyAttributes() == [column(layer, "fid")]
    box = by_fid(layer)[1].geometry().boundingBox()
    assert (box.xMinimum(), box.yMaximum()) == (5e5, 5.6e6)
    assert layer.fields().field("urban").typeName() == "bool"


def test_the_browser_offers_it_with_its_key(open_as, expected):
    uri = QgsDataSourceUri(open_as("ana").source())
    metadata = QgsProviderRegistry.instance().providerMetadata("postgres")
    connection = metadata.createConnection(uri.connectionInfo(False), {})
    tables = connection.tables("owl_geo", QgsAbstractDatabaseProviderConnection.Vector)
    found = {table.tableName(): table for table in tables}
    table = found[expected["layer"]]
    assert table.primaryKeyColumns()[:1] == ["fid"]
    assert table.geometryColumn() == "geom"
    assert set(found) == {expected["layer"]}  # none of the tables behind it


def test_it_opens_in_the_style_of_a_batch(open_as):
    layer = open_as("ana")
    renderer = layer.renderer()
    assert isinstance(renderer, QgsCategorizedSymbolRenderer)
    assert renderer.classAttribute() == "label"
    legend = [category.label() for category in renderer.categories()]
    assert legend == ["absent", "present", "unsure", "skip", "not answered"]
    setup = layer.editorWidgetSetup(column(layer, "label"))
    assert setup.type() == "ValueMap"
    shown = [name for entry in setup.config()["map"] for name in entry]
    assert shown == ["(not answered)", "absent", "present", "unsure", "skip"]
    assert layer.attributeAlias(column(layer, "rank")) == "Rank"
    form = layer.editFormConfig()
    free = {f.name() for f in layer.fields() if not form.readOnly(column(layer, f.name()))}
    assert free == {"label", "annotator", "comment", "lease"}


def test_answers_are_stored_and_shown(open_as):
    layer = open_as("ana")
    assert change(layer, 1, label="present", comment="by the river") == []
    seen = by_fid(open_as("ben"))[1]
    assert (seen["label"], seen["annotator"]) == ("present", "ana")
    assert seen["comment"] == "by the river"
    assert change(layer, 1, label=None) == []
    assert by_fid(open_as("ben"))[1]["label"] == NULL


def test_what_is_refused_says_why(open_as):
    ana, ben = open_as("ana"), open_as("ben")
    assert change(ben, 2, lease="take") == []
    assert by_fid(ana)[2]["lease"].startswith("ben until ")
    errors = " ".join(change(ana, 2, label="present"))
    assert "patch scene/0/32 is being labelled by ben until " in errors
    assert "take it over, or choose another" in errors
    assert change(ana, 2, lease="take over") == []
    assert change(ana, 2, label="present") == []
    assert by_fid(ben)[2]["annotator"] == "ana"
    assert "cannot be labelled 'mine'" in " ".join(change(ana, 3, label="mine"))
    assert by_fid(ben)[3]["label"] == NULL
