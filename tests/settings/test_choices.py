"""Names that owl.toml takes: registered once, and refused or used wherever they can be typed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import tomlkit
import torch
from safetensors import safe_open
from searches import over
from strangers import Owl

from owl_geo import OwlError, Run
from owl_geo.cli import cli
from owl_geo.cli.options import OneOf as OneOfAnOption
from owl_geo.settings import choices, owl_toml
from owl_geo.settings.choices import Choice, HeadChoice, ModelChoice
from owl_geo.settings.sections import OneOf, Section

TABLES = {
    "uncertainty.measure": choices.MEASURES,
    "model.kind": choices.MODELS,
    "model.head": choices.HEADS,
    "acquisition.strategy": choices.STRATEGIES,
    "acquisition.start": choices.STARTS,
    "acquisition.relevance": choices.RELEVANCE,
    "acquisition.diversity": choices.DIVERSITY,
}
SMALL = ("--source", "synthetic", "--n-samples", 60, "--image-size", 8, "--n-bands", 2)


@pytest.fixture
def owl(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Owl:
    return Owl(tmp_path, capfd)


# --- what is registered ---------------------------------------------------------------------------


@pytest.mark.parametrize("setting", TABLES)
def test_every_name_leads_to_something(setting: str) -> None:
    for choice in TABLES[setting].values():
        assert choice.implementation is not None


def test_the_help_of_compare_names_every_group_of_strategies() -> None:
    (option,) = (one for one in cli.commands["compare"].params if one.name == "strategies")
    for name, group in choices.STRATEGY_GROUPS.items():
        assert name in option.help
        assert all(contestant.name for contestant in group.implementation)


def test_an_unknown_name_is_refused_by_a_room_too() -> None:
    with pytest.raises(ValueError, match="no choice 'entropi'; did you mean 'entropy'"):
        choices.chosen(choices.MEASURES, "entropi")


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        (
            "model.kind",
            "statistcs",
            "model.kind is 'statistcs', but it should be 'statistics', 'embedding', 'cnn', "
            "'resnet18' or 'efficientnet_b0'; did you mean 'statistics'?",
        ),
        (
            "model.head",
            "x",
            "model.head is 'x', but it should be 'blend', 'committee', 'forest', 'gp', "
            "'logistic' or 'mlp'",
        ),
        (
            "uncertainty.measure",
            ["entropy"],
            "uncertainty.measure is ['entropy'], but it should be 'entropy', 'margin', "
            "'least_confidence' or 'mutual_information'",
        ),
        (
            "acquisition.start",
            3,
            "acquisition.start is 3, but it should be 'typical', 'relevance' or 'random'",
        ),
        (
            "acquisition.relevance",
            "learnt",
            "acquisition.relevance is 'learnt', but it should be 'learned' or 'fixed'; did you "
            "mean 'learned'?",
        ),
        (
            "acquisition.diversity",
            "kmeans",
            "acquisition.diversity is 'kmeans', but it should be 'none', 'cluster', 'kmeans++' or "
            "'sample'; did you mean 'kmeans++'?",
        ),
        (
            "acquisition.strategy",
            "discvery",
            "acquisition: no strategy 'discvery'; did you mean 'discovery'?",
        ),
    ],
)
def test_a_name_that_is_not_registered_is_one_line(setting: str, value: Any, said: str) -> None:
    table, name = setting.split(".")
    with pytest.raises(OwlError) as caught:
        owl_toml.parse({"source": {"kind": "synthetic"}, table: {name: value}}, "owl.toml")
    assert str(caught.value) == f"owl.toml: {said}"


def test_options_take_the_tables_that_the_settings_take() -> None:
    of_settings = {
        id(one.choices)
        for section in Section.__subclasses__()
        for field in section.model_fields.values()
        for one in field.metadata
        if isinstance(one, OneOf)
    }
    of_options = {
        parameter.name: parameter.type._registered
        for parameter in cli.commands["init"].params
        if isinstance(parameter.type, OneOfAnOption)
    }
    assert set(of_options) == {"model", "head", "start", "preset"}
    for name in ("model", "head", "start"):
        assert id(of_options[name]) in of_settings


def test_the_comment_beside_a_setting_lists_the_names() -> None:
    text = owl_toml.dump(owl_toml.parse({"source": {"kind": "synthetic"}}, "test"))
    for setting, table in TABLES.items():
        section, name = setting.split(".")
        after = text.partition(f"[{section}]\n")[2]
        comment = next(line for line in after.splitlines() if line.startswith(f"{name} = "))
        assert all(word in comment.partition("#")[2] for word in table)


# --- one more of each -----------------------------------------------------------------------------


def header(path: Path) -> dict[str, Any]:
    with safe_open(str(path), framework="np") as file:
        return json.loads(file.metadata()["owl_geo"])


def batch(run: Run, number: int) -> gpd.GeoDataFrame:
    return gpd.read_file(run.files.batch(number), layer="batch")


def model(run: Run) -> dict[str, Any]:
    return header(run.files.model(len(run.rounds()) - 1))


TRIALS: dict[str, tuple[Choice, dict[str, Any], Callable[[Run], bool]]] = {
    "uncertainty.measure": (
        Choice("trials:MEASURE"),
        {},
        lambda run: (batch(run, 1)["uncertainty"] == 0.125).all(),
    ),
    "model.head": (
        HeadChoice("trials:HEAD"),
        {},
        lambda run: batch(run, 1)["probability"].isin([0.75]).all(),
    ),
    "model.head by gradient": (
        HeadChoice("trials:FeatureNetwork", by_gradient=True),
        {"uncertainty": {"members": "dropout"}},
        lambda run: model(run)["kind"] == "trial",
    ),
    "model.kind": (
        ModelChoice("trials:Network"),
        {},
        lambda run: model(run)["kind"] == "trial",
    ),
    "model.kind on features": (
        ModelChoice("trials:Brightness", on_features=True),
        {},
        lambda run: model(run)["features"] == ["brightness"],
    ),
    "model.kind backbone": (
        ModelChoice("trials:BACKBONE", is_backbone=True),
        {},
        lambda run: model(run)["kind"] == "trial",
    ),
    "model.kind frozen": (
        ModelChoice("trials:BACKBONE", is_backbone=True),
        {"model": {"frozen": True}},
        lambda run: model(run)["features"] == ["trial_0", "trial_1", "trial_2"],
    ),
    "acquisition.strategy": (
        Choice("trials:backwards"),
        {},
        lambda run: batch(run, 1)["patch_id"].tolist() == last_of(run, 10),
    ),
    "acquisition.start": (
        Choice("trials:START"),
        {},
        lambda run: (
            list(run.rounds()[0].patch_ids)
            == run.patches["patch_id"][~run.truth["held_out"]][:20].tolist()
        ),
    ),
    "acquisition.relevance": (
        Choice("trials:RELEVANCE"),
        {},
        lambda run: (batch(run, 1)["relevance"] == 5.0).all(),
    ),
    "acquisition.diversity": (
        Choice("trials:DIVERSITY"),
        {"acquisition": {"strategy": "uncertainty"}},
        lambda run: batch(run, 1)["score"].is_monotonic_increasing,
    ),
}


OPTIONS = {
    "model.head": "--head",
    "model.kind": "--model",
    "acquisition.strategy": "--strategy",
    "acquisition.start": "--start",
}


def last_of(run: Run, count: int) -> list[str]:
    asked = set(run.rounds()[0].patch_ids)
    free = run.patches["patch_id"][~run.truth["held_out"]]
    return [patch for patch in free if patch not in asked][::-1][:count]


@pytest.mark.parametrize("case", TRIALS)
def test_one_more_needs_its_room_and_one_line(
    case: str, owl: Owl, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice, others, is_used = TRIALS[case]
    setting = case.split()[0]
    table, name = setting.split(".")
    monkeypatch.setitem(TABLES[setting], "trial", choice)
    values = over({"acquisition": {"audit_share": 0.0}}, **others)
    values = over(values, **{table: {name: "trial"}})
    path = owl.folder / "run"
    option = (OPTIONS[setting], "trial") if setting in OPTIONS else ()
    if option:
        del values[table][name]
    more = tomlkit.dumps({"oracle": {}, **values})
    (owl.folder / "more.toml").write_text(more, encoding="utf-8")
    owl("init", path, *SMALL, "--config", owl.folder / "more.toml", "--rounds", 1, *option).done()
    owl("run", path, "--device", "cpu").done()
    assert is_used(Run(path))
    owl("predict", path, "--device", "cpu").done()


def test_a_trial_is_in_the_documentation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "docs")
    monkeypatch.setitem(choices.MEASURES, "trial", Choice("trials:MEASURE"))
    monkeypatch.setitem(choices.HEADS, "trial", HeadChoice("trials:HEAD"))
    hooks = import_module("hooks")
    assert '`"mutual_information"`, `"trial"`' in hooks.settings()
    assert '`"mlp"`, `"trial"`' in hooks.settings()
    assert "mlp | trial]" in hooks.commands()


# --- a measure and the members that it is given ---------------------------------------------------

MEMBERS = ("single", "dropout", "ensemble")
GIVEN = {  # by model and head: members of one model, where it is fitted anew; networks give one
    **{("statistics", head): n for head, n in (("blend", 2), ("committee", 2), ("forest", 5))},
    **{("statistics", head): 1 for head in ("gp", "logistic", "mlp")},
    ("cnn", "blend"): 1,
}


def n_members(run: Run) -> int:
    """How many opinions the last round's model has of a patch."""
    search = run.search(torch.device("cpu"))
    answers = run.answers(run.labels.history(), 0, run.rounds())
    learner = search.resumed(run.files.model(1))
    search.learn(learner, answers, 2)
    return len(search.members(learner, np.arange(5), 2))


