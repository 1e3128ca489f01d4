"""The names of blocks and networks, and what tables and legends call the blocks."""

LABELS = {
    "none": "no attention",
    "se": "SE",
    "eca": "ECA",
    "channel-fc": "channel (FC)",
    "channel-conv": "channel (Conv)",
    "spatial": "spatial",
    "cbam-fc": "CBAM (FC)",
    "cbam-conv": "CBAM (Conv)",
}
"""From each attention name to its label."""

TIMM = "timm:"
"""How the name of one of timm's blocks begins, such as ``"timm:gc"``."""

MODEL_NAMES = (
    "cifar-cnn", "cifar-resnet", "resnet18", "resnet34", "resnet50", "resnet101", "wide-resnet18",
    "resnext50-32x4d", "resnext101-32x4d", "mobilenet-v1", "mobilenet-v2",
)  # fmt: skip
"""The networks that :func:`cbam_course.models.make_model` knows; ``-`` and ``_`` are the same."""
