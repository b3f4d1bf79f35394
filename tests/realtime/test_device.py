"""What is heard while blocks come late or not at all, and that there is one live conversion at a time."""

import numpy as np
import pytest

from core.errors import BadInput, Conflict, NotFound
from core.realtime import desk
from core.realtime.device import MOST_AHEAD, Playing
from core.settings import load_settings
from core.studio import Studio


def test_what_is_not_there_yet_is_silence_and_a_gap_is_counted() -> None:
    playing = Playing(ahead_samples=5)
    assert not playing.take(3).any()
    assert playing.underruns == 0  # it has not begun
    playing.put(np.arange(1, 5, dtype=np.float32))
    assert not playing.take(3).any()  # four are fewer than five
    playing.put(np.arange(5, 8, dtype=np.float32))
    assert playing.take(3).tolist() == [1, 2, 3]
    assert playing.take(5).tolist() == [4, 5, 6, 7, 0]
    assert playing.underruns == 1
    playing.put(np.ones(4, np.float32))
    assert not playing.take(3).any()  # gathering anew
    playing.put(np.ones(4, np.float32))
    assert playing.take(3).all()


def test_what_piles_up_over_a_stall_is_left_out_and_the_place_is_kept() -> None:
    playing = Playing(ahead_samples=4)
    playing.put(np.arange(4, dtype=np.float32))
    assert playing.take(2).tolist() == [0, 1]
    playing.put(np.arange(4, 14, dtype=np.float32))  # 12 wait: not too many for a block of ten
    assert playing.position == 2
    playing.put(np.arange(14, 24, dtype=np.float32))
    assert playing.take(2).tolist() == [10, 11]
    assert playing.position == 12


def test_after_a_gap_more_is_gathered_up_to_a_bound() -> None:
    playing = Playing(ahead_samples=4)
    for gathered in (4, 6, 8, 10, 12, 12):
        playing.put(np.ones(gathered - 1, np.float32))
        assert not playing.take(1).any()
        playing.put(np.ones(1, np.float32))
        assert playing.take(gathered).all()
        playing.take(1)  # nothing is there: a gap
    assert playing.underruns == 6
    assert MOST_AHEAD == 3


def test_a_push_that_ends_no_block_leaves_what_waits() -> None:
    playing = Playing(ahead_samples=2)
    playing.put(np.arange(10, dtype=np.float32))
    assert playing.take(1).tolist() == [0]
    playing.put(np.zeros(0, np.float32))
    assert playing.take(9).tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_one_at_a_time_and_options_first(workspace: object) -> None:
    live = Studio(load_settings({"workspace": workspace}, env={})).live
    with desk._RUNNING, pytest.raises(Conflict), live.open({"voice": "a"}, 44100):
        pass
    with pytest.raises(BadInput, match="rate"), live.open({"voice": "a"}, 100):
        pass
    for _ in range(2):  # the place is given back when loading fails
        with pytest.raises(NotFound), live.open({"voice": "nobody"}, 44100):
            pass