def by_gradient(kind: str, head: str) -> bool:
    return kind == "cnn" or head == "mlp"


@pytest.mark.parametrize("members", MEMBERS)
@pytest.mark.parametrize(("kind", "head"), GIVEN)
def test_a_measure_that_says_nothing_of_its_members_is_refused(
    kind: str, head: str, members: str, owl: Owl
) -> None:
    path, more = owl.folder / "run", owl.folder / "more.toml"
    text = f'[uncertainty]\nmembers = "{members}"\npasses = 3\nensemble_size = 2\n'
    more.write_text("[oracle]\n" + text + 'measure = "mutual_information"\n', encoding="utf-8")
    arguments = (path, *SMALL, "--model", kind, "--rounds", 1, "--config", more)
    arguments += () if kind == "cnn" else ("--head", head)
    if members == "dropout" and not by_gradient(kind, head):
        line = owl("init", *arguments).refusal()
        assert "uncertainty.members is dropout, but the head" in line
        return
    if members != "single" or GIVEN[kind, head] > 1:
        owl("init", *arguments).done()
        owl("run", path, "--device", "cpu").done()
        run = Run(path)
        assert (batch(run, 1)["uncertainty"] > 0).any()
        several = {"single": GIVEN[kind, head], "dropout": 3, "ensemble": 2}[members]
        assert n_members(run) == several
        return
    ways = "ensemble or dropout" if by_gradient(kind, head) else "ensemble"
    ways += "" if kind == "cnn" else ", or model.head to blend, committee or forest"
    named = f"--model {kind}" if kind == "cnn" else f"--head {head}"
    wanted = "uncertainty.measure is mutual_information, which compares members, but {} with "
    wanted += f"uncertainty.members single gives 1; set uncertainty.members to {ways}"
    assert owl("init", *arguments).refusal() == f"error: {wanted.format(named)}"
    # edited into the run, it is refused by the next command
    more.write_text(text, encoding="utf-8")
    owl("init", *arguments).done()
    settings = path / "owl.toml"
    before = settings.read_text(encoding="utf-8")
    after = before.replace('measure = "entropy"', 'measure = "mutual_information"')
    settings.write_text(after, encoding="utf-8")
    setting = named.replace("--model", "model.kind").replace("--head", "model.head")
    for command in ("status", "query"):
        assert wanted.format(setting) in owl(command, path).refusal()


def test_dropout_members_need_dropout() -> None:
    values = {"source": {"kind": "synthetic"}, "model": {"kind": "cnn", "dropout": 0.0}}
    with pytest.raises(OwlError, match=r"members is dropout, but model\.dropout is 0; raise it"):
        owl_toml.parse({**values, "uncertainty": {"members": "dropout"}}, "owl.toml")


def test_to_judge_by_members_imports_nothing_heavy() -> None:
    code = (
        "import sys; from owl_geo.settings.owl_toml import parse;"
        "parse({'source': {'kind': 'synthetic'}, 'model': {'head': 'forest'},"
        " 'uncertainty': {'measure': 'mutual_information'}}, 'here');"
        "sys.exit(bool({'torch', 'sklearn', 'rasterio'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
