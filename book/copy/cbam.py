"""CBAM and its relatives in one file: blocks, ResNets, any network of yours, and a training run.

Needs PyTorch alone; torchvision for the ResNets and for CIFAR-10, matplotlib for the curves. Copy
the whole file, or the parts you need. Each class is tested against a package, weight by weight.

From the course "Convolutional attention", https://github.com/cbam-course/cbam-course, MIT license.
Please cite the papers of the blocks you use.
"""

import math
from copy import deepcopy
from fnmatch import fnmatchcase

import torch
import torch.nn.functional as F
from torch import nn


def _mlp(channels, reduction, bias):
    """C -> C // r -> C, as 1x1 convolutions of a [B, C, 1, 1] map."""
    hidden = channels // reduction
    if hidden < 1:
        raise ValueError(f"reduction {reduction} leaves no hidden unit for {channels} channels")
    down, up = nn.Conv2d(channels, hidden, 1, bias=bias), nn.Conv2d(hidden, channels, 1, bias=bias)
    return nn.Sequential(down, nn.ReLU(), up)


def _eca_convolution(channels, kernel_size=None):
    """A convolution along the channels; by default its size follows equation 12 of ECA-Net."""
    k = kernel_size
    if k is None:
        k = int((math.log2(channels) + 1) / 2)
        k += 1 - k % 2
    if k % 2 == 0:
        raise ValueError(f"kernel_size must be odd, so that channels stay in line; got {k}")
    return nn.Conv1d(1, 1, k, padding=k // 2, bias=False)


class SqueezeExcitation(nn.Module):
    """x * sigmoid(MLP(mean over positions)), [B, C, H, W] -> [B, C, H, W]. Needs _mlp.

    Hu, Shen, Sun, "Squeeze-and-Excitation Networks", CVPR 2018.
    """

    def __init__(self, channels, reduction=16):
        super().__init__()
        self.mlp = _mlp(channels, reduction, bias=True)

    def forward(self, x):
        return x * self.mlp(x.mean(dim=(2, 3), keepdim=True)).sigmoid()


class ECA(nn.Module):
    """x * sigmoid(convolution along the channels of their means). Needs _eca_convolution.

    Wang, Wu, Zhu, Li, Zuo, Hu, "ECA-Net", CVPR 2020.
    """

    def __init__(self, channels, kernel_size=None):
        super().__init__()
        self.conv = _eca_convolution(channels, kernel_size)

    def forward(self, x):
        mean = x.mean(dim=(2, 3))  # [B, C]
        return x * self.conv(mean[:, None])[:, 0].sigmoid()[:, :, None, None]


class ChannelAttention(nn.Module):
    """CBAM's first half: x * sigmoid(f(mean) + f(maximum)), one f for both. Needs the two helpers.

    mode="fc": f is the paper's MLP; mode="conv": f is ECA's convolution.
    Woo, Park, Lee, Kweon, "CBAM", ECCV 2018, equation 2.
    """

    def __init__(self, channels, reduction=16, mode="fc"):
        super().__init__()
        if mode == "fc":
            self.mlp = _mlp(channels, reduction, bias=False)
        elif mode == "conv":
            self.conv = _eca_convolution(channels)
        else:
            raise ValueError(f"mode must be 'fc' or 'conv'; got {mode!r}")
        self.mode = mode

    def scores(self, pooled):  # [B, C, 1, 1] -> [B, C, 1, 1]
        if self.mode == "fc":
            return self.mlp(pooled)
        return self.conv(pooled.flatten(1)[:, None])[:, 0, :, None, None]

    def forward(self, x):
        mean, maximum = x.mean(dim=(2, 3), keepdim=True), x.amax(dim=(2, 3), keepdim=True)
        return x * (self.scores(mean) + self.scores(maximum)).sigmoid()


class SpatialAttention(nn.Module):
    """CBAM's second half: x * sigmoid(7x7 convolution of [mean, maximum] over the channels).

    Woo, Park, Lee, Kweon, "CBAM", ECCV 2018, equation 3. The authors' own code stacks the maximum
    first and has a BatchNorm behind the convolution.
    """

    def __init__(self, kernel_size=7):
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, so that the map fits; got {kernel_size}")
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x):
        maps = x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)
        return x * self.conv(torch.cat(maps, dim=1)).sigmoid()


class CBAM(nn.Module):
    """Channel attention, then spatial attention of what it gives. Needs the two classes above.

    Woo, Park, Lee, Kweon, "CBAM: Convolutional Block Attention Module", ECCV 2018.
    """

    def __init__(self, channels, reduction=16, kernel_size=7, mode="fc"):
        super().__init__()
        self.channel_attention = ChannelAttention(channels, reduction, mode)
        self.spatial_attention = SpatialAttention(kernel_size)

    def forward(self, x):
        return self.spatial_attention(self.channel_attention(x))


class StartAsIdentity(nn.Module):
    """x + g * (block(x) - x) with g = 0 at first: a trained network's outputs do not change."""

    def __init__(self, block):
        super().__init__()
        self.block, self.gate = block, nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return x + self.gate * (self.block(x) - x)


