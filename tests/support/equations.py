"""The attention blocks a second time: the papers' equations in float64 NumPy, position by position.

Nothing here knows PyTorch or the package under test. Weights come in as plain arrays; loops are
preferred to cleverness, so that each line can be read beside its equation.
"""

from math import fsum

import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def summarize(values, pool):
    """The average or the maximum of a list of numbers."""
    values = [float(value) for value in values]
    return fsum(values) / len(values) if pool == "avg" else max(values)


def pool_positions(x, pool):
    """[B, C, H, W] -> [B, C]: one number for each channel of each image."""
    return np.array([[summarize(channel.ravel(), pool) for channel in image] for image in x])


def pool_channels(x, pool):
    """[B, C, H, W] -> [B, H, W]: one number for each position of each image."""
    batch, _, height, width = x.shape
    pooled = np.empty((batch, height, width))
    for n in range(batch):
        for i in range(height):
            for j in range(width):
                pooled[n, i, j] = summarize(x[n, :, i, j], pool)
    return pooled


def mlp(z, w1, w2, b1=0.0, b2=0.0):
    """[B, C] -> [B, C]: W2 ReLU(W1 z + b1) + b2, with W1 [C/r, C] and W2 [C, C/r]."""
    hidden = np.einsum("hc,bc->bh", w1, z) + b1
    return np.einsum("ch,bh->bc", w2, np.where(hidden > 0, hidden, 0)) + b2


def convolve_channels(z, kernel):
    """[B, C] -> [B, C]: each channel and its neighbors, weighted by the k weights of the kernel."""
    batch, channels = z.shape
    out = np.zeros((batch, channels))
    for c in range(channels):
        for t, weight in enumerate(kernel):
            neighbor = c + t - len(kernel) // 2
            if 0 <= neighbor < channels:
                out[:, c] += weight * z[:, neighbor]
    return out


def convolve_positions(maps, kernel):
    """[B, P, H, W] and a kernel [P, k, k] -> [B, H, W], with zeros beyond the edges."""
    batch, _, height, width = maps.shape
    half = kernel.shape[1] // 2
    out = np.zeros((batch, height, width))
    for i in range(height):
        for j in range(width):
            for u in range(kernel.shape[1]):
                for v in range(kernel.shape[2]):
                    y, x = i + u - half, j + v - half
                    if 0 <= y < height and 0 <= x < width:
                        out[:, i, j] += maps[:, :, y, x] @ kernel[:, u, v]
    return out


def channel_map_fc(x, pools, w1, w2, b1=0.0, b2=0.0):
    """Squeeze-and-excitation (one pool, the average) and CBAM's equation 2: [B, C, 1, 1]."""
    scores = np.zeros(x.shape[:2])
    for pool in pools:
        scores += mlp(pool_positions(x, pool), w1, w2, b1, b2)
    return sigmoid(scores)[:, :, None, None]


def channel_map_conv(x, pools, kernel):
    """ECA-Net's convolution along the channels: [B, C, 1, 1]."""
    scores = np.zeros(x.shape[:2])
    for pool in pools:
        scores += convolve_channels(pool_positions(x, pool), kernel)
    return sigmoid(scores)[:, :, None, None]


def spatial_scores(x, pools, kernel, squeeze=None, bias=0.0):
    """What stands inside the sigmoid of CBAM's equation 3: [B, H, W]."""
    maps = [
        np.einsum("c,bchw->bhw", squeeze, x) if pool == "conv" else pool_channels(x, pool)
        for pool in pools
    ]
    return convolve_positions(np.stack(maps, axis=1), kernel) + bias


def batch_norm(scores, weight, bias, mean, variance, eps=1e-5):
    return (scores - mean) / np.sqrt(variance + eps) * weight + bias


def spatial_map(scores):
    """[B, H, W] -> [B, 1, H, W]."""
    return sigmoid(scores)[:, None]


def arrange(x, channel, spatial, order):
    """CBAM's equation 1 and its alternatives: (refined features, channel map, spatial map).

    ``channel`` and ``spatial`` are functions from features to their map.
    """
    if order == "channel":
        return channel(x) * x, channel(x), None
    if order == "spatial":
        return spatial(x) * x, None, spatial(x)
    if order == "parallel":
        return channel(x) * spatial(x) * x, channel(x), spatial(x)
    if order == "channel-spatial":
        between = channel(x) * x
        return spatial(between) * between, channel(x), spatial(between)
    if order == "spatial-channel":
        between = spatial(x) * x
        return channel(between) * between, channel(between), spatial(x)
    raise KeyError(order)
