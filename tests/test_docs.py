"""What README and DESIGN say is there, is there."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
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


def every_command(group: click.Group) -> Iterator[click.Command]:
    for command in group.commands.values():
        yield command
        if isinstance(command, click.Group):
            yield from every_command(command)


def test_options_in_running_text_exist() -> None:
    known = {
        option
        for command in every_command(cli)
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
    }
    assert set(re.findall(r"`(--[a-z-]+)", README)) <= known


@pytest.mark.parametrize("text", blocks("toml"))
def test_what_readme_says_of_owl_toml_is_valid(text: str) -> None:
    scenes = [{"name": "s", "path": "s.tif"}]
    values = tomllib.loads(text)
    parse({"source": {"kind": "geotiff", "scenes": scenes}, **values}, "README")


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


def test_the_layers_are_told_as_they_are_held() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    held = contracts["importlinter"]["contracts"][0]["layers"]
    told = re.findall(r"^    ([a-z_ |]+)$", owl_geo.__doc__ or "", flags=re.MULTILINE)
    assert told == held
