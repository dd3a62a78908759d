"""The checks of lab 32: right answers pass, each typical mistake gets its own hint, and nothing raises."""

import pytest
import torch

from workbook.exercises import lab32 as check
from workbook.labs import membership


def right(answers, count, *, finite=True, shape=True, least=2):
    def whole(reply):
        return reply is not None and (not shape or len(reply) == count) and (not finite or reply.isfinite().all())

    kept = [reply for reply in answers.values() if whole(reply)]
    left_out = [name for name, reply in answers.items() if not whole(reply)]
    return torch.stack(kept).mean(0) if len(kept) >= least else None, left_out


def without_nan_alone(answers, count):
    kept = {name: reply for name, reply in answers.items()
            if reply is not None and len(reply) == count and not reply.isnan().any()}
    return torch.stack(list(kept.values())).mean(0), [name for name in answers if name not in kept]


def divided_by_all(answers, count):
    mean, left_out = right(answers, count)
    return mean * (len(answers) - len(left_out)) / len(answers), left_out


def floats(clients, public, classes, parameters, *, ways=2, size=4):
    return ways * clients * public * classes * size, ways * clients * parameters * size


def threshold(members, others):
    return ((members > members.mean()).float().mean() + (others <= members.mean()).float().mean()) / 2


CASES = [
    (check.consensus, right, "✓"),
    (check.consensus, lambda *a: None, "not attempted"),
    (check.consensus, lambda *a: right(*a)[0], "return two things"),
    (check.consensus, lambda a, n: (2 * right(a, n)[0], []), "return their mean"),
    (check.consensus, lambda a, n: (right(a, n)[0], ["a"]), "nobody is left out"),
    (check.consensus, lambda a, n: right(a, n, finite=False), "one NaN among its numbers"),
    (check.consensus, without_nan_alone, "infinite numbers"),
    (check.consensus, divided_by_all, "the mean is that of the others"),
    (check.consensus, lambda a, n: right(a, n, shape=False), "raised RuntimeError"),
    (check.consensus, lambda a, n: right(a, n, least=1), "would be handed to the others"),
    (check.wire, floats, "✓"),
    (check.wire, lambda *a: ..., "not attempted"),
    (check.wire, lambda *a: sum(floats(*a)), "return two numbers"),
    (check.wire, lambda *a: floats(*a, ways=1), "two ways"),
    (check.wire, lambda c, *a: floats(1, *a), "every client"),
    (check.wire, lambda *a: floats(*a, size=1), "four bytes"),
    (check.wire, lambda c, p, k, w: floats(c, p, 1, w), "each class of each image"),
    (check.wire, lambda *a: (floats(*a)[0], 7), "weights: 2 ways"),
    (check.wire, lambda *a: (7, floats(*a)[1]), "logits: 2 ways"),
    (check.wire, lambda *a: (120000, 192400), "compute it from the arguments"),
    (check.auc, membership.auc, "✓"),
    (check.auc, lambda *a: None, "not attempted"),
    (check.auc, lambda a, b: 1 - membership.auc(a, b), "the other way round"),
    (check.auc, threshold, "that is 1"),
    (check.auc, lambda a, b: (a[:, None] > b[None]).float().mean().round(), "0.75"),
    (check.auc, lambda a, b: (a[:, None] > b[None]).float().mean(), "ties count half"),
    (check.auc, lambda a, b: membership.auc(a, b) if len(a) != 3 else 1.0, "0.667"),
]


@pytest.mark.parametrize("run, answer, said", CASES)
def test_a_check_says_what_it_should(capsys, run, answer, said):
    run(answer)
    printed = capsys.readouterr().out
    assert said in printed and printed.count("\n") == 1
