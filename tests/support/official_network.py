"""A network as CBAM's authors build theirs: their structure and their names, written anew.

Nothing here is of the course, so that the course can be compared with it. What matters is where a
block is, that its MLP is a sequence of four with linear layers at 1 and 3, that the maximum comes
before the average, and that each block has the stride where theirs has it (version 1.5).
"""

import torch
import torch.nn.functional as F
from torch import nn


class ChannelGate(nn.Module):
    def __init__(self, channels, reduction):
        super().__init__()
        hidden = channels // reduction
        self.mlp = nn.Sequential(
            nn.Flatten(), nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels)
        )

    def forward(self, x):
        size = x.shape[2:]
        scores = self.mlp(F.avg_pool2d(x, size)) + self.mlp(F.max_pool2d(x, size))
        return x * torch.sigmoid(scores).unsqueeze(2).unsqueeze(3)


class Spatial(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.bn = nn.BatchNorm2d(1, momentum=0.01)

    def forward(self, x):
        return self.bn(self.conv(x))


class SpatialGate(nn.Module):
    def __init__(self):
        super().__init__()
        self.spatial = Spatial()

    def forward(self, x):
        maps = torch.stack([x.max(dim=1).values, x.mean(dim=1)], dim=1)
        return x * torch.sigmoid(self.spatial(maps))


class OfficialCBAM(nn.Module):
    def __init__(self, channels, reduction=16, no_spatial=False):
        super().__init__()
        self.ChannelGate = ChannelGate(channels, reduction)
        if not no_spatial:
            self.SpatialGate = SpatialGate()

    def forward(self, x):
        x = self.ChannelGate(x)
        return self.SpatialGate(x) if hasattr(self, "SpatialGate") else x


class Residual(nn.Module):
    """One residual block, basic (two convolutions) or bottleneck (three)."""

    def __init__(self, inputs, width, stride, bottleneck, attention):
        super().__init__()
        shapes = [(inputs, width, 3, stride), (width, width, 3, 1)]
        if bottleneck:
            shapes = [(inputs, width, 1, 1), (width, width, 3, stride), (width, 4 * width, 1, 1)]
        self.depth = len(shapes)
        for number, (a, b, kernel, step) in enumerate(shapes, start=1):
            conv = nn.Conv2d(a, b, kernel, step, padding=kernel // 2, bias=False)
            setattr(self, f"conv{number}", conv)
            setattr(self, f"bn{number}", nn.BatchNorm2d(b))
        self.downsample = None
        if stride != 1 or inputs != b:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, b, 1, stride, bias=False), nn.BatchNorm2d(b)
            )
        self.cbam = attention(b)

    def forward(self, x):
        out = x
        for number in range(1, self.depth + 1):
            out = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(out))
            if number < self.depth:
                out = torch.relu(out)
        shortcut = x if self.downsample is None else self.downsample(x)
        return torch.relu(self.cbam(out) + shortcut)


class OfficialResNet(nn.Module):
    """Stages of residual blocks between the ImageNet stem, or that for CIFAR, and the classifier.

    The authors' widths are 64, 128, 256 and 512; here they are arguments, to be quick.
    """

    def __init__(self, depths, widths, bottleneck, attention=OfficialCBAM, imagenet=True):
        super().__init__()
        self.imagenet = imagenet
        channels = 64 if imagenet else widths[0]
        kernel, stride = (7, 2) if imagenet else (3, 1)
        self.conv1 = nn.Conv2d(3, channels, kernel, stride, padding=kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.stages = len(depths)
        for number, (depth, width) in enumerate(zip(depths, widths, strict=True), start=1):
            blocks = []
            for n in range(depth):
                stride = 2 if n == 0 and number > 1 else 1
                blocks.append(Residual(channels, width, stride, bottleneck, attention))
                channels = 4 * width if bottleneck else width
            setattr(self, f"layer{number}", nn.Sequential(*blocks))
        self.fc = nn.Linear(channels, 10)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        if self.imagenet:
            x = F.max_pool2d(x, 3, 2, padding=1)
        for number in range(1, self.stages + 1):
            x = getattr(self, f"layer{number}")(x)
        return self.fc(x.mean(dim=(2, 3)))
