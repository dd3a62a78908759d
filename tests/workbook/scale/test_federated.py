"""Federated distillation: whose images are whose, what is averaged and who is left out, and the same over Flower."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from workbook.scale import clients, consensus, federated

ROOT = Path(__file__).parents[3]
LIKE, SHORT = [(300, 10)], (2, 2, 2)


def flower():
    places = (ROOT / ".venv-federated" / folder / "python" for folder in ("bin", "Scripts"))
    return next((str(place) for place in places if place.exists()), None)


def test_every_private_image_has_one_owner_and_few_classes_dominate_each(digits):
    labels = digits.train.labels[300:]
    shards = clients.shards(labels, 5, seed=1)
    assert torch.cat(shards).sort().values.equal(torch.arange(len(labels)))
    assert min(map(len, shards)) >= 20
    skewed, even = (
        [labels[part].bincount(minlength=10).max() / len(part) for part in clients.shards(labels, 5, concentration=c)]
        for c in (0.3, 1000.0)
    )
    assert min(skewed) > max(even)


def test_the_same_seed_gives_the_same_shards(digits):
    one, same, other = (clients.shards(digits.train.labels, 5, seed=seed) for seed in (3, 3, 4))
    assert all(map(torch.equal, one, same)) and not all(a.equal(b) for a, b in zip(one, other))


@pytest.mark.parametrize("wrong", [dict(clients=1), dict(concentration=0.0), dict(concentration=np.nan),
                                   dict(least=500)])
def test_a_split_that_cannot_be_is_refused_in_a_sentence(digits, wrong):
    with pytest.raises(ValueError, match="needs at least 2 clients, a concentration > 0, and enough images; got"):
        clients.shards(digits.train.labels, **dict(clients=5) | wrong)


def test_a_draw_that_never_comes_is_refused(digits):
    with pytest.raises(ValueError, match="no draw gave each of 5 clients 200 images"):
        clients.shards(digits.train.labels, 5, concentration=0.01, least=200)


def test_a_federation_has_three_architectures_and_nothing_of_it_is_measured_on_private_images(digits):
    members = clients.of_digits(seed=0)
    kinds = {str(client.model) for client in members.values()}
    assert len(members) == 5 and len(kinds) == 3
    for client in members.values():
        assert client.own.min() >= 300 and client.public.max() < 300
        shown = digits.train.images[:300].float() / 255
        assert client.dataset.mean == pytest.approx(float(shown.mean()), abs=1e-6)


def test_clients_of_one_architecture_start_alike():
    first, *others = (client.model.state_dict() for client in clients.of_digits(names=("mlp-8",)).values())
    assert all(first[name].equal(other[name]) for other in others for name in first)


def test_a_reply_is_logits_for_the_public_images_and_nothing_else():
    client = clients.of_digits(steps=SHORT)["client 0"]
    [logits] = client.reply([])
    assert logits.shape == (300, 10) and logits.dtype == np.float32
    with torch.no_grad():
        images = client.dataset.normalize(client.dataset.train.images[:300])
        assert np.allclose(logits, client.model.eval()(images), atol=1e-5)


def test_a_client_uses_no_label_of_the_public_images():
    members = [clients.of_digits(steps=SHORT)["client 0"] for _ in range(2)]
    members[1].dataset.train.labels[:300] = 0
    replies = [client.reply(client.reply([])) for client in members]
    assert np.array_equal(replies[0], replies[1])


def test_the_consensus_is_the_teacher_and_the_client_the_student():
    client = clients.of_digits(steps=(2, 60, 2))["client 0"]
    agreed = np.full((300, 10), -4.0, np.float32)
    agreed[:, 3] = 8.0
    before = agreed.copy()
    client.digest(agreed)
    assert np.array_equal(agreed, before) and (client.logits(client.public).argmax(1) == 3).float().mean() > 0.95


def test_noise_is_on_what_is_sent_and_not_on_what_is_learned():
    plain, noisy = (clients.of_digits(steps=SHORT, noise=noise)["client 0"] for noise in (0.0, 2.0))
    difference = noisy.reply([])[0] - plain.reply([])[0]
    assert difference.std() == pytest.approx(2.0, rel=0.1)
    weights = (client.model.state_dict() for client in (plain, noisy))
    assert all(a.equal(b) for a, b in zip(*(each.values() for each in weights)))


def test_averaged_clients_hold_the_mean_that_they_received():
    members = clients.of_digits(clients.Averaging, names=("mlp-8",), steps=SHORT)
    like = [tuple(tensor.shape) for tensor in members["client 0"].model.state_dict().values()]
    images = {name: len(client.own) for name, client in members.items()}
    [last] = consensus.rounds(members, like, count=1, weights=images)
    first = {name: next(iter(client.model.state_dict().values())) for name, client in members.items()}
    total = sum(images[name] * tensor for name, tensor in first.items()) / sum(images.values())
    assert np.allclose(last.agreed[0], total, atol=1e-6)
    members["client 0"].load(last.agreed)
    assert np.array_equal(first["client 0"], last.agreed[0])


def answers(**faults):
    whole = {f"client {i}": [np.full((3, 2), float(i), np.float32)] for i in range(3)}
    return whole | {name.replace("_", " "): reply for name, reply in faults.items()}


@pytest.mark.parametrize("reply, why", [
    (None, "sent nothing"), ([], "sent nothing"), ([np.zeros((2, 2))], "sent the shapes"),
    ([np.zeros((3, 2)), np.zeros(1)], "sent the shapes"), ([np.full((3, 2), np.nan)], "sent what is no number"),
    ([np.full((3, 2), np.inf)], "sent what is no number"), ([np.full((3, 2), "a")], "sent what is no number"),
])
def test_who_sends_what_cannot_be_averaged_is_left_out_by_name(reply, why):
    mean, left_out = consensus.merged(answers(client_1=reply), [(3, 2)])
    assert list(left_out) == ["client 1"] and left_out["client 1"].startswith(why)
    assert np.array_equal(mean[0], np.full((3, 2), 1.0, np.float32))


def test_weights_are_shares_of_the_mean():
    mean, _ = consensus.merged(answers(), [(3, 2)], {"client 0": 1, "client 1": 1, "client 2": 2})
    assert np.array_equal(mean[0], np.full((3, 2), 1.25, np.float32))


def test_the_answer_of_one_client_is_not_handed_to_the_others():
    mean, left_out = consensus.merged(answers(client_1=None, client_2=None), [(3, 2)])
    assert mean == [] and set(left_out) == {"client 1", "client 2"}


class Scripted:
    def __init__(self, *replies):
        self.replies, self.seen = iter(replies), []

    def reply(self, received):
        self.seen.append(received)
        if (answer := next(self.replies)) is None:
            raise ConnectionError
        return [np.full((3, 2), answer, np.float32)]


def test_a_round_without_a_mean_hands_the_last_one_on_again():
    members = {"a": Scripted(1, 5, 1), "b": Scripted(3, None, 3)}
    ran = list(consensus.rounds(members, [(3, 2)], count=3))
    assert [bool(one.agreed) for one in ran] == [True, False, True] and ran[1].left_out == {"b": "sent nothing"}
    assert members["a"].seen[0] == [] and members["a"].seen[2][0].mean() == members["a"].seen[1][0].mean() == 2
    assert ran[0].sent == {"a": 0, "b": 0} and ran[1].sent == {"a": 24, "b": 24} and ran[1].received == {"a": 24}
    assert str(ran[1]) == "1 replies, 24 bytes to the server, 48 from it; left out: b sent nothing"


def test_a_client_alone_is_refused_in_a_sentence():
    said = "a federation needs at least 2 clients, got 1"
    with pytest.raises(ValueError, match=said):
        next(consensus.rounds({"a": Scripted(1)}, LIKE, count=1))
    with pytest.raises(ValueError, match=said):
        federated.serve(["a"], LIKE, count=1)


def test_without_flower_there_is_one_sentence(monkeypatch):
    monkeypatch.setattr(federated.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="Flower is not installed here: make federated"):
        federated.serve(["a", "b"], LIKE, count=1)


def test_a_client_without_a_server_gives_up_with_one_sentence(monkeypatch):
    monkeypatch.setattr(federated, "flower", lambda: None)
    with pytest.raises(ConnectionError, match="no server at 127.0.0.1:9; start one with: serve"):
        federated.join(None, "client 0", address="127.0.0.1:9", patience=0.2)


needs_flower = pytest.mark.skipif(flower() is None, reason="there is no .venv-federated: make federated")


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """Three federations of processes over Flower: logits, weights, and one with faults from the second round on."""
    out = tmp_path_factory.mktemp("federated") / "engine.json"
    run = [flower(), "benchmarks/federated_engine.py", str(out), "--short"]
    done = subprocess.run(run, cwd=ROOT, text=True, capture_output=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text()), np.load(out.with_suffix(".npz"))


@needs_flower
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the processes are forked")
class TestOverFlower:
    def test_it_comes_to_the_same_consensus_as_one_process(self, engine):
        *_, last = consensus.rounds(clients.of_digits(seed=1, steps=SHORT), LIKE, count=3)
        assert np.allclose(engine[1]["logits 0"], last.agreed[0], atol=1e-5)

    def test_it_comes_to_the_same_mean_of_weights(self, engine):
        members = clients.of_digits(clients.Averaging, seed=1, names=("mlp-64",), steps=SHORT)
        like = [tuple(tensor.shape) for tensor in members["client 0"].model.state_dict().values()]
        weights = {name: len(client.own) for name, client in members.items()}
        *_, last = consensus.rounds(members, like, count=3, weights=weights)
        for i, array in enumerate(last.agreed):
            assert np.allclose(engine[1][f"weights {i}"], array, atol=1e-5)

    def test_messages_are_arrays_and_little_else_and_the_wire_carries_little_more(self, engine):
        for kind, each in (("logits", 300 * 10 * 4), ("weights", 4 * (64 * 64 + 64 + 64 * 10 + 10))):
            run = engine[0][kind]
            for one in run["rounds"]:
                assert all(each < size < each + 600 for size in one["received"].values()) and len(one["received"]) == 5
            for way in ("received", "sent"):
                told = sum(sum(one[way].values()) for one in run["rounds"])
                assert told < run["tcp"][way] < 1.1 * told + 5000

    def test_every_fault_is_left_out_by_name_and_every_round_ends(self, engine):
        first, *others = engine[0]["faults"]["rounds"]
        assert first["left_out"] == {"client 7": "sent nothing"} and first["agreed"]
        assert len(others) == 2
        for one in others:
            assert one["agreed"] and len(one["left_out"]) == 6
            assert one["left_out"]["client 2"] == "sent what is no number"
            assert one["left_out"]["client 3"].startswith("sent the shapes")
            assert all(one["left_out"][f"client {i}"] == "sent nothing" for i in (4, 5, 6, 7))
