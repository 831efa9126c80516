"""The benchmark compares like with like."""

import pytest
import torch


@pytest.fixture
def speed(monkeypatch):
    import speed

    monkeypatch.setattr(speed.published, "SIZE", 32)
    monkeypatch.setattr(speed.published, "CHANNELS", 8)
    return speed


def test_plain_code_and_engine_have_the_same_gradients(speed):
    assert speed.check_equality() < 1e-10


def test_every_side_is_timed(speed):
    figures = speed.iterations(torch.device("cpu"), turns=1)
    assert set(figures) == {"whole", "deformable"}
    for sides in figures.values():
        assert len(sides) == 2
        for halves in sides.values():
            assert 0 < halves["forward"] < halves["iteration"]
    fits = {name: {"seconds": s, "slices": 2} for name, s in (("plain", 8), ("ours", 4))}
    rows = speed.equal_work("cpu", {"iterations": figures, "published_fits": fits})
    assert [rows[0]["plain"], rows[0]["ours"]] == [
        halves["iteration"] for halves in figures["whole"].values()
    ]
    assert [rows[2]["plain"], rows[2]["ours"]] == [4, 2]


def test_arithmetic_is_counted(speed):
    network = speed.plain.new_network(2, 8, 8)
    once, twice = (
        speed.machine.demand(network, torch.zeros(1, 2, 16, width)) for width in (16, 32)
    )
    assert twice["gflop"] == pytest.approx(2 * once["gflop"])
    # Of the first convolution alone: 16 x 16 pixels, 2 to 8 channels, 3 x 3, forward and backward.
    assert once["gflop"] > 3 * 2 * 16 * 16 * 2 * 8 * 9 / 1e9
