"""A batch in plain QGIS, with no plugin: it opens styled, offers the classes and takes answers."""

import os

import pytest
from qgis.core import (
    NULL,
    QgsCategorizedSymbolRenderer,
    QgsExpression,
    QgsExpressionContext,
    QgsExpressionContextUtils,
    QgsFeatureRequest,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.gui import QgsAttributeForm, QgsGui
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor, QImage
from qgis.PyQt.QtWidgets import QComboBox, QLineEdit

BATCHES = ["binary", "many", "one", "degrees", "quotes"]
NULL_IN_DROP_DOWN = "{2839923C-8B7D-419E-B84B-CA2FE9B80EC7}"


def column(layer, name):
    index = layer.fields().indexOf(name)
    assert index >= 0
    return index


def by_rank(layer):
    request = QgsFeatureRequest()
    request.addOrderBy('"rank"')
    return list(layer.getFeatures(request))


def answer(layer, labels):
    """Answer the first patches through the edit buffer, as the attribute form does."""
    assert layer.isEditable() or layer.startEditing()
    for feature, label in zip(by_rank(layer), labels):
        assert layer.changeAttributeValue(feature.id(), column(layer, "label"), label)
    assert layer.commitChanges(), layer.commitErrors()


@pytest.mark.parametrize("name", BATCHES)
def test_it_opens_with_all_patches(name, batch, open_layer, expected):
    layer = open_layer(batch(name))
    assert layer.crs().authid() == expected[name]["crs"]
    assert layer.featureCount() == len(expected[name]["patch_ids"])
    assert [feature["patch_id"] for feature in by_rank(layer)] == expected[name]["patch_ids"]
    assert layer.fields().field("urban").typeName() == "Boolean"


@pytest.mark.parametrize("name", BATCHES)
def test_it_is_coloured_by_label(name, batch, open_layer, expected):
    renderer = open_layer(batch(name)).renderer()
    assert isinstance(renderer, QgsCategorizedSymbolRenderer)
    assert renderer.classAttribute() == "label"
    labels = [*expected[name]["classes"], "unsure", "skip"]
    assert [category.value() for category in renderer.categories()] == [*labels, ""]
    legend = [category.label() for category in renderer.categories()]
    assert legend == [*labels, "not answered"]


@pytest.mark.parametrize("name", BATCHES)
def test_the_label_is_a_drop_down(name, batch, open_layer, expected):
    layer = open_layer(batch(name))
    setup = layer.editorWidgetSetup(column(layer, "label"))
    assert setup.type() == "ValueMap"
    entries = [item for entry in setup.config()["map"] for item in entry.items()]
    labels = [*expected[name]["classes"], "unsure", "skip"]
    assert entries == [
        ("(not answered)", NULL_IN_DROP_DOWN),
        *((label, label) for label in labels),
    ]


def test_only_the_answer_may_be_edited(batch, open_layer):
    layer = open_layer(batch("binary"))
    form = layer.editFormConfig()
    free = {f.name() for f in layer.fields() if not form.readOnly(column(layer, f.name()))}
    assert free == {"label", "annotator", "comment"}


def test_the_form_answers_and_takes_back(batch, open_layer):
    QgsGui.editorWidgetRegistry().initEditors()
    layer = open_layer(batch("binary"))
    for shown, stored in (("present", "present"), ("(not answered)", NULL)):
        layer.startEditing()
        form = QgsAttributeForm(layer, by_rank(layer)[0])
        label = form.findChild(QComboBox, "label")
        assert label.isEnabled()
        label.setCurrentIndex(label.findText(shown))
        comment = form.findChild(QLineEdit, "comment")
        comment.setText("by the river")
        assert form.save()
        assert layer.commitChanges(), layer.commitErrors()
        assert by_rank(layer)[0]["label"] == stored
        assert by_rank(layer)[0]["comment"] == "by the river"
        form.deleteLater()


def test_names_are_readable(batch, open_layer):
    layer = open_layer(batch("binary"))
    assert layer.attributeAlias(column(layer, "rank")) == "Rank"
    assert layer.attributeAlias(column(layer, "probability")) == "Probability of present"


@pytest.mark.parametrize("name", BATCHES)
def test_the_map_tip_evaluates(name, batch, open_layer):
    layer = open_layer(batch(name))
    feature = by_rank(layer)[0]
    context = QgsExpressionContext(QgsExpressionContextUtils.globalProjectLayerScopes(layer))
    context.setFeature(feature)
    text = QgsExpression.replaceExpressionText(layer.mapTipTemplate(), context)
    assert "Rank 1" in text
    assert "(not answered)" in text
    assert "forest" in text
    assert "[%" not in text
    title = QgsExpression(layer.displayExpression())
    assert title.evaluate(context) == "Rank 1: (not answered)"


def test_the_map_tip_shows_what_others_wrote_as_text(batch, open_layer):
    layer = open_layer(batch("binary"))
    feature = by_rank(layer)[0]
    feature.setAttribute("comment", "<img src='http://example.org'> & [% 1 + 1 %]")
    feature.setAttribute("land_cover", "<script>")
    context = QgsExpressionContext(QgsExpressionContextUtils.globalProjectLayerScopes(layer))
    context.setFeature(feature)
    text = QgsExpression.replaceExpressionText(layer.mapTipTemplate(), context)
    assert "&lt;img src='http://example.org'&gt; &amp; [% 1 + 1 %]" in text
    assert "&lt;script&gt;" in text


@pytest.mark.parametrize("name", BATCHES)
def test_answers_reach_the_core_while_the_layer_is_open_and_after(
    name, batch, open_layer, expected, read_from_outside
):
    path = batch(name)
    classes = expected[name]["classes"]
    layer = open_layer(path)
    n = layer.featureCount()
    wanted = [*classes, "unsure", "skip"][:n]
    layer.startEditing()
    canvas = layer.getFeatures()  # a map that is being drawn: with it the file stays in WAL mode
    next(canvas)
    answer(layer, wanted)

    assert path.with_name(path.name + "-wal").exists()
    seen = read_from_outside(path)
    assert seen["classes"] == classes
    assert [label for _, label, _ in seen["rows"]] == wanted + [None] * (n - len(wanted))

    canvas.close()
    del canvas, layer
    QgsProject.instance().clear()
    assert read_from_outside(path) == seen
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_an_answer_taken_back_is_null_again(batch, open_layer, read_from_outside):
    path = batch("binary")
    layer = open_layer(path)
    answer(layer, ["present", "absent"])
    answer(layer, [None])
    assert [row[1] for row in read_from_outside(path)["rows"]][:2] == [None, "absent"]


def test_each_label_shows_in_its_colour(batch, open_layer, expected):
    """Half the patches answered, drawn over a dark ground: only the frames have colours."""
    layer = open_layer(batch("many"))
    labels = [*expected["many"]["classes"], "unsure", "skip"]
    answer(layer, labels)
    image, settings = render(layer, QColor("#203018"))
    if os.environ.get("OWL_QGIS_PICTURE"):
        image.save(os.environ["OWL_QGIS_PICTURE"])
    to_pixel = settings.mapToPixel()
    seen = {}
    for feature in by_rank(layer):
        box = feature.geometry().boundingBox()
        at = to_pixel.transform(box.center())
        assert image.pixelColor(int(at.x()), int(at.y())).name() == "#203018"
        if feature["label"] in labels:
            edge = to_pixel.transform(box.xMinimum(), box.yMinimum())
            seen[feature["label"]] = {
                image.pixelColor(int(edge.x()) + 1, y).name()
                for y in range(int(at.y()) - 20, int(at.y()) + 20)
            }
    solid = {label: seen[label] for label in labels if label != labels[6]}
    assert all(len(colours) == 1 for colours in solid.values())
    assert len(set.union(*solid.values())) == len(solid)
    # the seventh class has the colour of the first, dashed, and the black line shows in its gaps
    assert solid[labels[0]] < seen[labels[6]]


def test_the_grid_of_a_run_opens_coloured_by_label(folder):
    layer = QgsVectorLayer(f"{folder / 'grid.gpkg'}|layername=patches", "grid", "ogr")
    assert layer.isValid() and layer.featureCount() == 9
    categories = layer.renderer().categories()
    assert layer.renderer().classAttribute() == "label"
    assert [one.value() for one in categories] == ["absent", "present", "unsure", "skip", ""]
    assert layer.attributeAlias(column(layer, "round")) == "Asked in round"
    by_id = {feature["patch_id"]: feature for feature in layer.getFeatures()}
    first, last = by_id["scene/0/0"], by_id["scene/64/64"]
    assert [first[name] for name in ("label", "annotators", "round")] == ["present", "ana, ben", 0]
    assert last["round"] == NULL and last["uncertainty"] == NULL and last["held_out"] is True
    context = QgsExpressionContext(QgsExpressionContextUtils.globalProjectLayerScopes(layer))
    context.setFeature(first)
    text = QgsExpression.replaceExpressionText(layer.mapTipTemplate(), context)
    assert "ana, ben" in text and "a &lt;b&gt;" in text and "[%" not in text
    image, settings = render(layer, QColor("#203018"))
    at = settings.mapToPixel().transform(last.geometry().boundingBox().center())
    assert image.pixelColor(int(at.x()), int(at.y())).name() == "#203018"  # imagery shows through


def render(layer, ground):
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(layer.crs())
    settings.setBackgroundColor(ground)
    settings.setOutputSize(QSize(900, 900))
    extent = QgsRectangle(layer.extent())
    extent.scale(1.1)
    settings.setExtent(extent)
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    return job.renderedImage(), settings
