"""What has expired goes by itself, and a failure of it ends nothing."""

from __future__ import annotations

import threading

from modwright.errors import StorageError
from modwright.storage.housekeeping import Housekeeper


class Failing:
    """Stands for both stores: the first expiry fails."""

    def __init__(self):
        self.expired, self.swept, self.again = 0, 0, threading.Event()

    def expire(self):
        self.expired += 1
        if self.expired == 1:
            raise StorageError("the database failed")
        if self.expired == 4:
            self.again.set()

    def sweep(self):
        self.swept += 1


def test_it_goes_on_after_a_failure_and_ends_with_the_context():
    stores = Failing()
    with Housekeeper(stores, stores, expire_every_s=0.01) as keeper:
        assert stores.again.wait(30)
    keeper._thread.join(30)
    assert not keeper._thread.is_alive()
    assert stores.swept == 1  # at the beginning, and then once a day


def test_nothing_happens_before_its_time():
    stores = Failing()
    with Housekeeper(stores, stores, expire_every_s=3600.0):
        pass
    assert stores.expired == 0
