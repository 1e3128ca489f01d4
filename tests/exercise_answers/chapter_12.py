"""Answers to the exercises of chapter 12."""

ANSWERS = r"""
## 12.1

floats | coordinate = 12320.0; moved = 2.0 * 196**2 * 256 | passed
no normalization | coordinate = 3 * 256 * 16 | two numbers for each
one way back | coordinate = 2 * 256 * 16 + 32 | have a layer back
one of three | triplet = 100 | one of the three
bare convolutions | triplet = 294 | a weight and a bias
one map | triplet = 153 | reads two maps
of the input | hidden_v3 = 20 | Which channels
of the widened | hidden_b0 = 120 | Which channels
one product | moved = 196**2 * 256 | one of the two
one position each | moved = 2 * 196 * 256 | looks at every position

## 12.2

the average | return (weights * values).sum(dim=2) | return values.mean(dim=2) | has no effect
no sharpness | (sharpness * values) | values | multiplies the scores
over the channels | softmax(dim=2) | softmax(dim=1) | over the channels
a mean | .sum(dim=2) | .mean(dim=2) | do not average

# a product of matrices, in float32
def soft_pool(x, sharpness):
    B, C, H, W = x.shape
    rows = x.float().reshape(B * C, 1, H * W)
    weights = torch.softmax(sharpness * rows, dim=-1)
    return (weights @ rows.transpose(1, 2)).reshape(B, C, 1, 1)

# exponentials as they are | overflows
def soft_pool(x, sharpness):
    weights = torch.exp(sharpness * x)
    return (weights * x).sum((2, 3), keepdim=True) / weights.sum((2, 3), keepdim=True)

## 12.3

the outputs | conv.weight.data * gate | conv.weight.data * gate.mean(dim=1, keepdim=True)
  | other values
in place | copy.deepcopy(conv) | conv | has changed

# a closure
def fold(conv, gate):
    weight = conv.weight * gate
    return lambda x: nn.functional.conv2d(x, weight, conv.bias, padding=conv.padding)

# a new convolution in float32
def fold(conv, gate):
    has_bias = conv.bias is not None
    new = nn.Conv2d(
        conv.in_channels, conv.out_channels, conv.kernel_size,
        padding=conv.padding, bias=has_bias,
    )
    with torch.no_grad():
        new.weight.copy_(torch.einsum("oikl,i->oikl", conv.weight, gate.flatten()))
        if has_bias:
            new.bias.copy_(conv.bias)
    return new

# the gate as it was | once and for all
def fold(conv, gate):
    return lambda x: conv(gate * x)

# the bias too | behind the gate
def fold(conv, gate):
    new = copy.deepcopy(conv)
    new.weight.data = conv.weight.data * gate
    if new.bias is not None and len(new.bias) == gate.numel():
        new.bias.data = conv.bias.data * gate.flatten()
    return new

# the bias lost | got lost
def fold(conv, gate):
    new = copy.deepcopy(conv)
    new.weight.data = conv.weight.data * gate
    new.bias = None
    return new

## 12.4

a norm left | dim=(2, 3) | dim=(1, 2) | 1 for all channels
a mean left | norm.mean(dim=1, | norm.mean(dim=-1, | 1 for all channels
both left | dim=(2, 3) | dim=(1, 2) | norm.mean(dim=1, | norm.mean(dim=-1, | both run over
bare | return x + gamma | return gamma | should be the identity
bare with a mean | norm.mean(dim=1, | norm.mean(dim=-1, | return x + gamma | return gamma
  | 2 bugs are left
no beta | + beta.view(1, -1, 1, 1) | | other values: at
one mean for all | norm.mean(dim=1, keepdim=True) | norm.mean() | each has its own

# einsum
def grn(x, gamma, beta):
    norm = torch.linalg.vector_norm(x, dim=(2, 3))
    n = norm / (norm.mean(dim=1, keepdim=True) + 1e-6)
    return x + torch.einsum("c,bc,bchw->bchw", gamma, n, x) + beta.reshape(-1, 1, 1)
"""
