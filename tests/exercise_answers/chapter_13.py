"""Answers to the exercises of chapter 13."""

ANSWERS = r"""
## 13.1

not clamped | .clamp(min=0) | | apart from each other
the sum | covered - shared | covered | counted twice
no widths | b[:, 2:] - b[:, :2] | b[:, 2:] | right minus left
transposed | return shared / (covered - shared) | return (shared / (covered - shared)).T
  | has shape
left open | return shared / (covered - shared) | pass | returns nothing | NotSolved

# torchvision's
def iou(first, second):
    from torchvision.ops import box_iou
    return box_iou(first, second)

## 13.2

off by one | s >= position | s > position | expected [[-1, -2, 4, 2]
tuples | made.append([moved, *rest]) | made.append((tuple(moved), *rest)) | passed
back forgotten | s -= 1 | s -= 0 | change too
around the gate | and not follows | | goes around it
one row too far | < position <= number | <= position <= number and s < -1 | expected [[-1, -2,
one row short | number + s < | number + s + 1 < | expected [[-1, -3, -4]
rows of one | made.append([moved, *rest]) | made.append(moved) | a list of
not inserted | return made[:position] + [row] + made[position:] | return made | a list of
in place | made = [] | made = []; rows[0] = rows[1] | has changed

# all numbers from the top first
def insert_row(rows, position, row):
    made = []
    for number, (sources, *rest) in enumerate(rows):
        new_sources = []
        for s in sources:
            top = s if s >= 0 else number + s
            top += top >= position
            back = top - number - (number >= position)
            if number == position and s == -1:
                back = -1
            new_sources.append(top if s >= 0 else back)
        made.append([new_sources, *rest])
    made.insert(position, row)
    return made

## 13.3

without the dot | f"{block}." | block | layer 10
frozen too | if not parameter.requires_grad: | if False: | expected none. It is frozen
the block's own layer | name.startswith(f"{block}.") | name.split(".")[0] == block.split(".")[0]
  | is a trained one
the first part alone | name.startswith(f"{block}.") | name.split(".")[0] == block | is a trained one
one rate | "lr": fast | "lr": slow | expected 0.0
blocks only | {"params": trained, "lr": slow}, | | is none, expected
twice | new.append(parameter) | new.append(parameter); trained.append(parameter)
  | more than one parameter group | Stopped
no list | return [ | return 3, [ | only optimize Tensors | Stopped

# the groups of an optimizer
def groups(network, blocks, slow, fast):
    starts = tuple(b + "." for b in blocks)
    named = [(n, p) for n, p in network.named_parameters() if p.requires_grad]
    optimizer = torch.optim.SGD([p for n, p in named if n.startswith(starts)], lr=fast)
    rest = [p for n, p in named if not n.startswith(starts)]
    optimizer.add_param_group({"params": rest, "lr": slow})
    return optimizer.param_groups

## 13.4

turned round | gated[seed] - plain[seed] | plain[seed] - gated[seed] | not the other way round
as they stand | [gated[seed] - plain[seed] for seed in seeds]
  | [g - p for g, p in zip(gated.values(), plain.values())] | whatever their order
ties | d > 0 | d >= 0 | is not better
a share | d in differences)\n | d in differences) / len(differences)\n | yours is a share
two means | sum(differences) / len(differences)
  | sum(gated.values()) / len(gated) - sum(plain.values()) / len(plain) | pair them first
two numbers | return len(differences), | return | 3 numbers

# a tensor
def paired(plain, gated):
    d = [gated[s] - plain[s] for s in plain if s in gated]
    return torch.tensor([len(d), sum(d) / len(d), sum(x > 0 for x in d)])
"""
