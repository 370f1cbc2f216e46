"""A block of the stream: 64 steps of 16 lanes with four fields each."""

import ctypes

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle

from fastdrop import capi

fields = np.empty(4096, np.int16)
read = capi.functions["fd_fields_at"].ctypes
if read(fields.ctypes.data_as(ctypes.c_void_p), fields.size, 1, 0, 0):
    raise RuntimeError("no fields")
dropped = (fields < 0.3 * 65536 - 32768).reshape(64, 64)

figure, axes = plt.subplots(figsize=(6, 5), layout="constrained")
axes.imshow(dropped, cmap="Blues", vmax=1.6)
for lane in range(1, 16):
    axes.axvline(4 * lane - 0.5, color="0.6", lw=0.6)
axes.add_patch(Rectangle((-0.5, 9.5), 64, 1, fill=False, edgecolor="tab:red", lw=1.5))
axes.text(64.5, 10, "step 10", color="tab:red", va="center")
axes.set_xticks([4 * lane + 1.5 for lane in range(16)], range(16))
axes.set_yticks(range(0, 64, 8))
axes.set(xlabel="lane", ylabel="step")