def _refine(module, args, output):
    return module.attention(output)


def add_attention(model, names, block=CBAM, example=None, start_as_identity=True):
    """Let a block follow every module whose name matches, in place; return the names.

    names: patterns of names in model.named_modules(), such as "layer*.*.bn2": choose modules at the
    end of a residual branch, before the addition. block: a class or function of the number of
    channels. example: what to call the network with, to find the channels. Needs StartAsIdentity.
    """
    example = torch.zeros(1, 3, 224, 224) if example is None else example
    names = [names] if isinstance(names, str) else names
    found = [n for n, _ in model.named_modules() if any(fnmatchcase(n, p) for p in names)]
    if not found:
        raise ValueError(f"no module of the network matches {names}")
    channels, copied = {}, deepcopy(model).eval()
    for name in found:
        hook = lambda m, args, y, name=name: channels.update({name: y.shape[1]})  # noqa: E731
        copied.get_submodule(name).register_forward_hook(hook)
    with torch.no_grad():
        copied(example)
    for name in found:
        module = model.get_submodule(name)
        if hasattr(module, "attention"):
            raise ValueError(f"{name} has attention already")
        attention = block(channels[name])
        module.attention = StartAsIdentity(attention) if start_as_identity else attention
        module.register_forward_hook(_refine)
    return found


def resnet_cbam(depth=50, weights=None, num_classes=1000, **options):
    """torchvision's ResNet-18, 34, 50, 101 or 152 with CBAM at the end of every residual branch.

    weights: torchvision's, such as "DEFAULT"; the blocks then start as the identity, so the network
    begins with the scores it was trained for. Another num_classes gets a fresh last layer.
    """
    from torchvision.models import get_model

    model = get_model(f"resnet{depth}", weights=weights)
    last = "bn3" if depth >= 50 else "bn2"
    add_attention(model, f"layer*.*.{last}", start_as_identity=weights is not None, **options)
    if num_classes != model.fc.out_features:
        model.fc = nn.Linear(model.fc.in_features, num_classes)
    return model


def train_cifar10(model, epochs=20, seed=0, batch_size=128, lr=0.1, folder="data", images=None):
    """Train on CIFAR-10; return the test accuracy of every epoch, and save curves.png.

    images: (x_train, y_train, x_test, y_test), uint8 [N, 3, 32, 32] and int64, instead of CIFAR-10.
    The test images only report: nothing is chosen by them. One seed is no result; compare several.
    """
    torch.manual_seed(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if images is None:
        from torchvision.datasets import CIFAR10

        images = []
        for each in (CIFAR10(folder, train, download=True) for train in (True, False)):
            images += [torch.from_numpy(each.data).permute(0, 3, 1, 2), torch.tensor(each.targets)]
    x_train, y_train, x_test, y_test = (tensor.to(device) for tensor in images)
    values = x_train[:5000].float() / 255
    mean, std = (v[:, None, None] for v in (values.mean((0, 2, 3)), values.std((0, 2, 3))))
    prepare = lambda x: (x.float() / 255 - mean) / std  # noqa: E731
    model.to(device)
    steps = -(-len(x_train) // batch_size)
    optimizer = torch.optim.SGD(model.parameters(), lr, 0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * steps)
    half = torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
    losses, accuracies = [], []
    for _ in range(epochs):
        model.train()
        for chosen in torch.randperm(len(x_train), device=device).split(batch_size):
            x, n = F.pad(prepare(x_train[chosen]), (4, 4, 4, 4)), len(chosen)
            rows, columns = (torch.arange(32) + torch.randint(9, (n, 1)) for _ in range(2))
            mirrored = torch.rand(n, 1) < 0.5  # each image is shifted and mirrored by itself
            columns = torch.where(mirrored, columns.flip(1), columns)
            picks = torch.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]
            x = x.permute(0, 2, 3, 1)[picks].permute(0, 3, 1, 2)
            with half:
                loss = F.cross_entropy(model(x).float(), y_train[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad(), half:
            right = [
                (model(prepare(x)).argmax(1) == y).sum().item()
                for x, y in zip(x_test.split(500), y_test.split(500), strict=True)
            ]
        accuracies.append(sum(right) / len(x_test))
        print(f"epoch {len(accuracies)}: loss {losses[-1]:.3f}, test accuracy {accuracies[-1]:.2%}")
    from matplotlib import pyplot

    _, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3))
    left.plot(losses)
    left.set(xlabel="step", ylabel="training loss")
    right.plot(range(1, epochs + 1), accuracies, marker="o")
    right.set(xlabel="epoch", ylabel="test accuracy")
    pyplot.savefig("curves.png", dpi=120, bbox_inches="tight")
    return accuracies


if __name__ == "__main__":
    network = resnet_cbam(18, num_classes=10, example=torch.zeros(1, 3, 32, 32))
    network.conv1, network.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    train_cifar10(network)
