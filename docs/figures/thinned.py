"""A network and two of its thinned networks."""

from matplotlib import pyplot as plt

import fastdrop

SIZES = (5, 6, 6, 3)
RATES = (0.2, 0.5, 0.5, 0.0)  # inputs, hidden layers, outputs

figure, panels = plt.subplots(1, 3, figsize=(8, 2.9), layout="constrained")
for step, axes in enumerate(panels):
    kept = [
        fastdrop.dropout_mask(n, p if step else 0.0, rng=fastdrop.Key(61 + step, stream=layer))
        for layer, (n, p) in enumerate(zip(SIZES, RATES, strict=True))
    ]
    place = [[(layer, i - (n - 1) / 2) for i in range(n)] for layer, n in enumerate(SIZES)]
    for layer in range(len(SIZES) - 1):
        for i, (x0, y0) in enumerate(place[layer]):
            for j, (x1, y1) in enumerate(place[layer + 1]):
                if kept[layer][i] and kept[layer + 1][j]:
                    axes.plot([x0, x1], [y0, y1], color="0.6", lw=0.6, zorder=1)
    for layer, units in enumerate(place):
        for i, (x, y) in enumerate(units):
            there = kept[layer][i]
            axes.scatter(
                x, y, s=90, zorder=2, color="tab:blue" if there else "white", edgecolor="0.3"
            )
            if not there:
                axes.scatter(x, y, s=40, zorder=3, color="tab:red", marker="x")
    axes.set_title("the whole network" if not step else f"training step {step}", fontsize=10)
    axes.set_axis_off()
