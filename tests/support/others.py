"""Blocks as other repositories spell them, written anew: names, shapes and what they compute.

Nothing here is of the course, so that the course can be compared with it.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import resnet


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


class SpatialGate(nn.Module):
    def __init__(self):
        super().__init__()
        self.spatial = nn.Sequential()
        self.spatial.add_module("conv", nn.Conv2d(2, 1, 7, padding=3, bias=False))
        self.spatial.add_module("bn", nn.BatchNorm2d(1, momentum=0.01))

    def forward(self, x):
        maps = torch.stack([x.max(dim=1).values, x.mean(dim=1)], dim=1)
        return x * torch.sigmoid(self.spatial(maps))


class OfficialCBAM(nn.Module):
    """CBAM's authors: the maximum before the average."""

    def __init__(self, channels, reduction=16):
        super().__init__()
        self.ChannelGate = ChannelGate(channels, reduction)
        self.SpatialGate = SpatialGate()

    def forward(self, x):
        return self.SpatialGate(self.ChannelGate(x))


class MoskomuleSE(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // 16, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(channels // 16, channels, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x):
        return x * self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))[:, :, None, None].expand_as(x)


class AuthorsECA(nn.Module):
    def __init__(self, channels):
        super().__init__()
        k = 5 if channels > 256 else 3  # the name of the file tells: k3557 for the four stages
        self.conv = nn.Conv1d(1, 1, k, padding=k // 2, bias=False)

    def forward(self, x):
        y = self.conv(F.adaptive_avg_pool2d(x, 1).squeeze(-1).transpose(-1, -2))
        return x * y.transpose(-1, -2).unsqueeze(-1).sigmoid().expand_as(x)


class LuuuyiChannel(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.fc = nn.Sequential(
            nn.Conv2d(channels, channels // 16, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(channels // 16, channels, 1, bias=False),
        )

    def forward(self, x):
        pools = F.adaptive_avg_pool2d(x, 1), F.adaptive_max_pool2d(x, 1)
        return x * sum(map(self.fc, pools)).sigmoid()


class LuuuyiSpatial(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x):
        maps = x.mean(dim=1, keepdim=True), x.max(dim=1, keepdim=True).values
        return x * self.conv1(torch.cat(maps, dim=1)).sigmoid()


def their_network(**parts):
    """A ResNet, one residual block a stage, with these parts before the addition."""

    class Theirs(resnet.BasicBlock):
        def __init__(self, inplanes, planes, *arguments, **options):
            super().__init__(inplanes, planes, *arguments, **options)
            for name, make in parts.items():
                setattr(self, name, make(planes))
            self.bn2.register_forward_hook(self.refine)

        def refine(self, bn, inputs, x):
            for name in parts:
                x = getattr(self, name)(x)
            return x

    return resnet.ResNet(Theirs, [1, 1, 1, 1], num_classes=10)
