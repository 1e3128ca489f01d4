"""Answers to the exercises of chapter 11."""

ANSWERS = r"""
## 11.1

floats | size, milliseconds = 6.4e6, 24.0 | passed
numbers for bytes | size = 1600000 | How many bytes has each
one image | size = 128000 | The batch has 50
two maps | residual = 2 | Two maps are read
of one factor | gate_back = 2 | The map wants one too
no sum | gate_back = 5 | still has to be summed
no average | se_forward = 2 | The average reads
seconds | milliseconds = 0.024 | in seconds
other | milliseconds = 20 | Count again

# measured
x = torch.rand(50, 64, 20, 25)
size = x.nbytes
residual = round(traffic(torch.add, x, x.clone()).forward / size)
gate_back = round(traffic(torch.mul, x, torch.rand(50, 64, 1, 1)).backward / size)
from cbam_course.attention import SqueezeExcitation
se_forward = round(traffic(SqueezeExcitation(64), x).forward / size)
milliseconds = round(36 * size / 9.6e6)

## 11.2

the input as an attribute | ctx.save_for_backward(x) | ctx.x = x | (x,) = ctx.saved_tensors
  | x = ctx.x | passed
a new tensor in place | return grad * gate * (1 + x * (1 - gate))
  | return (1 - gate).mul_(x).add_(1).mul_(gate).mul_(grad) | passed
once differentiable | return grad | return grad.detach().clone() | passed
half of the map | save_for_backward(x) | save_for_backward(x); ctx.gate = x.sigmoid().half()
  | maps are kept beyond
the gate alone | return grad * gate * (1 + x * (1 - gate)) | return grad * gate
  | The gate depends on
the gradient forgotten | return grad * gate | return gate | by the chain rule
the input alone | return grad * gate * (1 + x * (1 - gate)) | return grad * gate * x * (1 - gate)
  | is a factor as well
in place | return grad * gate | return grad.mul_(gate) | is changed
the gate for the output | return x * torch.sigmoid(x) | return torch.sigmoid(x)
  | The output has the right shape
two gradients | return grad * gate * (1 + x * (1 - gate)) | return grad, grad
  | incorrect number of gradients | Stopped
no gradient | return grad * gate * (1 + x * (1 - gate)) | return None | no gradient of input 1

# PyTorch's own
def Swish(x):
    return torch.nn.functional.silu(x)

# recomputed by autograd
class Swish(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x / (1 + (-x).exp())

    @staticmethod
    def backward(ctx, grad):
        with torch.enable_grad():
            x = ctx.saved_tensors[0].detach().requires_grad_()
            y = x * x.sigmoid()
        return torch.autograd.grad(y, x, grad)[0]

# from the output | it is nan
class Swish(Function):
    @staticmethod
    def forward(ctx, x):
        y = x * torch.sigmoid(x)
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx, grad):
        x, y = ctx.saved_tensors
        gate = y / x
        return grad * gate * (1 + x * (1 - gate))

# detached | use the function's `apply`
def Swish(x):
    return x.detach() * torch.sigmoid(x.detach())

## 11.3

autograd sums | (grad * x).sum_to_size(weights.shape) | grad * x | passed
in place elsewhere | to_x = grad * weights | to_x = grad.clone().mul_(weights) | passed
a mean | (grad * x).sum_to_size(weights.shape)
  | (grad * x).sum_to_size(weights.shape) * weights.numel() / x.numel() | gets the sum
in place first | to_x = grad * weights | to_x = grad.mul_(weights) | overwritten before
in place last | to_x = grad * weights | to_x = grad
  | return to_x, to_weights | return to_x.mul_(weights), to_weights | is changed
positions | .sum_to_size(weights.shape) | .sum(dim=(2, 3), keepdim=True) | Over which axes
two bugs | to_x = grad * weights | to_x = grad.mul_(weights)
  | .sum_to_size(weights.shape) | .mean(dim=(2, 3), keepdim=True) | as it came
no x | (grad * x).sum_to_size | grad.sum_to_size | it is a factor
swapped | return to_x, to_weights | return to_weights, to_x
  | invalid gradient at index 0 | Stopped
no gradient | return to_x, to_weights | return to_x, None | of input 2
the forward pass | return x * weights | return x + weights | the output

# plain autograd
def Weigh(x, weights):
    return x * weights

## 11.4

a generator | return eager, max | return (t for t in (eager, max
  | bytes_once / bandwidth) | bytes_once / bandwidth))) | passed
sums first | return eager, | moved = sum(r + w for _, r, w in operators)\n    return EAGER,
  | EAGER | max(macs / peak, moved / bandwidth)
  | waits for its own limit
all bytes | bytes_once = operators[0][1] + operators[-1][2]
  | bytes_once = sum(r + w for _, r, w in operators) | neither read nor written
both limits | max(macs / peak, (read + written) / bandwidth)
  | macs / peak + (read + written) / bandwidth | max(macs / peak, bytes_once / bandwidth)
  | macs / peak + bytes_once / bandwidth | go on together
milliseconds | return eager, max | return 1000 * eager, 1000 * max | Seconds
bytes alone | max(macs / peak, bytes_once / bandwidth) | bytes_once / bandwidth
  | remain in the single pass
macs of the first | sum(operator[0] for operator in operators) | operators[0][0]
  | remain in the single pass
one number | return eager, max(macs / peak, bytes_once / bandwidth) | return eager
  | should return 2 numbers

# in one expression
def times(operators, peak, bandwidth):
    limits = [(m / peak, (r + w) / bandwidth) for m, r, w in operators]
    once = (operators[0][1] + operators[-1][2]) / bandwidth
    return sum(map(max, limits)), max(sum(m for m, _ in limits), once)
"""
