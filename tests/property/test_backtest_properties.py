from detectors import Scripted
from factories import T0
from hypothesis import given, settings
from hypothesis import strategies as st

from stillwatch.backtest import Backtest, EventOrder, Input, Truth, campaigns_of, encode, report
from stillwatch.event import RequestEvent

events = st.lists(
    st.builds(
        lambda number, account, minute: RequestEvent(f"e{number}", f"a{account}", T0 + minute * 60_000_000_000),
        st.integers(0, 10_000), st.integers(0, 5), st.integers(0, 600),
    ),
    max_size=60, unique_by=lambda event: event.id,
)  # fmt: skip
LABELS = {f"a{n}": Truth("attack", "c") if n < 3 else Truth("user") for n in range(6)}


def a_report(files: list[list[RequestEvent]], *, enforce: bool) -> tuple[bytes, Backtest]:
    order = EventOrder()
    run = Backtest(Scripted({"a0": 2, "a3": 4}), enforce=enforce, follow=campaigns_of(LABELS))
    for event in order.merged(files):
        run.feed(event)
    run.finish()
    return encode(report(run, LABELS, Input(late=order.late))), run


@settings(max_examples=100, deadline=None)
@given(events, st.data(), st.booleans())
def test_how_events_are_spread_over_files_changes_nothing(
    all_events: list[RequestEvent], data: st.DataObject, enforce: bool
) -> None:
    shuffled = data.draw(st.permutations(all_events))
    cut = data.draw(st.integers(0, len(shuffled)))
    assert a_report([all_events], enforce=enforce)[0] == a_report([shuffled[:cut], shuffled[cut:]], enforce=enforce)[0]


@settings(max_examples=100, deadline=None)
@given(events, st.booleans())
def test_every_request_is_counted_once_and_refusals_come_after_actions(
    all_events: list[RequestEvent], enforce: bool
) -> None:
    run = a_report([all_events], enforce=enforce)[1]
    rows = run.ledger.accounts.values()
    assert sum(row.requests for row in rows) == run.ledger.events == len(all_events)
    assert all(row.refused <= row.requests - row.before_action for row in rows)
    assert (sum(row.refused for row in rows) == 0) or enforce
    followed = sum(row.requests for account, row in run.ledger.accounts.items() if LABELS[account].is_attack)
    assert sum(asked for asked, _ in run.ledger.by_hour.values()) == followed


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 500), max_size=80), st.integers(1, 20))
def test_a_buffer_straightens_what_is_late_by_fewer_places_than_it_holds(minutes: list[int], capacity: int) -> None:
    ordered = [RequestEvent(f"e{n:03d}", "a", T0 + minute) for n, minute in enumerate(sorted(minutes))]
    displaced = [e for at in range(0, len(ordered), capacity) for e in reversed(ordered[at : at + capacity])]
    order = EventOrder(capacity)
    times = [event.time_unix_nano for event in order.merged([displaced])]
    assert times == sorted(times)
    assert order.late == 0
