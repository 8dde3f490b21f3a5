"""The pool's work by threads, by a cluster, and by a cluster that loses a worker: all the same."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasters
import searches
import torch

from owl_geo import Run, SyntheticSource, ingest, predict, query
from owl_geo.cli import cli
from owl_geo.errors import ClusterError, SourceError
from owl_geo.evaluation.simulate import run as simulate
from owl_geo.learners.scoring import predict_members
from owl_geo.models import checkpoint
from owl_geo.settings.sources import SceneSettings, ViewSettings
from owl_geo.sources.base import PatchSource, read_at
from owl_geo.sources.geotiff import GeoTiffSource
from owl_geo.sources.views.measuring import with_views
from owl_geo.sources.views.opening import open_views
from owl_geo.types import IntArray
from owl_geo.work import cluster
from owl_geo.work.workers import Threads, Workers, pieces

distributed = pytest.importorskip("distributed")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def two() -> Iterator[distributed.Client]:
    """A cluster of two processes of this machine."""
    before = os.environ.get("OMP_NUM_THREADS")
    with (
        cluster.local_cluster(2) as local,
        distributed.Client(local) as client,
    ):
        # training in this process would change by it
        assert os.environ.get("OMP_NUM_THREADS") == before
        yield client


class Slow:
    """Says who did an item, and what the answer is."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, item: int) -> tuple[int, int]:
        time.sleep(self.seconds)
        return item * item, os.getpid()


class Failing:
    def __call__(self, item: int) -> int:
        if item == 3:
            raise SourceError("the third scene is broken; restore it")
        return item


def kinds(two: distributed.Client) -> list[Workers]:
    return [Threads(1), Threads(3), cluster.DaskWorkers(two)]


def test_results_come_in_the_order_of_the_items(two: distributed.Client) -> None:
    for workers in kinds(two):
        assert [square for square, _ in workers.map(Slow(0.0), range(40))] == [
            i * i for i in range(40)
        ]
        assert list(workers.map(Slow(0.0), [])) == []


def test_an_error_is_raised_where_the_results_are_taken(two: distributed.Client) -> None:
    for workers in kinds(two):
        results = workers.map(Failing(), range(1000))
        assert [next(results) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(SourceError, match="the third scene is broken"):
            next(results)


def test_both_processes_work(two: distributed.Client) -> None:
    pids = {pid for _, pid in cluster.DaskWorkers(two).map(Slow(0.02), range(30))}
    assert len(pids) == 2
    assert os.getpid() not in pids


@pytest.mark.parametrize(("n", "expected"), [(0, 0), (50, 1), (1000, 16), (200_000, 80)])
def test_pieces_hold_every_position_once(n: int, expected: int) -> None:
    positions = np.arange(0, 2 * n, 2)
    found = pieces(positions, np.arange(0, 2 * n + 1, 5000))
    assert np.array_equal(np.concatenate([positions[:0], *found]), positions)
    assert len(found) == expected


def test_pieces_of_a_large_pool_end_where_blocks_do() -> None:
    starts = np.array([0, 100, 5000, 5001, 9000, 60_000])
    found = pieces(np.arange(100_000), starts)
    assert [int(piece[0]) for piece in found] == [0, 5000, 9000, 60_000]


def scene(tmp_path: Path) -> GeoTiffSource:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 4000, (3, 320, 320)).astype("uint16")
    path = rasters.write_raster(
        tmp_path / "s.tif", pixels, tiled=True, blockxsize=64, blockysize=64
    )
    return GeoTiffSource(path, patch_size=8)


def viewed(tmp_path: Path) -> PatchSource:
    pixels = np.random.default_rng(1).random((2, 90, 90)).astype("float32")
    path = rasters.write_raster(tmp_path / "old.tif", pixels, pixel=37)
    view = ViewSettings(scenes=(SceneSettings(name="o", path=str(path)),))
    return with_views(scene(tmp_path), open_views({"old": view}), seed=0)[0]


def test_sources_read_the_same_in_another_process(two: distributed.Client, tmp_path: Path) -> None:
    sources: list[PatchSource] = [
        scene(tmp_path),
        SyntheticSource(300, 8, 2, signal=0.5),
        viewed(tmp_path),
    ]
    for source in sources:
        positions = np.arange(0, len(source.index), 7)
        there = next(cluster.DaskWorkers(two).map(Reading(source), [positions]))
        assert np.array_equal(there, read_at(source, positions))


class Reading:
    def __init__(self, source: PatchSource) -> None:
        self.source = source

    def __call__(self, positions: IntArray) -> np.ndarray:
        return read_at(self.source, positions)


