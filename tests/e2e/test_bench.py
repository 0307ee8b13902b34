"""The benches measure what they say: a small run of the load generator against a real phone book."""

import shutil
from pathlib import Path

import pytest

from server.settings import ServerSettings
from tests.bench.book import SHIPPED, Book, Town, changes, name, watching, whois
from tests.bench.generator import Generator, LoadFailed, cycle, program

PEOPLE = 12


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    if shutil.which("cc") is None:
        pytest.skip("the load generator needs a C compiler")
    try:
        program("load")
    except LoadFailed as error:
        pytest.skip(str(error))
    return Town(tmp_path_factory.mktemp("bench") / "book", PEOPLE)


def test_look_ups_are_counted_one_by_one_and_pipelined(town: Town) -> None:
    everybody = range(1, PEOPLE + 1)
    with (
        Book(town) as book,
        Generator(book.target(town.resuming(everybody), whois(everybody)), PEOPLE) as load,
    ):
        served = book.busy()
        for report in (load.ask(1, 1, 0.2), load.ask(PEOPLE, 16, 0.2), load.pace(3, 100, 0.2)):
            assert report.completed > 0
            assert 0 < report.p50_us <= report.p99_us <= report.max_us
            assert 0 < report.busy <= 1.1
        assert report.completed <= 21
        assert book.busy() > served


def test_a_change_reaches_all_who_watch_and_everybody_comes_back_after_kill(town: Town) -> None:
    watchers = watching(town.resuming(range(2, PEOPLE + 1)), name(1))
    first = Book(town)
    target = first.target([*town.resuming([1]), *watchers], changes(), b'"presence"')
    with first, Generator(target, PEOPLE) as load:
        assert load.fan(4).completed == 4
        load.expect_storm()
        first.kill()
        with Book(town, port=first.port):
            assert load.report().completed == PEOPLE
            assert load.fan(2).completed == 2


def test_a_crowd_is_back_after_kill_under_the_limits_that_are_shipped(tmp_path: Path) -> None:
    """Twice as many at once as may be there without a login, each from an address of its own."""
    crowd = 2 * ServerSettings().max_unauthenticated
    town = Town(tmp_path / "book", crowd)
    first = Book(town, limits=SHIPPED)
    target = first.target(town.resuming(range(1, crowd + 1)))
    with first, Generator(target, crowd, per_address=1) as load:
        load.expect_storm()
        first.kill()
        with Book(town, port=first.port, limits=SHIPPED):
            assert load.report().completed == crowd


LOGIN_SECONDS = 5.0  # hashes give way to all else on the core, such as other tests


def test_logins_are_passwords_that_were_checked(town: Town) -> None:
    with Book(town) as book:
        report = cycle(book.target(town.logging_in(range(1, PEOPLE + 1))), 2, LOGIN_SECONDS)
        assert report.completed > 0
        assert report.p50_us > 1000, "an Argon2id hash takes longer than that"
