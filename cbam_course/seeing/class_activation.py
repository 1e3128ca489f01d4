"""Grad-CAM: which positions speak for a class."""

import torch
from torch import Tensor, nn

from cbam_course.attention.controls import uncompiled


def grad_cam(model: nn.Module, layer: nn.Module, x: Tensor, target: Tensor) -> Tensor:
    r"""The class activation map by gradients, for any network and layer.

    .. math:: \text{map}_{ij} = \sum_c \Big(\frac{1}{HW} \sum_{i'j'}
              \frac{\partial s_k}{\partial F_{ci'j'}}\Big) F_{cij}

    with the features F that the layer puts out and the score :math:`s_k` of the class asked for. It
    is what captum's ``LayerGradCam`` computes, before the ReLU that the paper puts at its end.

    Args:
        model: the network.
        layer: one of its modules, with feature maps ``[N, C, h, w]`` for an output.
        x: images, ``[N, C, H, W]``.
        target: the class asked for, for each image, ``[N]``.

    Returns:
        Maps with their signs, ``[N, 1, h, w]``.

    Source: Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra, "Grad-CAM", ICCV 2017.
    """
    features = None

    def begin_here(module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        nonlocal features
        features = output.detach().requires_grad_()
        return features

    with uncompiled(), layer.register_forward_hook(begin_here), torch.enable_grad():
        scores = model(x).gather(1, target[:, None])
    (gradients,) = torch.autograd.grad(scores.sum(), features)
    weights = gradients.mean(dim=(2, 3), keepdim=True)
    return (weights * features.detach()).sum(dim=1, keepdim=True)