@pytest.mark.parametrize("passes", [0, 5], ids=["once", "dropout"])
def test_a_network_says_the_same_bit_for_bit(
    two: distributed.Client, tmp_path: Path, passes: int
) -> None:
    source = scene(tmp_path)
    spec = checkpoint.ModelSpec("cnn", source.bands, ("absent", "present"), 8, 0.5)
    model = checkpoint.build(spec, seed=0)
    positions = np.arange(len(source.index))
    said = [
        predict_members(
            [model], source, positions, passes=passes, seed=4, device=CPU, workers=workers
        )
        for workers in kinds(two)
    ]
    assert said[0].shape == (max(passes, 1), 1600, 2)
    assert np.array_equal(said[0], said[1])
    assert np.array_equal(said[0], said[2])


TABLES = [
    {},
    {"model": {"kind": "cnn"}, "uncertainty": {"members": "dropout"}},
    {"model": {"kind": "resnet18", "frozen": True}},
]


@pytest.mark.parametrize("tables", TABLES, ids=["statistics", "cnn", "resnet18"])
def test_a_search_asks_the_same_with_and_without_a_cluster(
    two: distributed.Client, tmp_path: Path, tables: dict
) -> None:
    asked = []
    for number, workers in enumerate([Threads(2), cluster.DaskWorkers(two)]):
        run = searches.make(tmp_path / str(number), oracle={}, loop={"rounds": 2}, **tables)
        asked.append([entry.patch_ids for entry in simulate(run, workers=workers)])
    assert asked[0] == asked[1]
    assert [len(batch) for batch in asked[0]] == [6, 4, 4, 0]


def test_a_killed_worker_changes_nothing(two: distributed.Client) -> None:
    results = cluster.DaskWorkers(two).map(Slow(0.05), range(60))
    found = [next(results) for _ in range(5)]
    victim = found[-1][1]
    os.kill(victim, signal.SIGKILL)
    found += list(results)
    assert [square for square, _ in found] == [i * i for i in range(60)]
    assert victim not in {pid for _, pid in found[-10:]}


def test_losing_every_worker_at_once_changes_nothing(two: distributed.Client) -> None:
    two.wait_for_workers(2, timeout=60)
    results = cluster.DaskWorkers(two).map(Slow(0.05), range(60))
    found = [next(results) for _ in range(5)]
    for worker in two.run(os.getpid).values():
        os.kill(worker, signal.SIGKILL)
    found += list(results)
    assert [square for square, _ in found] == [i * i for i in range(60)]


def test_query_on_a_cluster_by_the_command_line(
    two: distributed.Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []
    for name, options in [("a", []), ("b", ["--cluster", two.scheduler.address])]:
        searches.make(tmp_path / name)
        cli.main(["query", str(tmp_path / name), *options], standalone_mode=False)
        assert Path(capsys.readouterr().out.splitlines()[-1]).exists()
        asked.append([entry.patch_ids for entry in Run(tmp_path / name).rounds()])
    assert asked[0] == asked[1]


def test_no_cluster_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_PATIENCE", 1)
    with (
        pytest.raises(ClusterError, match=r"no cluster at tcp://127.0.0.1:9: .*; use local, or"),
        cluster.opened("tcp://127.0.0.1:9"),
    ):
        pass


def test_maps_made_on_a_cluster_are_the_same(two: distributed.Client, tmp_path: Path) -> None:
    run = searches.make(tmp_path / "r")
    asked = query(run).patch_ids
    searches.label(run.batch_path(0), dict(zip(asked, ["absent", "present"] * 3, strict=True)))
    ingest(run, [run.batch_path(0)], annotator="ana")
    tables = []
    for name, workers in [("here", Threads(2)), ("there", cluster.DaskWorkers(two))]:
        predict(run, out=tmp_path / name, workers=workers)
        tables.append(pd.read_parquet(tmp_path / name / "patches" / "synthetic.parquet"))
    pd.testing.assert_frame_equal(tables[0], tables[1], check_exact=True)


def test_a_cluster_without_workers_or_without_what_they_need_is_one_line(
    two: distributed.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ClusterError, match="No module named 'nowhere'; install the same owl-geo"):
        list(cluster.DaskWorkers(two).map(Lacking(), [1]))
    monkeypatch.setattr(cluster, "_PATIENCE", 1)
    with (
        cluster.local_cluster(0) as empty,
        distributed.Client(empty) as client,
        pytest.raises(ClusterError, match="has no worker that answers; start one"),
    ):
        list(cluster.DaskWorkers(client).map(abs, [1]))


class Lacking:
    def __call__(self, item: int) -> int:
        import nowhere

        return nowhere.function(item)


@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 400 Bad Request"], ids=["silent", "http"])
def test_what_listens_and_is_no_scheduler_is_one_line(
    greeting: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_GREETING", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"

        def answer() -> None:
            there, _ = server.accept()
            with there:
                there.sendall(greeting)
                time.sleep(1)

        thread = threading.Thread(target=answer)
        thread.start()
        with (
            pytest.raises(ClusterError, match=f"what answers at {address} is not a Dask"),
            cluster.opened(address),
        ):
            pass
        thread.join()
