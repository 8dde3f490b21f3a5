"""Commands that are killed, and given again: what comes out is as if nothing had happened."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from contents import contents, differences
from forks import Done, Forks, spread
from stages import Stage, begin, make_stages

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks and kills processes")

AT_LEAST = 50  # kills in this file


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    server = Forks(tmp_path_factory.mktemp("kills"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def stages(forks: Forks) -> dict[str, Stage]:
    return make_stages(forks)


def assert_goes_on(forks: Forks, stage: Stage, what: str) -> None:
    """Give the command again and compare with the undisturbed one, hidden files too."""
    again = forks.run(*stage.arguments)
    run = forks.folder / "run"
    if stage.arguments[0] == "init" and "already holds a run" in again.err:
        assert again.code == 1  # it was done
    else:
        assert again.code == 0, f"killed at {what}: {again.err}"
    wrong = differences(contents(run), contents(stage.after))
    assert wrong == [], f"killed at {what}"
    assert list(forks.folder.glob(".*")) == [], f"killed at {what}"


COMMANDS = ("init", "query", "ingest", "train", "predict", "add", "update")


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_where_the_disk_changes(name: str, forks: Forks, stages: dict[str, Stage]) -> None:
    stage = stages[name]
    for n in spread(len(stage.undisturbed.instants), 7):
        begin(forks, stage)
        killed = forks.run(*stage.arguments, kill_at=n)
        assert killed.killed, killed.err
        assert_goes_on(forks, stage, f"{n}: {killed.instants[-1]}")


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_any_time(name: str, forks: Forks, stages: dict[str, Stage]) -> None:
    """Between those instants, GDAL and SQLite write too."""
    stage = stages[name]
    begin(forks, stage)
    seconds = forks.run(*stage.arguments).seconds  # the first time, modules were loaded
    rng = np.random.default_rng([3, COMMANDS.index(name)])
    for share in rng.random(2):
        begin(forks, stage)
        killed = forks.run(*stage.arguments, kill_after=share * seconds)
        assert killed.killed or killed.code == 0, killed.err
        assert_goes_on(forks, stage, f"{share:.0%}")


@pytest.mark.parametrize("name", ["query", "predict"])
def test_killed_again_and_again(name: str, forks: Forks, stages: dict[str, Stage]) -> None:
    """Each time a little later, from what the killed one before it has left."""
    stage = stages[name]
    begin(forks, stage)
    n = 1
    while (done := forks.run(*stage.arguments, kill_at=n)).killed:
        n += 4
    assert done.code == 0, done.err
    assert n > 10
    assert_goes_on(forks, stage, "many instants")


def test_a_simulated_search_killed_again_and_again(forks: Forks) -> None:
    """Ends with the table, the batches, the answers and the models of an undisturbed one."""
    search = (
        "run",
        "--source",
        "synthetic",
        "--model",
        "cnn",
        "--n-samples",
        80,
        "--image-size",
        8,
    )
    search = (*search, "--initial", 6, "--rounds", 2, "--batch-size", 4, "--out")
    whole = forks.run(*search, "whole")
    assert whole.code == 0, whole.err
    seconds = forks.run(*search, "warm").seconds  # the first had to import things
    rng = np.random.default_rng(7)
    kills = 0
    # sooner than it ends at first, then later and later, so that it comes to its end
    while (
        done := forks.run(
            *search, "killed", kill_after=seconds * rng.uniform(0.2, 0.8) * 1.2**kills
        )
    ).killed:
        kills += 1
        assert kills < 40
    assert kills > 0
    again = forks.run(*search, "killed")
    assert (done.code, again.code) == (0, 0), done.err + again.err
    assert table(again) == table(whole)
    ours, theirs = (contents(forks.folder / n, hours=False) for n in ("killed", "whole"))
    assert differences(ours, theirs) == []


def table(done: Done) -> list[str]:
    return [line for line in done.out.splitlines() if "|" in line]


def test_there_were_many_kills(
    forks: Forks, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    ran = [item for item in request.session.items if item.path == request.path]
    if len(ran) < 2 * len(COMMANDS) + 4:
        pytest.skip("only a part of this file was run")
    record_property("kills", forks.kills)
    print(f"{forks.kills} kills survived")
    assert forks.kills >= AT_LEAST
