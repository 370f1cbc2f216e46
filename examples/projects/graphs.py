"""PyTorch Geometric: its examples of GCN and GAT on a graph of Cora's size that is made here.

Cora cannot be fetched everywhere. This graph has its 2,708 nodes in seven classes, about its 5,278
edges, four fifths of them within a class, and 1,433 words, of which a node has about 18, more
often those of its class. Networks, rates and optimizers are those of the project's gcn.py and
gat.py; dropout acts on the words too.

    python -m examples.projects.graphs
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name
from torch_geometric.nn import GATConv, GCNConv
from torch_geometric.utils import stochastic_blockmodel_graph

from .common import SEED, Case, Step, main
from .on_torch import prepare, share, switch, training

CLASSES = torch.tensor([351, 217, 418, 818, 426, 298, 180])
EDGES, WITHIN = 5278, 0.8
WORDS, WORDS_OF_A_NODE, OWN = 1433, 18, 0.3
LEARNED = 20
"""Nodes of each class whose class is told."""


class Graph:
    """Words, edges, classes."""

    def __init__(self, quick: bool) -> None:
        torch.manual_seed(SEED)
        sizes = CLASSES // 10 if quick else CLASSES
        edges = EDGES // 10 if quick else EDGES
        pairs = sizes[:, None] * sizes / 2
        inside = pairs.diagonal().sum()
        chance = torch.full((7, 7), (1 - WITHIN) * edges / float(pairs.sum() - inside))
        chance.fill_diagonal_(WITHIN * edges / float(inside))
        self.edges = stochastic_blockmodel_graph(sizes, chance)
        self.classes = torch.repeat_interleave(torch.arange(7), sizes)
        # A seventh of the words is a class's own.
        own = torch.arange(WORDS) % 7 == self.classes[:, None]
        rate = WORDS_OF_A_NODE / WORDS * (1 - OWN + 7 * OWN * own)
        words = torch.bernoulli(rate)
        self.words = words / words.sum(dim=1, keepdim=True).clamp(min=1)
        first = torch.cat([torch.zeros(1, dtype=torch.long), sizes.cumsum(0)[:-1]])
        self.learned = (first[:, None] + torch.arange(min(LEARNED, int(sizes.min())))).flatten()


class GCN(nn.Module):
    """Of the project's examples/gcn.py."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.first = GCNConv(WORDS, 16, cached=True)
        self.second = GCNConv(16, 7, cached=True)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        x = F.dropout(x, p=self.p, training=self.training)
        x = self.first(x, edges).relu()
        x = F.dropout(x, p=self.p, training=self.training)
        return self.second(x, edges)


class GAT(nn.Module):
    """Of the project's examples/gat.py; it drops attention's weights too."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.first = GATConv(WORDS, 8, heads=8, dropout=p)
        self.second = GATConv(64, 7, heads=1, concat=False, dropout=p)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        x = F.dropout(x, p=self.p, training=self.training)
        x = F.elu(self.first(x, edges))
        x = F.dropout(x, p=self.p, training=self.training)
        return self.second(x, edges)


def build(kind: type[GCN | GAT], p: float, rate: float, variant: str, quick: bool) -> Step:
    graph = Graph(quick)
    prepare()
    model = kind(0.0 if variant == "none" else p)
    decay = dict.fromkeys((model.first, model.second), 5e-4)
    if kind is GCN:  # which spares its second layer
        decay[model.second] = 0.0
    optimizer = torch.optim.Adam(
        [{"params": m.parameters(), "weight_decay": d} for m, d in decay.items()], lr=rate
    )

    def loss() -> Tensor:
        scores = model(graph.words, graph.edges)
        return F.cross_entropy(scores[graph.learned], graph.classes[graph.learned])

    return training(model, optimizer, loss)


SIZE = "2,708 nodes, 5,278 edges, 1,433 words"
PACKAGES = ("torch", "torch_geometric")
CASES = (
    Case(
        "PyG's GCN", f"{SIZE}, p = 0.5", lambda *how: build(GCN, 0.5, 0.01, *how),
        switch, share, PACKAGES,
    ),
    Case(
        "PyG's GAT", f"{SIZE}, p = 0.6", lambda *how: build(GAT, 0.6, 0.005, *how),
        switch, share, PACKAGES,
    ),
)  # fmt: skip

if __name__ == "__main__":
    main(CASES, __doc__)
