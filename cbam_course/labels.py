"""What tables and legends call the attention blocks."""

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
