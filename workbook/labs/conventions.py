"""Sixteen published conventions of the distillation loss, each computed by itself, and a translator between them.

The formulas stand in peers.py. What a wrong copy costs is left to the notebook.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from kdlab import losses
from workbook.labs import peers

KL, SOFT_CE = "KL", "soft cross-entropy"  # equal gradients: they differ by the teacher's entropy


class Pull(NamedTuple):
    """What a gradient is made of: hard · ∇CE + soft · ∇KL(teacher_T ‖ student_T), both averaged over images alone."""

    hard: float
    soft: float
    temperature: float


@dataclass(frozen=True)
class Convention:
    """How one library, or one page, writes the loss.

    Of the names `soft` (weighs the teacher) and `hard` (weighs the labels) one may be "": then that weight is one minus
    the other, or always 1 where `fixed`. `temperature` is "" where there is none. `start` holds the published defaults,
    or a usual choice where there are none. `per_number`: the soft loss is averaged over images and classes. `squared`:
    it is multiplied by T². `drops`: without labels it is the bare KL. `fill` completes settings that may be left out.
    """

    name: str
    source: str
    soft: str
    hard: str
    temperature: str
    start: Mapping[str, float]
    code: str
    formula: Callable[..., Tensor]
    form: str = KL
    per_number: bool = False
    squared: bool = True
    fixed: bool = False
    drops: bool = False
    fill: Callable[[Mapping], dict] = dict
    note: str = ""

    @property
    def translatable(self) -> bool:
        return self.form in (KL, SOFT_CE)

    def complete(self, settings: Mapping[str, float]) -> dict[str, float]:
        """All its settings: those given, and `start` for the others. ValueError: a wrong name or value."""
        if unknown := [name for name in settings if name not in self.start]:
            raise ValueError(f"{self.name} has no {unknown[0]!r}; its settings are {', '.join(self.start)}")
        given = {**self.start, **self.fill(settings)}
        for name, value in given.items():
            heat = name == self.temperature
            if not isinstance(value, int | float) or not (value > 0 if heat else value >= 0) or not value < math.inf:
                raise ValueError(f"{name} of {self.name} must be {'>' if heat else '>='} 0 and finite, got {value}")
        names = [name for name in (self.soft, self.hard) if name]
        if len(names) == 1 and not self.fixed and given[names[0]] > 1:
            raise ValueError(f"{names[0]} of {self.name} must be in [0, 1], got {given[names[0]]}")
        if len(names) == 2 and not self.drops and not any(given[name] for name in names):
            raise ValueError(f"{names[0]} and {names[1]} of {self.name} are both 0: nothing would be learned")
        return given

    def loss(self, *, student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, **settings: float) -> Tensor:
        """The loss as this convention writes it, a scalar in nats; logits (batch, classes), labels int64 (batch,)."""
        return self.formula(student_logits, teacher_logits.detach(), labels, **self.complete(settings))

    def pull(self, settings: Mapping[str, float], classes: int | None = None) -> Pull:
        """What the settings do to the gradient. ValueError: another loss, or no number of classes where it counts."""
        self._demand_kl()
        given = self.complete(settings)
        soft = given[self.soft] if self.soft else 1 - given[self.hard]
        hard = given[self.hard] if self.hard else 1.0 if self.fixed else 1 - soft
        temperature = given[self.temperature] if self.temperature else 1.0
        if self.drops and not hard:
            return Pull(0.0, 1.0, temperature)
        return Pull(hard, soft * self._per_weight(temperature, classes), temperature)

    def settings_for(self, wanted: Pull, classes: int | None = None) -> tuple[dict[str, float], float]:
        """Its settings with this gradient, up to a scale, and the scale: its gradient = scale · the wanted one."""
        self._demand_kl()
        hard, soft, temperature = wanted
        if not self.temperature and soft and temperature != 1:
            raise ValueError(f"{self.name} has no temperature: only T = 1 translates, got {temperature:g}")
        if self.fixed and not hard:
            raise ValueError(f"in {self.name} the labels always weigh 1, and here they weigh nothing")
        if self.drops and not hard:
            return {self.temperature: temperature, self.hard: 0.0, self.soft: 1.0}, 1 / soft  # soft is not looked at
        soft = soft / self._per_weight(temperature if self.temperature else 1.0, classes)
        total = hard if self.fixed else 1.0 if self.soft and self.hard else hard + soft
        found = {self.temperature: temperature, self.hard: hard / total, self.soft: soft / total}
        return {name: found[name] for name in self.start}, 1 / total

    def line(self, settings: Mapping[str, float]) -> str:
        """The settings as a line of its own code."""
        return self.code.format(**{name: f"{value:.10g}" for name, value in self.complete(settings).items()})

    def facts(self) -> dict:
        """What a panel needs to know, as plain data."""
        names = "name source soft hard temperature code form per_number squared fixed drops translatable note".split()
        return {name: getattr(self, name) for name in names} | {"start": dict(self.start)}

    def _per_weight(self, temperature: float, classes: int | None) -> float:
        if self.per_number and (not isinstance(classes, int) or classes < 2):
            raise ValueError(f"{self.name} averages over the classes, too: say how many there are, got {classes}")
        return (temperature**2 if self.squared else 1.0) / (classes if self.per_number else 1)

    def _demand_kl(self) -> None:
        if not self.translatable:
            raise ValueError(f"{self.name} has another loss, {self.form}: no setting of a KL has its gradient")


class Translation(NamedTuple):
    """Settings of the target, and what they do not say.

    The target's gradient is `scale` times the source's: divide the learning rate of plain SGD by it. The target's loss
    is scale · the source's + entropies · H, where H is the teacher's mean `entropy` at the temperature.
    """

    settings: dict[str, float]
    scale: float
    entropies: float
    line: str


def find(name: str) -> Convention:
    """A convention by its name; ValueError with all names for one that is not there."""
    if name not in CONVENTIONS:
        raise ValueError(f"there is no convention {name!r}; there are: {', '.join(CONVENTIONS)}")
    return CONVENTIONS[name]


def translate(settings: Mapping[str, float], source: str, target: str, classes: int | None = None) -> Translation:
    """The settings of another convention whose gradient is the same up to one number.

    Args:
        settings: of the source; what is left out is as published.
        source, target: names in CONVENTIONS.
        classes: how many; needed where one of the two averages over them.

    Returns a Translation. ValueError, in a sentence: an unknown name, a value out of range, or no translation.
    """
    one, other = find(source), find(target)
    if one is other:
        same = one.complete(settings)
        return Translation(same, 1.0, 0.0, one.line(same))
    wanted = one.pull(settings, classes)
    found, scale = other.settings_for(wanted, classes)
    soft = wanted.soft * scale
    entropies = soft * ((other.form == SOFT_CE) - (one.form == SOFT_CE))
    return Translation(found, scale, entropies, other.line(found))


def copied(settings: Mapping[str, float], source: str, target: str) -> dict[str, float]:
    """The target's settings where the numbers are carried over unchanged, as people do.

    One weight goes to the one weight, whatever it weighs; two weights go to those of the same meaning.
    """
    one, other = find(source), find(target)
    given = one.complete(settings)
    soft = given[one.soft] if one.soft else 1 - given[one.hard]
    hard = given[one.hard] if one.hard else 1.0 if one.fixed else 1 - soft
    if bool(one.soft) != bool(one.hard) and bool(other.soft) != bool(other.hard):
        found = {other.soft or other.hard: given[one.soft or one.hard]}
    else:
        found = {other.soft: soft, other.hard: hard}
    if other.temperature:
        found[other.temperature] = given[one.temperature] if one.temperature else 1.0
    return {name: found[name] for name in other.start}


def times(settings: Mapping[str, float], source: str, target: str, classes: int | None = None) -> float:
    """By how many times the teacher outweighs the labels more than it did, where the numbers are copied unchanged.

    1 is right, 0.1 ten times too weak; inf where the labels are lost, 0 where the teacher is. It is the change of
    soft / hard in `Pull`, and says nothing of a temperature that the target does not have.
    """
    before = find(source).pull(settings, classes)
    after = find(target).pull(copied(settings, source, target), classes)
    ends = before.soft * after.hard, after.soft * before.hard
    return ends[1] / ends[0] if ends[0] else math.inf if ends[1] else 1.0 if before[:2] == after[:2] else math.nan


def entropy(teacher_logits: Tensor, temperature: float) -> Tensor:
    """The mean entropy of the teacher's soft targets in nats, a scalar; logits (batch, classes)."""
    return torch.special.entr(losses.soft_targets(teacher_logits, temperature)).sum(1).mean()


