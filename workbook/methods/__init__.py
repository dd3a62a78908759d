"""Published methods of distillation, a file each: the paper's formula, and how it goes into `kdlab.distil`.

    by its logits       KD                              kdlab.losses      Hinton, Vinyals, Dean 2015
                        logit MSE, logit matching       logit_mse         Ba, Caruana 2014
                        DKD, decoupled                  dkd               Zhao et al. 2022
                        DIST, from a stronger teacher   dist              Huang et al. 2022
                        logit standardization           logit_standardization   Sun et al. 2024
                        weights and temperatures        per_sample        Zhou et al. 2021, Li et al. 2023
    by its features     FitNets, hints                  fitnets           Romero et al. 2015
                        AT, attention transfer          attention_transfer      Zagoruyko, Komodakis 2017
                        RKD, relational                 rkd               Park et al. 2019
                        SP, similarity-preserving       similarity_preserving   Tung, Mori 2019
                        CRD, contrastive                crd               Tian, Krishnan, Isola 2020
                        ReviewKD, knowledge review      reviewkd          Chen et al. 2021
    who teaches whom    several teachers, ensembles     several_teachers  You et al. 2017
                        DML, mutual learning            mutual_learning   Zhang et al. 2018
                        BAN, born-again networks        born_again        Furlanello et al. 2018
                        TAKD, teacher assistants        teacher_assistant Mirzadeh et al. 2020
    language models     forward, reverse KL, JSD, GKD   token_level       Agarwal et al. 2024
                        top-k logits                    top_k             Anshumann et al. 2025
                        ULD, another vocabulary         uld               Boizard et al. 2024

In every method's step `loss = alpha · soft + (1 − alpha) · cross-entropy`, with the knobs' alpha. What learns from
features wants both models tapped, and at alpha = 1 leaves the layers behind those features as they were:

    distil(tap(student, "blocks.2"), dataset, teacher=tap(teacher, "blocks.8"), method=rkd.method, steps=300)
"""

from kdlab import losses
from workbook.methods import attention_transfer, dist, dkd, logit_mse, logit_standardization, rkd, similarity_preserving
from workbook.methods.base import tap
from workbook.methods.crd import CRD
from workbook.methods.fitnets import Hints
from workbook.methods.reviewkd import Review

__all__ = ["FROM_FEATURES", "FROM_LOGITS", "WITH_PARAMETERS", "tap"]

# the methods of a comparison, by their papers' names: each goes into `kdlab.distil(…, method=…)` as it is
FROM_LOGITS = {
    "KD": losses.logits,
    "logit MSE": logit_mse.method,
    "DKD": dkd.method,
    "DIST": dist.method,
    "logit standardization": logit_standardization.method,
}
FROM_FEATURES = {"AT": attention_transfer.method, "RKD": rkd.method, "SP": similarity_preserving.method}
# made from (tapped student, tapped teacher, an image's shape) first; CRD wants to know how many images there are, too
WITH_PARAMETERS = {"FitNets": Hints, "CRD": CRD, "ReviewKD": Review}
