"""Three real photographs that come with libraries the course needs anyway."""

import torch


def photographs() -> dict[str, torch.Tensor]:
    """Load three photographs; no network is needed.

    - ``"flower"``: an orange dahlia before dark green leaves (scikit-learn's ``flower.jpg``, by
      vultilion, CC BY 2.0).
    - ``"temple"``: a red and green tower of the Summer Palace in Beijing (scikit-learn's
      ``china.jpg``, by danielbuechele, CC BY 2.0).
    - ``"portrait"``: Grace Hopper in uniform (Matplotlib's ``grace_hopper.jpg``, by the United
      States Navy, public domain).

    Returns:
        The photographs by name, uint8 tensors of shape [3, H, W]: [3, 427, 640] for the flower
        and the temple, [3, 600, 512] for the portrait.
    """
    # scikit-learn takes a second to import, longer than everything else in this room.
    from matplotlib.cbook import get_sample_data
    from matplotlib.image import imread
    from sklearn.datasets import load_sample_image

    images = {
        "flower": load_sample_image("flower.jpg"),
        "temple": load_sample_image("china.jpg"),
        "portrait": imread(get_sample_data("grace_hopper.jpg", asfileobj=False)),
    }
    return {
        name: torch.tensor(image).permute(2, 0, 1).contiguous() for name, image in images.items()
    }