def method(name: str, **settings: float) -> Callable:
    """A convention as `kdlab.distil(…, method=…)`; of the knobs it takes the learning rate alone.

    It computes in the precision of the student's weights.
    """
    convention = find(name)
    convention.complete(settings)

    def step(student, batch, targets, knobs) -> dict[str, Tensor]:
        dtype = next(student.parameters()).dtype
        answer = losses.as_logits(student(batch.images.to(dtype)))
        taught = losses.as_logits(targets).to(dtype)
        loss = convention.loss(student_logits=answer, teacher_logits=taught, labels=batch.labels, **settings)
        return {"loss": loss}

    return step


def _kdlab(z, t, y, *, alpha, temperature):
    options = dict(labels=y, alpha=alpha, temperature=temperature)
    return losses.distillation_loss(student_logits=z, teacher_logits=t, **options)


def _fill_torchdistill(given: Mapping) -> dict:
    if given.get("alpha", 0.5) is None and given.get("beta") is None:
        raise ValueError("torchdistill with alpha=None must be given a beta; its own answer is a TypeError")
    alpha = given.get("alpha", 0.5) or 0.0  # None and 0 are the same to it
    return {**given, "alpha": alpha, "beta": 1 - alpha if given.get("beta") is None else given["beta"]}


def _fill_timm(given: Mapping) -> dict:
    task, distill = given.get("task_loss_weight"), given.get("distill_loss_weight")
    if distill is None:
        distill = 1.0 if task is None else 1 - task
    return {**given, "task_loss_weight": 1.0 if task is None else task, "distill_loss_weight": distill}


