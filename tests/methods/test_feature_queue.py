from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.methods.feature_queue import FeatureQueue


def numbered(start: int, batch: int = 1, height: int = 2, width: int = 2) -> torch.Tensor:
    """Embeddings `[2, batch, h, w, 1]`: patch n of view g has the value start + n (+ 0.5 if g)."""
    count = batch * height * width
    values = start + torch.arange(count).float()
    return torch.stack([values, values + 0.5]).view(2, batch, height, width, 1)


def test_the_oldest_are_replaced_and_full_is_told():
    queue = FeatureQueue(num_views=2, length=6, dim=1)
    queue.store(numbered(10))
    assert not queue.full
    queue.store(numbered(20))
    assert queue.full
    first, second = queue.features[..., 0]
    assert sorted(first.tolist())[2:] == [20, 21, 22, 23]
    assert {10, 11, 12, 13} > set(sorted(first.tolist())[:2])
    assert sorted(second.tolist())[2:] == [20.5, 21.5, 22.5, 23.5]


def test_ten_per_image_are_stored_but_never_more_than_fit():
    queue = FeatureQueue(2, length=100, dim=1)
    queue.store(numbered(0, batch=3, height=5, width=5))
    assert queue.stored.tolist() == [30, 30]
    stored = queue.features[0, :30, 0]
    assert len(stored.unique()) == 30
    short = FeatureQueue(2, length=7, dim=1)
    short.store(numbered(0, batch=3, height=5, width=5))
    assert short.full
    assert short.stored.tolist() == [7, 7]


def test_only_foreground_is_stored_and_none_is_no_error():
    queue = FeatureQueue(2, length=3, dim=1)
    foreground = torch.zeros(2, 1, 2, 2)
    foreground[0, 0, 1, 0] = 1
    queue.store(numbered(10), foreground)
    assert queue.stored.tolist() == [1, 0]
    assert queue.features[0, :, 0].tolist() == [12, 0, 0]
    for step in range(3):
        queue.store(numbered(20 + step), foreground)
    assert queue.stored.tolist() == [4, 0]
    assert sorted(queue.features[0, :, 0].tolist()) == [22, 23, 24]
    assert not queue.full


def test_the_state_dict_continues_the_queue():
    queue, copy = FeatureQueue(2, 6, 1), FeatureQueue(2, 6, 1)
    queue.store(numbered(10))
    copy.load_state_dict(queue.state_dict())
    for q in (queue, copy):
        q.store(numbered(20), generator=torch.Generator().manual_seed(1))
    assert torch.equal(queue.features, copy.features)
    assert copy.full
    assert copy.counts == [8, 8]
    copy.load_state_dict(FeatureQueue(2, 6, 1).state_dict())
    assert not copy.full
    assert len(copy.content(0)) == 0


def test_the_generator_decides():
    features = []
    for seed in (1, 1, 2):
        queue = FeatureQueue(2, 5, 1)
        embeddings = numbered(0, height=8, width=8)
        queue.store(embeddings, generator=torch.Generator().manual_seed(seed))
        features.append(queue.features)
    assert torch.equal(features[0], features[1])
    assert not torch.equal(features[0], features[2])


def test_bad_input():
    with pytest.raises(ValueError, match="got 2"):
        FeatureQueue(2, 0, 4)
    queue = FeatureQueue(2, 6, 1)
    with pytest.raises(ValueError, match=r"embeddings.*\[2, images, h, w, 1\]"):
        queue.store(torch.rand(2, 1, 2, 2, 3))
    with pytest.raises(ValueError, match=r"foreground must be \[2, 1, 2, 2\]"):
        queue.store(numbered(0), torch.ones(2, 1, 3, 3))


@given(
    total=st.integers(1, 12),
    before=st.integers(1, 4),
    after=st.integers(1, 4),
    stored=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=4, max_size=4),
)
def test_queues_of_another_number_of_processes_share_what_all_had(
    total: int, before: int, after: int, stored: list[tuple[int, int]]
):
    """Embedding n of process i has the value 100 i + n."""
    old = [FeatureQueue(2, -(-total // before), 1) for _ in range(before)]
    for process, (queue, numbers) in enumerate(zip(old, stored, strict=False)):
        for view, number in enumerate(numbers):
            for n in range(number):
                queue.features[view, n % queue.length] = 100 * process + n
            queue.stored[view] = number
    new = [FeatureQueue(2, -(-total // after), 1) for _ in range(after)]
    states = [queue.state_dict() for queue in old]
    for rank, queue in enumerate(new):
        queue.load_state_dict(queue.divided_anew(states, rank, after))
    for view in range(2):
        held = [queue.content(view)[:, 0].tolist() for queue in old]
        shares = [queue.content(view)[:, 0].tolist() for queue in new]
        kept = {value for share in shares for value in share}
        assert kept <= {value for one in held for value in one}
        if old[0].length == new[0].length:
            assert shares == [held[rank % before] for rank in range(after)]
            continue
        assert len({len(share) for share in shares}) == 1, "all are full after the same step"
        assert all(len(set(share)) == len(share) for share in shares)
        count = sum(map(len, held))
        assert len(kept) == min(count, after * new[0].length)
        # The oldest come first, and are replaced first; before them what another one holds too.
        own = (share for share in shares if sum(map(len, shares)) == len(kept))
        for share in own:
            age = [stored[int(value) // 100][view] - value % 100 for value in share]
            assert age == sorted(age, reverse=True)
