"""Answers to the exercises of chapter 10."""

ANSWERS = r"""
## 10.1

floats | hit = 0.0; energy = 35.0; flat_hit = 100 * 4 / 16; share = 100 * 0.8 | passed
a hit | hit = 100 | position marked
a fraction | energy = 0.35 | in percent
not divided | energy = 70 | Out of how much
no hit | flat_hit = 0 | some of them are on the object
within | share = 20 | within the classes

# measured
rows = [[2, 1, 1, 0], [1, 6, 3, 1], [0, 2, 3, 0], [0, 0, 0, 0]]
m = torch.tensor(rows)
o = torch.zeros(4, 4, dtype=torch.bool)
o[1:3, 2:] = True
hit = 100 * int(o.flatten()[m.flatten().argmax()])
energy = 100 * m[o].sum() / m.sum()
flat_hit = 100 * o.sum() / o.numel()
w = torch.tensor([[2.0, 4.0], [6.0, 8.0]])
between = 2 * ((w.mean(dim=1) - 5) ** 2).sum()
share = 100 * between / ((w - 5) ** 2).sum()

## 10.2

a ReLU | sum(dim=1) | sum(dim=1).relu() | ReLU
a mean | sum(dim=1) | mean(dim=1) | do not average
first class only | weight[classes] | weight[classes[:1]] | class of its own
all classes | (w * features).sum(dim=1) | torch.einsum("kc,bchw->bkhw", weight, features)
  | maps of all classes

# a 1x1 convolution, in float32
def activation_maps(features, weight, classes):
    every = torch.nn.functional.conv2d(features.float(), weight.float()[:, :, None, None])
    return every[torch.arange(len(classes)), classes]

# by the gradient
def activation_maps(features, weight, classes):
    f = features.clone().requires_grad_()
    scores = f.mean(dim=(2, 3)) @ weight.T
    chosen = scores[torch.arange(len(classes)), classes].sum()
    (gradient,) = torch.autograd.grad(chosen, f)
    places = f.shape[2] * f.shape[3]
    return (gradient.mean(dim=(2, 3), keepdim=True) * places * f).sum(dim=1)

## 10.3

hit or miss | blocks.mean(dim=(2, 4)) | blocks.amax(dim=(2, 4)) | not only 0
a sum | blocks.mean(dim=(2, 4)) | blocks.sum(dim=(2, 4)) | divide by

# adaptive pooling in float32
def points(maps, masks):
    shares = torch.nn.functional.adaptive_avg_pool2d(masks.float(), maps.shape[1:])
    top = maps == maps.amax(dim=(1, 2), keepdim=True)
    return shares[top]

# stretched as in the chapter | other values: at [0]
def points(maps, masks):
    fine = torch.nn.functional.interpolate(
        maps[:, None], masks.shape[1:], mode="bilinear", align_corners=False
    )
    best = fine.flatten(1).argmax(dim=1)
    return masks.flatten(1)[torch.arange(len(maps)), best].double()

## 10.4

as it is | channel_map.roll(-1, dims=0) | channel_map | the block as it is
the one before | roll(-1, dims=0) | roll(1, dims=0) | one before it
features moved | x * channel_map.roll(-1, dims=0) | (x * channel_map).roll(-1, dims=0)
  | moved the features
both maps moved | x = x *
  | spatial_map = block(x, return_map=True)[1].spatial.roll(-1, 0)\n    x = x *
  | return block.spatial_attention(x) | return x * spatial_map | that of the next image
the kept map | x = x * | spatial_map = block(x, return_map=True)[1].spatial\n    x = x *
  | return block.spatial_attention(x) | return x * spatial_map | what reaches it

# a hook that goes
def swapped(block, x):
    def other(module, inputs, output):
        refined, maps = output
        maps = maps.roll(-1, dims=0)
        return inputs[0] * maps, maps
    hook = block.channel_attention.register_forward_hook(other)
    try:
        return block(x)
    finally:
        hook.remove()

# a hook that stays | Was a hook left
def swapped(block, x):
    def other(module, inputs, output):
        maps = output[1].roll(-1, dims=0)
        return inputs[0] * maps, maps
    block.channel_attention.register_forward_hook(other)
    return block(x)

## 10.5

the place left | best // W, best % W | best % W, best // W | row by row
signs left | maps.flatten | maps.abs().flatten | far below zero
no signs | maps.flatten | maps.relu().flatten | negative everywhere
the rate left | hits.sum() / B | hits.sum() / masks.any(dim=2).sum() | Two of two maps

# where it is largest
def hit_rate(maps, masks):
    top = maps == maps.amax(dim=(1, 2), keepdim=True)
    return (top & masks).any(dim=2).any(dim=1).double().mean()
"""
