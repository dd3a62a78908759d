"""A teacher's answers, its features among them, asked once and handed to any method by the images' places."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from kdlab import data


@torch.no_grad()
def asked(teacher: nn.Module, dataset: data.Dataset, places: Tensor, batch_size: int = 100) -> dict[str, Tensor]:
    """What a tapped teacher says about some training images, in eval mode: name → (images, …), the logits among them.

    Args:
        teacher: images → {name: (batch, …)}, on the data set's device.
        dataset: whose training images are shown, as they are.
        places: int64 (images,) in the training split.
        batch_size: images at a time, >= 1.
    """
    images = dataset.train.images
    parts = [teacher.eval()(dataset.normalize(images[at])) for at in places.split(batch_size)]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


class Known(nn.Module):
    """A method of `kdlab.distil` whose teacher has answered before: the same steps, and no teacher in the loop.

    It holds for images that are not augmented; `distil(…, teacher=None, method=Known(method, answers, places))`.

    Args:
        method: as `kdlab.distil` takes it; the parameters of one that is a module are trained.
        answers: of `asked`, or one tensor (images, …).
        places: int64 (images,): the image in the training split that each row belongs to.
    """

    def __init__(self, method, answers: Mapping[str, Tensor] | Tensor, places: Tensor):
        super().__init__()
        rows = len(answers) if isinstance(answers, Tensor) else len(next(iter(answers.values())))
        if rows != len(places):
            raise ValueError(f"there must be an answer for each image, got {rows} for {len(places)}")
        self.method, self.answers = method, answers
        self.rows = torch.full((int(places.max()) + 1,), -1)
        self.rows[places.cpu()] = torch.arange(rows)

    def forward(self, student, batch, targets, knobs) -> dict[str, Tensor]:
        at = self.rows[batch.indices.cpu()]
        if (at < 0).any():
            raise IndexError("a training image is not among those that the teacher was asked about")
        known = self.answers
        said = known[at] if isinstance(known, Tensor) else {name: answer[at] for name, answer in known.items()}
        return self.method(student, batch, said, knobs)
