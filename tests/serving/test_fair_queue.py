import threading

from hypothesis import given
from hypothesis import strategies as st

from modwright.serving.fair_queue import FairQueue, Waiting

costs = st.lists(st.integers(1, 50), min_size=1, max_size=8)


def drain(queue, max_cost=1):
    batches = []
    while queue.waiting_cost:
        batches.append(queue.take(max_cost))
    return batches


def test_a_small_request_passes_the_rest_of_a_large_one():
    queue = FairQueue(10_000)
    large, small = Waiting([10] * 100), Waiting([10])
    queue.put(large)
    first = queue.take(10)
    queue.put(small)
    order = [place for batch in drain(queue, 10) for place in batch]
    assert first == [(large, 0)]
    assert (small, 0) in order[:2]


def test_a_large_request_is_not_passed_for_ever_by_small_ones():
    queue = FairQueue(10_000)
    large = Waiting([1000])
    queue.put(Waiting([10]))
    queue.put(large)
    served = []
    while large not in served and len(served) < 400:
        queue.put(Waiting([10]))
        served.append(queue.take(10)[0][0])
    assert len(served) <= 202  # two small ones wait at any time: each gets the same share


def test_a_batch_stays_below_its_cost_and_holds_one_at_least():
    queue = FairQueue(10_000)
    queue.put(Waiting([60, 60, 500, 40]))
    assert [len(batch) for batch in drain(queue, 130)] == [2, 1, 1]


def test_no_room_is_told_and_an_empty_queue_takes_anything():
    queue = FairQueue(100)
    assert queue.put(Waiting([500]))
    assert not queue.put(Waiting([1]))
    assert queue.put(Waiting([1]), first=True)
    drain(queue, 1000)
    assert queue.put(Waiting([1]))


def test_the_first_goes_first():
    queue = FairQueue(1000)
    queue.put(Waiting([1, 1]))
    probe = Waiting([9])
    queue.put(probe, first=True)
    assert queue.take(1)[0][0] is probe


def test_a_dropped_request_makes_room_and_is_never_handed_out():
    queue = FairQueue(100)
    gone, stays = Waiting([50, 10]), Waiting([30])
    queue.put(gone)
    queue.put(stays)
    assert queue.take(50) == [(stays, 0)]
    queue.put(stays2 := Waiting([40]))
    queue.drop(gone)
    queue.drop(gone)
    assert queue.waiting_cost == 40
    assert drain(queue, 1000) == [[(stays2, 0)]]


def test_dropped_requests_do_not_pile_up():
    queue = FairQueue(10_000)
    queue.put(Waiting([1]))
    for _ in range(1000):
        request = Waiting([1] * 10)
        queue.put(request)
        queue.drop(request)
    assert len(queue._heap) < 50


def test_close_wakes_a_waiting_worker_and_names_who_is_left():
    queue = FairQueue(100)
    taken = []
    worker = threading.Thread(target=lambda: taken.append(queue.take(10)))
    worker.start()
    assert queue.close() == []
    worker.join(5)
    assert taken == [None]
    assert not queue.put(Waiting([1]))

    queue = FairQueue(100)
    queue.put(left := Waiting([1, 2]))
    assert queue.close() == [left]


@given(
    requests=st.lists(costs, min_size=1, max_size=8),
    drops=st.sets(st.integers(0, 7)),
    max_cost=st.integers(1, 200),
)
def test_every_input_is_handed_out_once_and_in_order_unless_dropped(requests, drops, max_cost):
    queue = FairQueue(1_000_000)
    waiting = [Waiting(list(item)) for item in requests]
    for request in waiting:
        queue.put(request)
    handed = list(queue.take(max_cost))
    for n in drops & set(range(len(waiting))):
        queue.drop(waiting[n])
    handed += [place for batch in drain(queue, max_cost) for place in batch]
    for n, request in enumerate(waiting):
        indices = [index for owner, index in handed if owner is request]
        assert indices == list(range(len(indices)))
        assert n in drops or len(indices) == len(request.costs)
    assert queue.waiting_cost == 0
