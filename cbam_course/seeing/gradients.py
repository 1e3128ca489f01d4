"""Grad-CAM, by captum."""

import warnings

from torch import Tensor, nn


def grad_cam(model: nn.Module, layer: nn.Module, x: Tensor, target: Tensor) -> Tensor:
    r"""The class activation map by gradients, for any network and layer.

    .. math:: \text{map}_{ij} = \sum_c \Big(\frac{1}{HW} \sum_{i'j'}
              \frac{\partial s_k}{\partial F_{ci'j'}}\Big) F_{cij}

    with the features F that the layer puts out and the score :math:`s_k` of the class asked for. It
    is ``LayerGradCam(model, layer).attribute(x, target)`` of captum, before the ReLU that the paper
    puts at its end.

    Args:
        model: the network.
        layer: one of its modules, with feature maps ``[N, C, h, w]`` for an output.
        x: images, ``[N, C, H, W]``.
        target: the class asked for, for each image, ``[N]``.

    Returns:
        Maps with their signs, ``[N, 1, h, w]``.

    Source: Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra, "Grad-CAM", ICCV 2017.
    """
    with warnings.catch_warnings():
        # In a notebook without widgets, captum's progress bar complains when it is imported.
        warnings.simplefilter("ignore")
        from captum.attr import LayerGradCam
    return LayerGradCam(model, layer).attribute(x, target=target).detach()
