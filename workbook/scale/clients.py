"""The clients of a federation: whose images are whose, and what each of them does in a round.

A client's images, labels and weights stay with it (`Averaging` alone gives its weights away). All know the public
images, and nobody uses their labels. Who asks the clients, and over which engine, is told in federated.py.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from kdlab import bank, data, evaluation, models
from kdlab.data import Dataset
from kdlab.training import Knobs, distil, finish, train

ARCHITECTURES = ("mlp-64", "cnn-8-16", "mlp-32-32")  # of client 0, 1, 2, and again from the first


def shards(labels: Tensor, clients: int, *, concentration: float = 0.3, least: int = 20, seed: int = 0) -> list[Tensor]:
    """The places of each client's images: of every class each has a share drawn from a Dirichlet distribution.

    Args:
        labels: int64 (n,).
        clients: >= 2.
        concentration: > 0; a small one gives clients of few classes.
        least: images of each client; it is drawn again until that holds.

    ValueError: values out of range, or no such draw in a hundred. Source: Hsu, Qi, Brown 2019, arXiv:1909.06335.
    """
    if clients < 2 or not concentration > 0 or clients * least > len(labels):
        said = f"got {clients}, {concentration}, and {len(labels)} images for at least {least} each"
        raise ValueError(f"a federation needs at least 2 clients, a concentration > 0, and enough images; {said}")
    draw = np.random.default_rng(seed)
    for _ in range(100):
        parts = [[] for _ in range(clients)]
        for label in labels.unique():
            places = draw.permutation(torch.where(labels == label)[0].numpy())
            cuts = draw.dirichlet([concentration] * clients).cumsum()[:-1] * len(places)
            for part, piece in zip(parts, np.split(places, cuts.astype(int))):
                part.extend(piece.tolist())
        if min(map(len, parts)) >= least:
            return [torch.tensor(sorted(part)) for part in parts]
    raise ValueError(f"no draw gave each of {clients} clients {least} images; take a larger concentration")


@dataclass(eq=False)
class Client:
    """One party of FedMD: a round is to digest the consensus, revisit its own images, and answer for the public ones.

    Source: Li, Wang 2019, arXiv:1910.03581, with forward KL at a temperature in place of absolute differences.
    """

    model: nn.Module
    dataset: Dataset
    own: Tensor  # the places of its images, int64
    public: Tensor  # the places of those that all know
    seed: int = 0
    noise: float = 0.0  # standard deviation of what is added to each logit that leaves it
    steps: tuple[int, int, int] = (120, 60, 30)  # on its own images at first; then to digest, and to revisit
    knobs: Knobs = Knobs(1.0, 4.0, 1e-2)
    rounds: int = field(default=0, init=False)

    def reply(self, received: list[np.ndarray]) -> list[np.ndarray]:
        """[the consensus, float32 (public, classes)], or nothing at first → [its own logits for the public images]."""
        if received:
            self.digest(received[0])
        self.revisit()
        return [self.logits(self.public).numpy()]

    def digest(self, agreed: np.ndarray) -> None:
        """Learns the consensus, which is the teacher here; ValueError: it does not fit the public images."""
        known = bank.make(torch.tensor(agreed), self.dataset, indices=self.public, producer="consensus")
        options = dict(teacher=known, steps=self.steps[1], batch_size=32, seed=self.seed)
        finish(distil(self.model, self.dataset.only(self.public), self.knobs, **options))

    def revisit(self) -> None:
        """Learns its own images and their labels."""
        options = dict(steps=self.steps[2 if self.rounds else 0], batch_size=32, seed=self.seed, lr=self.knobs.lr)
        finish(train(self.model, self.dataset.only(self.own), **options))
        self.rounds += 1

    def logits(self, places: Tensor, split: str = "train") -> Tensor:
        """What leaves it when it is asked about images, float32 (n, classes)."""
        answer = evaluation.predict(self.model, self.dataset, split, indices=places)
        draw = torch.Generator().manual_seed(1000 * self.seed + self.rounds)
        return answer + self.noise * torch.randn(answer.shape, generator=draw)


class Averaging(Client):
    """One party of FedAvg (McMahan et al. 2017, arXiv:1602.05629): it sends its weights; all have one architecture."""

    def reply(self, received: list[np.ndarray]) -> list[np.ndarray]:
        """[every tensor of the mean model], or nothing at first → [every tensor of its own model]."""
        if received:
            self.load(received)
        self.revisit()
        return [tensor.numpy().copy() for tensor in self.model.state_dict().values()]

    def load(self, weights: list[np.ndarray]) -> None:
        self.model.load_state_dict(dict(zip(self.model.state_dict(), map(torch.tensor, weights))))


def of_digits(
    kind=Client, *, clients: int = 5, public: int = 300, concentration: float = 0.3, seed: int = 0,
    names=ARCHITECTURES, **options,
) -> dict[str, Client]:
    """Clients by name, "client 0" …: the first `public` training digits are known to all, the others are theirs.

    The mean and the deviation that normalize the images are those of the public ones. All clients of one architecture
    start alike. `options` are those of the kind.
    """
    digits, known = data.load("digits", seed=seed), torch.arange(public)
    shown = replace(digits, train=digits.train.subset(known), mean=None, std=None)
    digits = replace(digits, mean=shown.mean, std=shown.std)
    found = {}
    parts = shards(digits.train.labels[public:], clients, concentration=concentration, seed=seed)
    for number, places in enumerate(parts):
        name = names[number % len(names)]
        model = models.build(name, digits.shape, len(digits.classes), seed=seed)
        found[f"client {number}"] = kind(model, digits, places + public, known, seed=100 * seed + number, **options)
    return found
