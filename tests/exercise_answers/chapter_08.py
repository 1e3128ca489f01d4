"""Answers to the exercises of chapter 8."""

ANSWERS = r"""
## 8.1

sets | steered = {4, 1}; picked = {3}; first_epoch_at_1 = 14.0 | passed
a number for a list | steered = (4, 1); picked = 3 | passed
the end overlooked | steered = [1] | 1 missing, 0 too many
no new count | first_epoch_at_1 = 12 | the count begins again
one epoch | first_epoch_at_1 = 13 | A second one

## 8.2

own numbers | train.double | images.double | of `images`
one number for all colors | dim=(0, 1, 2) | | Each color
divided by 255 once | images.double() | images.double() / 255 | and the statistics are not
channels last | .permute(0, 3, 1, 2) | | still the last axis
each image's deviations | pixels.std(dim=(0, 1, 2)) | pixels.std(dim=(1, 2)).mean(dim=0)
  | of all pixels is larger
the variance | pixels.std | pixels.var | by the variance
axes reshaped | permute(0, 3, 1, 2) | reshape(len(images), 3, *images.shape[1:3]) | moves no axis
statistics divided by 255 | train.double() | train.double() / 255 | the images are not divided

# from 0 to 1, channels first
def normalize(train, images):
    train, images = (x.permute(0, 3, 1, 2).double() / 255 for x in (train, images))
    mean = train.mean((0, 2, 3), keepdim=True)
    std = train.std((0, 2, 3), keepdim=True, correction=0)
    return images.sub(mean).div(std)

# NumPy
def normalize(train, images):
    mean = train.numpy().mean((0, 1, 2))
    std = train.numpy().std((0, 1, 2))
    return torch.from_numpy(((images.numpy() - mean) / std).transpose(0, 3, 1, 2))

## 8.3

one coin | torch.rand(batch) < 0.5 | torch.rand(1) < 0.5 | two sides are not equally
on its head | flip(3) | flip(2) | from left to right
one end lost | padding + 1 | padding | not equally likely
mostly mirrored | < 0.5 | < 0.8 | two sides are not equally
4 for good | F.pad(images, 4 * [padding]) | F.pad(images, 4 * [4]) | is not image 0 of `images`
a seed | padded = | torch.manual_seed(0)\n    padded = | Two calls
shuffled | torch.stack(cut) | torch.stack(cut)[torch.randperm(batch)] | of your batch is not image
one corner | torch.randint(2 * padding + 1, (batch, 2)).tolist()
  | torch.randint(2 * padding + 1, (1, 2)).tolist() * batch | shifts up or down
one number for rows and columns | padding + 1, (batch, 2)) | padding + 1, (batch, 1)).expand(-1, 2)
  | not independent
the middle preferred | torch.randint(2 * padding + 1, (batch, 2)).tolist()
  | (torch.randint(padding + 1, (2, batch, 2)).sum(0)).tolist() | not equally likely
reflected | F.pad(images, 4 * [padding]) | F.pad(images, 4 * [padding], mode="reflect")
  | zeros coming in

# all at once, mirrored first
def augment(images, padding=4):
    B, C, H, W = images.shape
    images = F.pad(images, (padding,) * 4)
    rows = torch.randint(0, 2 * padding + 1, (B, 1)) + torch.arange(H)
    columns = torch.randint(0, 2 * padding + 1, (B, 1)) + torch.arange(W)
    columns = torch.where(torch.rand(B, 1) > 0.5, columns, columns.flip(1))
    pictures, channels = torch.arange(B), torch.arange(C)
    return images[
        pictures[:, None, None, None],
        channels[None, :, None, None],
        rows[:, None, :, None],
        columns[:, None, None, :],
    ]

## 8.4

labels left | labels[chosen] | labels[start : start + batch_size] | do not belong together
gradients left | optimizer.zero_grad() | | The gradients of a step
gradients cleared too late | optimizer.zero_grad() | | optimizer.step()
  | optimizer.zero_grad(); optimizer.step() | No weight has changed
mode left | model.train() | | in evaluation mode
the training repaired only | model.eval() | | running averages
order ignored | order[start | torch.arange(99)[: len(order)][start | in the order of `order`
the mean loss | return losses | return sum(losses) / 3 | 3 numbers
a percentage | correct / len | 100 * correct / len | a percentage
labels and mode left | labels[chosen] | labels[start : start + batch_size] | model.train()
  | | 2 bugs are left
the last batch lost | for start in range(0, len(images), batch_size):\n        chosen
  | for start in range(0, len(images) - batch_size, batch_size):\n        chosen
  | the last batch too
gradients cleared at the end, tensors | optimizer.zero_grad() | | optimizer.step()
  | optimizer.step(); model.zero_grad() | loss.item() | loss.detach() | return losses
  | return torch.stack(losses) | .sum().item() | .sum() | passed

# mean of the batches | last one has fewer
SOLUTION 8.4
def accuracy(model, images, labels, batch_size):
    model.eval()
    batches = zip(images.split(batch_size), labels.split(batch_size))
    parts = [(model(x).argmax(1) == y).float().mean() for x, y in batches]
    return sum(parts) / len(parts)

# shuffled beforehand, split
def train_epoch(model, optimizer, images, labels, order, batch_size):
    images, labels = images[order], labels[order]
    batches = zip(images.split(batch_size), labels.split(batch_size))
    losses = []
    for x, y in batches:
        optimizer.zero_grad(set_to_none=False)
        loss = torch.nn.CrossEntropyLoss()(model.train()(x), y)
        loss.backward()
        optimizer.step()
        losses += [float(loss)]
    return tuple(losses)

@torch.no_grad()
def accuracy(model, images, labels, batch_size):
    before = model.training
    model.eval()
    hits = [model(x).argmax(1) for x in images.split(batch_size)]
    model.train(before)
    return (torch.cat(hits) == labels).double().mean()

## 8.5

the next seed | shown = [2, 3, 5] | shown = [1, 2, 3, 5] | 1 too many
the best epoch | run["test_accuracy"][-1] | max(run["test_accuracy"]) | best epoch
divided by n | / (n - 1) | / n | n - 1
1.96 | T95[n - 1] | 1.96 | t is larger
no n | variance / n | variance | single differences
n degrees of freedom | T95[n - 1] | T95[n] | n - 1 degrees
turned round | after[seed] - before[seed] | before[seed] - after[seed] | is positive if
in points | return mean, | return 100 * mean, 100 * | Fractions
no missing runs | & after.keys() | | KeyError | Stopped

# the statistics module
from statistics import mean, stdev

shown = (2, 3, 5)

def compare(plain, attention):
    lists = attention, plain
    last = [{r["seed"]: r["test_accuracy"].pop() for r in runs} for runs in lists]
    d = [last[0][s] - last[1][s] for s in sorted(set(last[0]) & set(last[1]))]
    return mean(d), T95[len(d) - 1] * stdev(d) / len(d) ** 0.5

# by position | no pairs
shown = [2, 3, 5]

def compare(plain, attention):
    a = torch.tensor([run["test_accuracy"][-1] for run in plain]).double()
    b = torch.tensor([run["test_accuracy"][-1] for run in attention]).double()
    d = b - a
    return d.mean(), T95[len(d) - 1] * d.std() / len(d) ** 0.5
"""
