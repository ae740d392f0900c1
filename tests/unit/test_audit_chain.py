"""The audit's chains: an honest log of any shape has no finding, and every change of it has one that names it."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillwatch.audit_chain import ChainCheck, Head, Link, Report, digest, sealed

Row = tuple[bytes, str]


def log_of(writers: Sequence[str], before: Sequence[Row] = ()) -> list[Row]:
    """One entry for each name, written by it, as ``streams.audit`` writes them."""
    rows, heads = list(before), dict[str, Link]()
    for number, writer in enumerate(writers):
        newest = rows[-1][1] if rows else ""
        link = heads.get(writer) or Link(writer, 1, newest, len(rows))
        document = sealed({"actor": "tests", "target": f"acct-{number}"}, link)
        rows.append((document, digest(document)))
        heads[writer] = Link(writer, link.number + 1, digest(document), len(rows))
    return rows


def checked(rows: Sequence[Row], first_sequence: int = 1, kept: dict[str, Head] | None = None) -> Report:
    check = ChainCheck(first_sequence, kept or {}, first_sequence + len(rows) - 1)
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
    assert {writer: head.number for writer, head in report.heads.items()} == {
        writer: writers.count(writer) for writer in set(writers)
    }


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=30), st.data())
def test_what_the_stream_forgot_by_age_is_no_finding(writers: list[str], data: st.DataObject) -> None:
    gone = data.draw(st.integers(0, len(writers) - 1))
    report = checked(log_of(writers)[gone:], first_sequence=gone + 1)
    assert report.intact


def test_a_log_that_was_forged_as_a_whole_is_found_by_kept_heads_also_behind_a_front_that_is_gone() -> None:
    kept = dict(checked(ROWS).heads)
    forged = log_of(["x", "y", "x", "z", "x", "y", "z", "x"])
    for first in (2, 5):  # as if the first entries had gone by age
        report = checked(forged, first_sequence=first, kept=kept)
        lost = {writer for writer, head in kept.items() if head.sequence >= first}
        assert {found.sentence.partition(",")[0].split()[-1] for found in report.findings} == lost
        assert report.forgiven == len(kept) - len(lost)
    behind = checked(forged, first_sequence=100, kept=kept)
    assert (troubles(behind), behind.forgiven) == ([("unknown head", 100)], 3)
    assert "nothing ties this log" in behind.findings[0].sentence


def test_a_kept_head_that_stood_before_the_oldest_entry_is_forgiven_and_counted() -> None:
    rows = log_of(["a", "b", "b", "c", "b", "b"])
    kept = dict(checked(rows[:4]).heads)
    report = checked(rows[2:], first_sequence=3, kept=kept)
    assert (report.intact, report.forgiven) == (True, 1)


def test_a_head_that_was_kept_without_its_place_is_found_but_never_forgiven() -> None:
    kept = {writer: Head(head.number, head.sha256) for writer, head in checked(ROWS[:4]).heads.items()}
    assert checked(ROWS, kept=kept).intact
    assert troubles(checked(ROWS[5:], first_sequence=6, kept=kept)) == [("unknown head", 0)] * 2


def test_a_kept_head_in_another_place_is_of_a_log_that_was_written_anew() -> None:
    kept = dict(checked(ROWS).heads)
    assert {trouble for trouble, _ in troubles(checked(ROWS, first_sequence=5, kept=kept))} == {"unknown head"}


def test_the_first_entries_of_a_young_chain_are_missing_also_where_the_front_of_the_log_is_gone() -> None:
    rows = log_of(["a"] * 10 + ["b", "a", "b", "b", "a"])
    kept, removed = (
        rows[5:10] + rows[11:12],
        2,
    )  # the stream begins with sequence 6; of b its first two entries are taken
    report = checked([*kept, *rows[13:]], first_sequence=6)
    assert removed == len(rows) - 5 - len(kept) - len(rows[13:])
    assert [(f.trouble, f.sentence) for f in report.findings] == [("missing", "Of b, entry 2 should stand before this")]


def test_a_first_entry_that_names_nothing_that_ever_stood_there_is_not_forgiven_as_old() -> None:
    forged = sealed({"actor": "nobody"}, Link("x", 1, "ff"))
    assert [t for t, _ in troubles(checked([*ROWS, (forged, digest(forged))]))] == ["missing"]


def test_a_hole_in_the_streams_sequences_is_a_finding_wherever_it_is() -> None:
    lone = log_of("abcdef")
    for taken in ({2}, {3, 4}, {1}, {6}, {5, 6}):
        check = ChainCheck(1, {}, 6)
        for sequence, (document, sha256) in enumerate(lone, 1):
            if sequence not in taken:
                check.take(sequence, document, sha256)
        first, last = min(taken), max(taken)
        which = f"sequence {first} is" if first == last else f"sequences {first} to {last} are"
        assert any(f"Of the stream, {which} not there" in found.sentence for found in check.report().findings)


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
