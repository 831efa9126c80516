"""DeepCluster on the pixels of one picture.

M. Caron et al., Deep clustering for unsupervised learning of visual features, ECCV 2018.
k-means of the features gives pseudo-labels, which the network learns with a fresh classifier,
in turn.
"""

from __future__ import annotations

import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor, nn
from torch.nn import functional as F

from .per_image import CHANNELS, convolutions, picture_method

CLUSTERS, EPOCHS, STEPS = 4, 8, 6


def cluster(image: Tensor) -> Tensor:
    """Labels (H, W) of a picture (1, C, H, W)."""
    network = convolutions(image.shape[1])
    for _ in range(EPOCHS):
        labels = _pseudo_labels(network, image)
        classifier = nn.Conv2d(CHANNELS, CLUSTERS, 1)
        parameters = [*network.parameters(), *classifier.parameters()]
        optimizer = torch.optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=1e-5)
        # Pixels count by the size of their cluster, so that no trivial solution is worth it.
        weight = 1 / torch.bincount(labels.flatten(), minlength=CLUSTERS).clamp(min=1).float()
        for _ in range(STEPS):
            loss = F.cross_entropy(classifier(network(image)), labels[None], weight)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return _pseudo_labels(network, image)


def _pseudo_labels(network: nn.Module, image: Tensor) -> Tensor:
    with torch.no_grad():
        features = F.normalize(network(image)[0].flatten(1).T)
    seed = int(torch.randint(2**31, (1,)))
    _, labels = kmeans2(features.double().numpy(), CLUSTERS, minit="++", seed=seed)
    return torch.from_numpy(labels).long().view(image.shape[2:])


METHOD = picture_method(cluster)
