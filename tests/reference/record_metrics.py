"""Writes metrics.npz: ``python tests/reference/record_metrics.py``, with torch-fidelity 0.4.0.

Two sets of random features (float64), one of them with a direction in which nothing
varies, and logits; and what torch-fidelity makes of exactly these arrays.
"""

from pathlib import Path

import numpy as np
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

KID = {"kid_kernel": "poly", "kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None,
       "kid_kernel_poly_coef0": 1.0, "rng_seed": 2020, "verbose": False}  # fmt: skip


def features():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(80, 6)) @ rng.normal(size=(6, 6))
    samples = 0.7 * rng.normal(size=(80, 6)) @ rng.normal(size=(6, 6)) + 0.5
    samples[:, 5] = 1.0
    return samples, real, 3 * rng.normal(size=(80, 4))


def main():
    samples, real, logits = features()
    a, b = torch.tensor(samples), torch.tensor(real)
    fid = fid_statistics_to_metric(
        fid_features_to_statistics(a), fid_features_to_statistics(b), verbose=False
    )
    whole = kid_features_to_metric(a, b, kid_subsets=1, kid_subset_size=80, **KID)
    subsets = kid_features_to_metric(a, b, kid_subsets=5, kid_subset_size=30, **KID)
    isc = isc_features_to_metric(torch.tensor(logits), splits=4, shuffle=False)
    prc = prc_features_to_metric(
        a, b, prc_neighborhood=3, prc_batch_size=80, save_cpu_ram=False, verbose=False
    )
    np.savez_compressed(
        Path(__file__).parent / "metrics.npz",
        samples=samples, real=real, logits=logits,
        fid=fid["frechet_inception_distance"],
        kid=whole["kernel_inception_distance_mean"],
        kid_subsets=subsets["kernel_inception_distance_mean"],
        class_score=isc["inception_score_mean"], class_score_std=isc["inception_score_std"],
        precision=prc["precision"], recall=prc["recall"],
    )  # fmt: skip


if __name__ == "__main__":
    main()
