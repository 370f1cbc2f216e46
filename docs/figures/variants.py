"""What is dropped together: elements, channels, blocks, samples."""

import numpy as np
from matplotlib import pyplot as plt

import fastdrop

x = np.ones((2, 4, 24, 24), np.float32)
key = fastdrop.Key(8)
shown = {
    "dropout": fastdrop.dropout(x, 0.25, rng=key),
    "dropout2d": fastdrop.dropout2d(x, 0.25, rng=key),
    "drop_block2d": fastdrop.drop_block2d(x, 0.25, 7, rng=key),
    "drop_path": fastdrop.drop_path(x, 0.25, rng=fastdrop.Key(2)),
}
figure, panels = plt.subplots(1, 4, figsize=(8, 4.2), layout="constrained")
for axes, (name, y) in zip(panels, shown.items(), strict=True):
    framed = np.pad(
        np.where(y > 0, 1.0, 0.0), ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=0.5
    )
    axes.imshow(
        np.block([[framed[s, c] for s in range(2)] for c in range(4)]), cmap="Blues", vmin=0, vmax=1
    )
    axes.set_title(name, fontsize=10, family="monospace")
    axes.set_xticks([12, 38], ["sample 1", "sample 2"], fontsize=8)
    axes.set_yticks([])
