"""What README and DESIGN say is there, is there."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

import owl_geo
from owl_geo.cli import cli
from owl_geo.owl_toml import parse

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DESIGN = (ROOT / "DESIGN.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[str]:
    """Every owl-geo command line in README, in code blocks and in running text."""
    lines = "\n".join(blocks("sh")).replace("\\\n", " ").splitlines()
    inline = re.findall(r"`(owl-geo [^`]+)`", README)
    return [line for line in [*lines, *inline] if line.startswith("owl-geo ")]


@pytest.mark.parametrize("line", commands())
def test_every_command_and_option_exists(line: str) -> None:
    _, name, *rest = shlex.split(line, comments=True)
    command = cli.commands[name]
    if isinstance(command, click.Group):
        command, rest = command.commands[rest[0]], rest[1:]
    known = {
        option
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
    }
    assert {word for word in rest if word.startswith("-")} <= known


def test_options_in_running_text_exist() -> None:
    known = {
        option
        for command in cli.commands.values()
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
    }
    assert set(re.findall(r"`(--[a-z-]+)", README)) <= known


def test_the_concepts_in_readme_are_valid() -> None:
    (text,) = blocks("toml")
    scenes = [{"name": "s", "path": "s.tif"}]
    settings = parse({"source": {"kind": "geotiff", "scenes": scenes}, **tomllib.loads(text)}, "md")
    assert set(settings.concepts) == {"dist_landfill", "near_landfill", "cover"}


def test_the_python_names_in_readme_exist() -> None:
    named = set(re.findall(r"owl_geo\.(\w+)", "\n".join(blocks("python"))))
    assert named
    assert named <= set(owl_geo.__all__)


def test_make_targets_in_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"make (\w+) ", README):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_the_modules_in_design_exist() -> None:
    house = DESIGN.split("```")[1]
    for name in re.findall(r"^[a-z_]+\.py|(?<= )[a-z_]+\.py", house, flags=re.MULTILINE):
        assert list((ROOT / "owl_geo").rglob(name)), name
    for name in re.findall(r"^([a-z_]+)/", house, flags=re.MULTILINE):
        assert list(ROOT.glob(name)) or list((ROOT / "owl_geo").glob(name)), name
