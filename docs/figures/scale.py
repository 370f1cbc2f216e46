"""What a neuron with 100 inputs of 1 receives at p = 0.4."""

import numpy as np
from matplotlib import pyplot as plt

import fastdrop

inputs = np.ones((10_000, 100), np.float32)
key = fastdrop.Key(1)
kept = fastdrop.dropout_mask(inputs.shape, 0.4, rng=key).sum(1)
scaled = fastdrop.dropout(inputs, 0.4, rng=key).sum(1)

figure, axes = plt.subplots(figsize=(7, 2.8), layout="constrained")
edges = np.arange(40.5, 80.5)
for values, scale, label in (
    (kept, 1, "training, not scaled"),
    (scaled, 1 / 0.6, "training, scaled"),
):
    axes.hist(values, edges * scale, alpha=0.6, label=f"{label}: mean {values.mean():.1f}")
axes.axvline(100, color="k", ls="--", lw=1, label="evaluation: 100")
axes.set(xlabel="sum of the inputs", ylabel="training steps")
axes.set_ylim(0, 1.25 * axes.get_ylim()[1])
axes.legend(frameon=False, fontsize=9, ncols=3, loc="upper center")
