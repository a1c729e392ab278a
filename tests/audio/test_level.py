from __future__ import annotations

from array import array

import pytest

from omniid.audio.level import FLOOR_DB, LevelMeter, peak_db, peak_of


@pytest.mark.parametrize(
    ("samples", "db"),
    [
        ([], FLOOR_DB),
        ([0, 0], FLOOR_DB),
        ([1], -90.31),
        ([-1], -90.31),
        ([16_384, -3], -6.02),
        ([32_767], 0.0),
        ([5, -32_768], 0.0),
    ],
)
def test_the_largest_sample_counts_whatever_its_sign(samples: list[int], db: float) -> None:
    assert peak_db(peak_of(array("h", samples).tobytes())) == pytest.approx(db, abs=0.01)


def test_a_level_comes_ten_times_a_second() -> None:
    meter = LevelMeter()
    loud, quiet = array("h", [3_277]).tobytes(), array("h", [33]).tobytes()
    levels = [meter.add(loud if index == 2 else quiet, index / 32) for index in range(33)]
    told = [(index, round(level)) for index, level in enumerate(levels) if level is not None]
    assert told == [(index, -20 if index == 4 else -60) for index in range(4, 33, 4)]