_ALL = (
    Convention(
        "PyTorch tutorial", "pytorch/tutorials: knowledge_distillation_tutorial.py", "soft_target_loss_weight",
        "ce_loss_weight", "T", {"T": 2.0, "soft_target_loss_weight": 0.25, "ce_loss_weight": 0.75},
        "train_knowledge_distillation(…, T={T}, soft_target_loss_weight={soft_target_loss_weight},"
        " ce_loss_weight={ce_loss_weight})", peers.tutorial, note="its first version had the soft cross-entropy",
    ),
    Convention(
        "Keras 3", "keras-team/keras: keras.distillation", "", "student_loss_weight", "temperature",
        {"student_loss_weight": 0.5, "temperature": 3.0},
        "Distiller(…, LogitsDistillation(temperature={temperature}, loss=keras.losses.KLDivergence()),"
        " student_loss_weight={student_loss_weight})", peers.keras,
        note="only with KLDivergence(): the default, a text, has neither softmax nor T²",
    ),
    Convention(
        "Keras example, before T²", "keras-team/keras-io: examples/vision/knowledge_distillation.py", "", "alpha",
        "temperature", {"alpha": 0.1, "temperature": 3.0},
        "distiller.compile(…, alpha={alpha}, temperature={temperature})", peers.keras_example, squared=False,
        note="since pull request 870 it has T², and is then as Keras 3",
    ),
    Convention(
        "RepDistiller", "HobbitLong/RepDistiller: distiller_zoo/KD.py, helper/loops.py", "alpha", "gamma", "kd_T",
        {"gamma": 0.1, "alpha": 0.9, "kd_T": 4.0},
        "train_student.py --distill kd -r {gamma} -a {alpha} -b 0 --kd_T {kd_T}", peers.repdistiller,
    ),
    Convention(
        "torchdistill", "yoshitomo-matsubara/torchdistill: KDLoss", "beta", "alpha", "temperature",
        {"temperature": 4.0, "alpha": 0.5, "beta": 0.5},
        "KDLoss(…, temperature={temperature}, alpha={alpha}, beta={beta})", peers.torchdistill, drops=True,
        fill=_fill_torchdistill, note="with alpha 0 or None it returns the bare KL, without beta and T²",
    ),
    Convention(
        "mdistiller", "megvii-research/mdistiller: distillers/KD.py", "KD_WEIGHT", "CE_WEIGHT", "TEMPERATURE",
        {"TEMPERATURE": 4.0, "CE_WEIGHT": 0.1, "KD_WEIGHT": 0.9},
        "KD.TEMPERATURE {TEMPERATURE} KD.LOSS.CE_WEIGHT {CE_WEIGHT} KD.LOSS.KD_WEIGHT {KD_WEIGHT}", peers.mdistiller,
    ),
    Convention(
        "mdistiller DKD", "megvii-research/mdistiller: distillers/DKD.py", "BETA", "CE_WEIGHT", "T",
        {"CE_WEIGHT": 1.0, "ALPHA": 1.0, "BETA": 8.0, "T": 4.0},
        "DKD.T {T} DKD.CE_WEIGHT {CE_WEIGHT} DKD.ALPHA {ALPHA} DKD.BETA {BETA}", peers.dkd,
        form="the label and the other classes weighed apart",
    ),
    Convention(
        "KD_Lib", "SforAiDl/KD_Lib: vision/vanilla", "distil_weight", "", "temp", {"temp": 20.0, "distil_weight": 0.5},
        "VanillaKD(…, temp={temp}, distil_weight={distil_weight})", peers.kd_lib, form="the MSE of the softmaxes",
        per_number=True,
    ),
    Convention(
        "haitongli", "haitongli/knowledge-distillation-pytorch: model/net.py", "alpha", "", "temperature",
        {"alpha": 0.9, "temperature": 20.0}, 'params.json: "alpha": {alpha}, "temperature": {temperature}',
        peers.haitongli, per_number=True,
    ),
    Convention(
        "Distillation-Zoo", "AberHu/Knowledge-Distillation-Zoo: kd_losses/st.py", "lambda_kd", "", "T",
        {"lambda_kd": 1.0, "T": 4.0}, "train_kd.py --kd_mode st --lambda_kd {lambda_kd} --T {T}",
        peers.distillation_zoo, fixed=True,
    ),
    Convention(
        "TextBrewer", "airaria/TextBrewer: losses.py", "kd_loss_weight", "hard_label_weight", "temperature",
        {"temperature": 4.0, "kd_loss_weight": 1.0, "hard_label_weight": 0.0},
        "DistillationConfig(temperature={temperature}, kd_loss_weight={kd_loss_weight},"
        " hard_label_weight={hard_label_weight})", peers.textbrewer, form=SOFT_CE, squared=False,
    ),
    Convention(
        "DeiT", "facebookresearch/deit: losses.py", "alpha", "", "tau", {"alpha": 0.5, "tau": 1.0},
        "--distillation-type soft --distillation-alpha {alpha} --distillation-tau {tau}", peers.deit, per_number=True,
    ),
    Convention(
        "Model-Optimizer", "NVIDIA/Model-Optimizer: modelopt/torch/distill", "kd_loss_weight", "", "temperature",
        {"kd_loss_weight": 0.5, "temperature": 1.0},
        "StaticLossBalancer([{kd_loss_weight}]), LogitsDistillationLoss(temperature={temperature})",
        peers.model_optimizer, per_number=True,
    ),
    Convention(
        "timm", "huggingface/pytorch-image-models: timm/task/distillation.py", "distill_loss_weight",
        "task_loss_weight", "temperature",
        {"task_loss_weight": 1.0, "distill_loss_weight": 1.0, "temperature": 1.0},
        "LogitDistillationTask(…, task_loss_weight={task_loss_weight}, distill_loss_weight={distill_loss_weight},"
        " temperature={temperature})", peers.timm, fill=_fill_timm,
    ),
    Convention(
        "torchtune", "pytorch/torchtune: modules/loss/kd_losses.py", "kd_ratio", "", "", {"kd_ratio": 0.5},
        "kd_ratio: {kd_ratio}", peers.torchtune, form=SOFT_CE, squared=False,
    ),
    Convention(
        "HF guide", "huggingface/transformers: tasks/knowledge_distillation_for_image_classification", "lambda_param",
        "", "temperature", {"temperature": 5.0, "lambda_param": 0.5},
        "ImageDistilTrainer(…, temperature={temperature}, lambda_param={lambda_param})", peers.hf_guide,
        note="in a first draft of the page the same letter weighed the labels",
    ),
    Convention(
        "kdlab", "this workbook: kdlab.losses.distillation_loss", "alpha", "", "temperature",
        {"alpha": 1.0, "temperature": 4.0}, "Knobs(alpha={alpha}, temperature={temperature})", _kdlab,
    ),
)
CONVENTIONS = {convention.name: convention for convention in _ALL}  # the sixteen, and this workbook's
