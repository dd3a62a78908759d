"""The losses of sixteen libraries and pages, each written anew after its own code, with its own names.

z are a student's logits, t the teacher's, both (batch, classes); y labels, int64 (batch,); the answer is a scalar in
nats. What their settings mean, and how they translate, is said in conventions.py.
"""

import torch
import torch.nn.functional as F


def tutorial(z, t, y, *, T, soft_target_loss_weight, ce_loss_weight):
    p, log_q = F.softmax(t / T, dim=-1), F.log_softmax(z / T, dim=-1)
    soft = torch.sum(p * (p.log() - log_q)) / len(z) * T**2
    return soft_target_loss_weight * soft + ce_loss_weight * F.cross_entropy(z, y)


def keras(z, t, y, *, student_loss_weight, temperature):
    p, q = (F.softmax(x / temperature, dim=-1).clamp(1e-7, 1) for x in (t, z))  # clipped, as keras.losses does it
    soft = (p * (p / q).log()).sum(-1).mean() * temperature**2
    return student_loss_weight * F.cross_entropy(z, y) + (1 - student_loss_weight) * soft


def keras_example(z, t, y, *, alpha, temperature):
    p, q = (F.softmax(x / temperature, dim=1).clamp(1e-7, 1) for x in (t, z))
    return alpha * F.cross_entropy(z, y) + (1 - alpha) * (p * (p / q).log()).sum(-1).mean()


def repdistiller(z, t, y, *, gamma, alpha, kd_T):
    soft = F.kl_div(F.log_softmax(z / kd_T, dim=1), F.softmax(t / kd_T, dim=1), reduction="sum") * kd_T**2 / z.shape[0]
    return gamma * F.cross_entropy(z, y) + alpha * soft


def torchdistill(z, t, y, *, temperature, alpha, beta):
    log_q, p = F.log_softmax(z / temperature, dim=1), F.softmax(t / temperature, dim=1)
    soft = F.kl_div(log_q, p, reduction="batchmean")
    return alpha * F.cross_entropy(z, y) + beta * temperature**2 * soft if alpha else soft


def mdistiller(z, t, y, *, CE_WEIGHT, KD_WEIGHT, TEMPERATURE):
    log_q, p = F.log_softmax(z / TEMPERATURE, dim=1), F.softmax(t / TEMPERATURE, dim=1)
    soft = F.kl_div(log_q, p, reduction="none").sum(1).mean() * TEMPERATURE**2
    return CE_WEIGHT * F.cross_entropy(z, y) + KD_WEIGHT * soft


def dkd(z, t, y, *, CE_WEIGHT, ALPHA, BETA, T):
    right = F.one_hot(y, z.shape[1]).bool()
    p, q = F.softmax(t / T, dim=1)[right], F.softmax(z / T, dim=1)[right]
    target = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()  # the label against all others
    others, log_others = (x / T - 1000.0 * right for x in (t, z))  # without the label
    rest = F.kl_div(F.log_softmax(log_others, dim=1), F.softmax(others, dim=1), reduction="none").sum(1)
    return CE_WEIGHT * F.cross_entropy(z, y) + T**2 * (ALPHA * target + BETA * rest).mean()


def kd_lib(z, t, y, *, distil_weight, temp):
    soft = F.mse_loss(F.softmax(t / temp, dim=1), F.softmax(z / temp, dim=1))
    return (1 - distil_weight) * F.cross_entropy(z, y) + distil_weight * temp**2 * soft


def haitongli(z, t, y, *, alpha, temperature):
    log_q, p = F.log_softmax(z / temperature, dim=1), F.softmax(t / temperature, dim=1)
    soft = (p * (p.log() - log_q)).mean()  # nn.KLDivLoss(), whose default is the mean over all numbers
    return soft * (alpha * temperature**2) + F.cross_entropy(z, y) * (1 - alpha)


def distillation_zoo(z, t, y, *, lambda_kd, T):
    soft = F.kl_div(F.log_softmax(z / T, dim=1), F.softmax(t / T, dim=1), reduction="batchmean") * T * T
    return F.cross_entropy(z, y) + soft * lambda_kd


def textbrewer(z, t, y, *, kd_loss_weight, hard_label_weight, temperature):
    p, log_q = F.softmax(t / temperature, dim=-1), F.log_softmax(z / temperature, dim=-1)
    return kd_loss_weight * -(p * log_q).sum(-1).mean() + hard_label_weight * F.cross_entropy(z, y)


def deit(z, t, y, *, alpha, tau):
    logs = (F.log_softmax(x / tau, dim=1) for x in (z, t))
    soft = F.kl_div(*logs, reduction="sum", log_target=True) * tau**2 / z.numel()
    return F.cross_entropy(z, y) * (1 - alpha) + soft * alpha


def model_optimizer(z, t, y, *, kd_loss_weight, temperature):
    log_q, p = F.log_softmax(z / temperature, dim=-1), F.softmax(t / temperature, dim=-1)
    soft = (torch.xlogy(p, p) - p * log_q).mean() * temperature**2  # F.kl_div(…, reduction="mean")
    return kd_loss_weight * soft + (1 - kd_loss_weight) * F.cross_entropy(z, y)


def timm(z, t, y, *, task_loss_weight, distill_loss_weight, temperature):
    log_q, log_p = (F.log_softmax(x / temperature, dim=-1) for x in (z, t))
    soft = F.kl_div(log_q, log_p, reduction="batchmean", log_target=True) * temperature**2
    return task_loss_weight * F.cross_entropy(z, y) + distill_loss_weight * soft


def torchtune(z, t, y, *, kd_ratio):
    soft = -(F.softmax(t, dim=-1) * F.log_softmax(z, dim=-1)).sum(-1).mean()  # every label counts: none is masked
    return (1 - kd_ratio) * F.cross_entropy(z, y) + kd_ratio * soft


def hf_guide(z, t, y, *, lambda_param, temperature):
    log_q, p = F.log_softmax(z / temperature, dim=-1), F.softmax(t / temperature, dim=-1)
    soft = F.kl_div(log_q, p, reduction="batchmean") * temperature**2
    return (1 - lambda_param) * F.cross_entropy(z, y) + lambda_param * soft
