"""Answers to the exercises of chapter 1."""

ANSWERS = r"""
## 1.1

no edges | feature_map = [4, 16, 32, 48] | Without padding
a channel a color | feature_map = [4, 48, 28, 44] | adds up the colors
no batch | feature_map = [16, 28, 44] | another number of axes
no axes of size 1 | channel_map = [4, 16] | the axes of size 1
no channel axis | spatial_map = [4, 28, 44] | the axes of size 1
one map for all | channel_map = [1, 16, 1, 1] | map of its own
one where for all | spatial_map = [1, 1, 28, 44] | map of its own
a channel for each color | feature_map = [4, 3, 28, 44] | Each filter makes
one position too few | feature_map = [4, 16, 27, 43] | can a filter of 5 begin
four images | saved = 73856 | for four images
the small maps | saved = 1248 | How many do they save

# measured
layer = torch.nn.Conv2d(3, 16, 5)
features = layer(torch.rand(4, 3, 32, 48))
feature_map = features.shape
channel_map = features.mean(dim=(2, 3), keepdim=True).shape
spatial_map = features.mean(dim=1, keepdim=True).shape
saved = features[0].numel() - torch.tensor([16, 28 * 44]).sum()

## 1.2

as they come | [:, :, None, None] | | [:, None] | | `where` on the channels
only what | * where | | is `where` used
only where | * what | | is `what` used

# a lambda, einsum
weigh = lambda f, a, b: torch.einsum("bchw,bc,bhw->bchw", f, a, b)

# vmap, in float32
def one(image, what, where):
    return image.float() * what.float().view(-1, 1, 1) * where.float()

weigh = torch.vmap(one)

## 1.3

one largest | strength.amax(dim=(2, 3), keepdim=True) | strength.max() | brightest image
where on the channels | x * where | x * where[:, 0] | on which axes does it land
still in place | return x * where | x *= where\n    return x | writes into x
only no longer in place | strength.amax(dim=(2, 3), keepdim=True) | strength.max() | x * where
  | x * where[:, 0] | still that of the code as it came

# a copy, then in place
def spotlight(x):
    x = x.clone()
    strength = x.sum(1, keepdim=True)
    strength /= strength.flatten(1).max(dim=1).values.view(-1, 1, 1, 1)
    x *= strength
    return x

# a pool, in float32
def spotlight(x):
    x = x.float()
    strength = torch.einsum("bchw->bhw", x).unsqueeze(1)
    return x * strength / torch.nn.AdaptiveMaxPool2d(1)(strength)

## 1.4

in float32 | C, H, W = full.shape | C, H, W = full.shape\n    full = full.float() | passed
by kind | min(fitting, key=lambda pair: pair[0]) | fitting[0] | with fewer
ties | in made.items() | in [*made.items()][::-1] | stands above it
all are products | (C + H * W, full * full.max() - what * where) | (C + H * W, 0 * full)
  | cannot make it
a row | "positions": (H * W | "positions": (W | it needs 45
another name | "positions" | "where" | it should be one of
only the way | return way, numbers | return way | and a number

# a matrix and its rank
def cheapest(full):
    C, H, W = full.shape
    table = full.reshape(C, -1)
    ways = {"full": C * H * W}
    if torch.linalg.svdvals(table)[1:].sum() < 1e-9:
        ways["both"] = C + H * W
    if table.std(dim=0, correction=0).max() < 1e-9:
        ways["positions"] = H * W
    if table.std(dim=1, correction=0).max() < 1e-9:
        ways["channels"] = C
    best = min(ways.values())
    return [way for way, n in ways.items() if n == best][-1].upper(), float(best)
"""
