"""The audit's chains: an honest log of any shape has no finding, and every change of it has one that names it."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillwatch.audit_chain import ChainCheck, Link, Report, digest, sealed

Row = tuple[bytes, str]


def log_of(writers: Sequence[str], before: Sequence[Row] = ()) -> list[Row]:
    """One entry for each name, written by it, as ``streams.audit`` writes them."""
    rows, heads = list(before), dict[str, Link]()
    for number, writer in enumerate(writers):
        newest = rows[-1][1] if rows else ""
        link = heads.get(writer) or Link(writer, 1, newest, len(rows))
        document = sealed({"actor": "tests", "target": f"acct-{number}"}, link)
        rows.append((document, digest(document)))
        heads[writer] = Link(writer, link.number + 1, digest(document))
    return rows


def checked(rows: Sequence[Row], first_sequence: int = 1, kept: dict[str, tuple[int, str]] | None = None) -> Report:
    check = ChainCheck(first_sequence, kept or {})
    for sequence, (document, sha256) in enumerate(rows, first_sequence):
        check.take(sequence, document, sha256)
    return check.report()


def troubles(report: Report) -> list[tuple[str, int]]:
    return [(finding.trouble, finding.sequence) for finding in report.findings]


ROWS = log_of(["a", "b", "a", "a", "b", "a", "c"])


@given(st.lists(st.sampled_from("abcd"), max_size=30))
def test_an_honest_log_is_intact_and_names_its_heads(writers: list[str]) -> None:
    report = checked(log_of(writers))
    assert report.intact
    assert {writer: number for writer, (number, _) in report.heads.items()} == {
        writer: writers.count(writer) for writer in set(writers)
    }


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=30), st.data())
def test_what_the_stream_forgot_by_age_is_no_finding(writers: list[str], data: st.DataObject) -> None:
    gone = data.draw(st.integers(0, len(writers) - 1))
    report = checked(log_of(writers)[gone:], first_sequence=gone + 1)
    assert report.intact


def test_a_changed_entry_is_named_by_its_place() -> None:
    document, sha256 = ROWS[2]
    forged = document.replace(b"acct-2", b"acct-9")
    assert troubles(checked([*ROWS[:2], (forged, sha256), *ROWS[3:]])) == [("changed", 3)]
    assert troubles(checked([*ROWS[:2], (forged, digest(forged)), *ROWS[3:]])) == [("changed", 3)]


def test_a_missing_entry_is_named_by_its_writer_and_number() -> None:
    report = checked([*ROWS[:3], *ROWS[4:]])
    assert troubles(report) == [("missing", 5)]
    assert "a, entry 3" in report.findings[0].sentence


def test_entries_that_changed_places_are_reordered_and_not_missing() -> None:
    report = checked([*ROWS[:2], ROWS[3], ROWS[2], *ROWS[4:]])
    assert troubles(report) == [("reordered", 4)]
    assert "Entry 2 of a stands behind its entry 3" in report.findings[0].sentence


def test_a_chain_that_vanished_as_a_whole_is_missed_by_the_one_that_followed_it() -> None:
    rows = log_of(["a", "b", "c"])
    assert [finding.trouble for finding in checked([rows[0], rows[2]]).findings] == ["missing"]


def test_an_entry_that_none_of_ours_wrote_is_foreign() -> None:
    forged = b'{"actor": "nobody"}'
    assert troubles(checked([*ROWS[:3], (forged, digest(forged)), *ROWS[3:]])) == [("foreign", 4)]
    garbage = [
        b"",
        b"[]",
        b"\xff",
        b'{"chain": 7}',
        b'{"chain": {"writer": 1, "number": "x", "previous": [], "after": 0}}',
    ]
    assert [t for t, _ in troubles(checked([*ROWS, *((raw, digest(raw)) for raw in garbage)]))] == ["foreign"] * 5


def test_entries_of_a_version_without_chains_are_counted_at_the_beginning() -> None:
    old = b'{"actor": "nobody"}'
    report = checked(log_of(["a", "a"], before=[(old, digest(old))]))
    assert report.intact
    assert report.unchained == 1


def test_an_append_whose_answer_was_lost_is_no_finding_stored_or_not() -> None:
    first = sealed({"target": "acct-1"}, Link("a", 1, ""))
    lost = sealed({"target": "acct-2"}, Link("a", 2, digest(first)))
    again = sealed({"target": "acct-3"}, Link("a", 2, digest(first)))
    after = sealed({"target": "acct-4"}, Link("a", 3, digest(again)))
    for stored in ([first, lost, again, after], [first, again, after]):
        assert checked([(document, digest(document)) for document in stored]).intact
    swapped = [(document, digest(document)) for document in (first, again, lost, after)]
    assert not checked(swapped).intact


def test_heads_that_were_kept_show_an_end_that_was_cut_off_or_written_anew() -> None:
    kept = dict(checked(ROWS).heads)
    assert checked(log_of(["a", "b", "a", "a", "b", "a", "c"] + ["a"] * 3), kept=kept).intact
    assert [t for t, _ in troubles(checked(ROWS[:-1], kept=kept))] == ["unknown head"]
    anew = log_of(["a", "b", "a", "a", "b", "a", "c"], before=[])
    document = anew[0][0].replace(b"acct-0", b"acct-7")
    rewritten = log_of(["a", "b", "a", "a", "b", "a", "c"][1:], before=[(document, digest(document))])
    assert "unknown head" in {t for t, _ in troubles(checked(rewritten, kept=kept))}


@pytest.mark.parametrize("seed", range(20))
def test_any_entry_taken_out_of_the_middle_of_its_chain_is_found(seed: int) -> None:
    rng = random.Random(seed)
    writers = [rng.choice("ab") for _ in range(40)]
    rows = log_of(writers)
    inner = [at for at in range(len(rows)) if writers[at] in writers[at + 1 :]]
    at = rng.choice(inner)
    assert not checked([*rows[:at], *rows[at + 1 :]]).intact


def test_findings_are_bounded() -> None:
    report = checked([*ROWS, *[(b"x", digest(b"x"))] * 1_500])
    assert (len(report.findings), report.more_findings) == (1_000, 500)
