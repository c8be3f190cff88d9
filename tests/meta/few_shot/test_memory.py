import pytest
import torch

from meta.few_shot.memory import (
    EMPTY,
    KEEP,
    Growing,
    GrowingPrototypes,
    LeastRecentlyUsed,
    grown,
    grown_along,
    packed,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def memory() -> LeastRecentlyUsed:
    return LeastRecentlyUsed(7, 5, 3, units=11, heads=2, slots=13, width=4, generator=seeded())


def row(batch: int) -> torch.Tensor:
    return torch.randn(batch, 3, generator=seeded(1))


def test_hidden_numbers_go_apart_and_together_again(memory):
    hidden = torch.randn(3, memory.hidden_size, generator=seeded())
    assert torch.equal(packed(memory.unpacked(hidden)), hidden)
    begun = memory.unpacked(memory.begin(3))
    assert bool((begun.memory_BMW == EMPTY).all())
    assert torch.equal(begun.weight_BRM.sum(2), torch.ones(3, 2))


def test_writes_go_to_what_was_read_or_to_what_was_used_least(memory):
    hidden = memory.unpacked(memory.begin(1))._replace(
        use_BM=torch.arange(13.0)[None] + 1, memory_BMW=torch.ones(1, 13, 4), read_BRW=torch.zeros(1, 2, 4)
    )
    key, share = torch.full((1, 2, 4), 0.5), torch.tensor([[[1.0], [0.0]]])
    after, written = memory._written(key, share, hidden)
    assert written[0].tolist() == [1, 1] + [0] * 11  # one head where it read last; the other into a slot of its own
    assert after[0, :2].unique().tolist() == [0.5]  # both of the two least used were emptied first
    assert after[0, 2:].unique().tolist() == [1]


def test_use_decays_and_counts_reading_and_writing(memory):
    hidden = memory.unpacked(memory.begin(2))
    _, after = memory(torch.randn(2, 7, generator=seeded()), memory.conditioning(row(2)), hidden)
    gained = (after.use_BM - KEEP * hidden.use_BM).sum(1)
    heads = 2
    assert torch.all(gained >= heads - 1e-4)  # what is read adds up to one a head, what is written to one or more
    assert torch.all(gained <= 3 * heads + 1e-4)


def test_an_episode_goes_alone_as_in_a_batch_and_rows_matter(memory):
    inputs, rows = torch.randn(4, 3, 7, generator=seeded()), row(3)

    def run(inputs: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        said, hidden, found = memory.conditioning(rows), memory.unpacked(memory.begin(len(rows))), []
        for given in inputs:
            logits, hidden = memory(given, said, hidden)
            found.append(logits)
        return torch.stack(found)

    whole = run(inputs, rows)
    assert whole.shape == (4, 3, 5)
    assert torch.allclose(whole[:, 1:2], run(inputs[:, 1:2], rows[1:2]), atol=1e-5)
    assert not torch.allclose(whole, run(inputs, rows.flip(0)), atol=1e-3)


def test_means_along_an_episode_are_those_step_by_step():
    codes, labels = torch.randn(2, 7, 3, generator=seeded()), torch.randint(-1, 5, (2, 7), generator=seeded())
    before = Growing(torch.zeros(2, 5, 3), torch.zeros(2, 5))
    along = grown_along(codes, labels, 5)
    for t in range(7):
        assert torch.allclose(along.mean_BCD[:, t], before.mean_BCD, atol=1e-5)
        assert torch.equal(along.count_BC[:, t], before.count_BC)
        before = grown(before, codes[:, t], labels[:, t])
    for b in range(2):
        for label in range(5):
            own = codes[b, labels[b] == label]
            assert before.count_BC[b, label] == len(own)
            if len(own):
                assert torch.allclose(before.mean_BCD[b, label], own.mean(0), atol=1e-5)


def test_a_label_that_was_not_told_has_no_part_in_what_is_remembered():
    codes, labels = torch.randn(1, 6, 3, generator=seeded()), torch.tensor([[0, 1, 0, 1, 2, 2]])
    other = labels.clone()
    other[:, 3:] = 4  # told later than what is compared
    for one, two in zip(grown_along(codes, labels, 5), grown_along(codes, other, 5), strict=True):
        assert torch.equal(one[:, :4], two[:, :4])


def test_labels_without_a_picture_are_equally_likely_and_nearer_than_what_is_far():
    read = GrowingPrototypes(novelty=3.0)
    logits = read(torch.tensor([[[1.0, 9.0, 0.0, 0.0]]]), torch.tensor([[[2.0, 1.0, 0.0, 0.0]]]))
    assert logits.tolist() == [[[-1.0, -9.0, -3.0, -3.0]]]
