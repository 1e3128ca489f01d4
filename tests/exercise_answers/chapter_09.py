"""Answers to the exercises of chapter 9."""

ANSWERS = r"""
## 9.1

numbers, a set | mean_a = 3.0; settled = {4, 2} | passed
accuracy of A | mean_a = 66 | How much is it above
no pairs | mean_b = 1 | no partner
a missing run is a 0 | mean_b = 1.5 | no difference of 0
runs with A | runs_apart = 12 | without
largest difference | differences_apart = 4 | from the smallest
1.96 for t | settled = [1, 2, 3, 4] | 0 missing, 2 too many

# computed
runs = pd.DataFrame({"without": [61, 68, 57, 66], "a": [63, 72, 60, 69]})
runs["b"] = [62, 71, 59, np.nan]
gains = runs.sub(runs["without"], axis=0)
mean_a, mean_b = gains["a"].mean(), gains["b"].mean()
runs_apart = np.ptp(runs["without"].to_numpy())
differences_apart = np.ptp(gains["a"].to_numpy())
n, mean, s = np.array([2, 4, 4, 16, 16]), np.array([3, 3, 1, 1, 3]), [1, 1, 1, 0.8, 8]
settled = 1 + np.flatnonzero(mean > stats.t.ppf(0.975, n - 1) * s / np.sqrt(n))

## 9.2

1.96 | stats.t.ppf((1 + level) / 2, n - 1) | 1.96 | normal distribution
ddof 0 | ddof=1 | ddof=0 | not by n
no root of n | / n**0.5 | | single differences
no level | (1 + level) / 2 | 0.975 | whatever the
one side | (1 + level) / 2 | level | on both sides
n degrees of freedom | n - 1) | n) | n - 1 degrees
zero wide | float("nan") | mean | limits are NaN

# scipy's test
def interval(differences, level=0.95):
    if len(differences) == 1:
        return [*differences, math.nan, math.nan]
    found = stats.ttest_1samp(differences, 0.0).confidence_interval(level)
    return np.array([differences.mean(), found.low, found.high])

## 9.3

best epoch left | .last() | .max() | It takes the best
last row | .sort_values("epoch") | | need not be its last epoch
all seeds count | .dropna() | | without a partner
worst pair left | .dropna() | .dropna().sort_values()[1:] | It leaves the worst
best epoch and worst pair left | .last() | .max() | .dropna() | .dropna().sort_values()[1:]
  | 2 bugs are left
sorted by seed | (accuracy[variant] - accuracy[baseline]).dropna()
  | pd.Series([a - b for a, b in zip(accuracy[variant], accuracy[baseline])]) | expected -0.77456, 4
two means | differences.mean() | accuracy[variant].mean() - accuracy[baseline].mean()
  | means of all runs
a pair is no pair | differences.mean() | differences.mean() if len(differences) > 1 else 0
  | For table 5

# pivot of the last epochs
def gain(curves, variant, baseline):
    last = curves[curves["epoch"] == curves["epoch"].max()]
    wide = last.pivot(index="seed", columns="variant", values="test_accuracy")
    both = wide[[variant, baseline]].dropna().to_numpy()
    return torch.tensor([(both[:, 0] - both[:, 1]).mean(), len(both)])

# pairs by position left | It pairs runs by their position
def gain(curves, variant, baseline):
    order = curves.set_index(["variant", "seed"]).index.drop_duplicates()
    last = curves.sort_values("epoch").groupby(["variant", "seed"])["test_accuracy"].last()[order]
    differences = [a - b for a, b in zip(last[variant], last[baseline])]
    return sum(differences) / len(differences), len(differences)

## 9.4

against the baseline | control] | 'no attention'] | whatever the control
missing runs counted | .dropna() | | expected
normal | stats.t.ppf(0.975, n - 1) | 1.96 | normal distribution
ddof | std() | std(ddof=0) | not by n
sign | accuracy[variant] - accuracy[control] | accuracy[control] - accuracy[variant]
  | not the other way round
limits of 0 | * differences.std() | * np.nan_to_num(differences.std()) | stats.t.ppf(0.975, n - 1)
  | np.nan_to_num(stats.t.ppf(0.975, n - 1)) | limits are NaN

# the package's summary
def against(table, variant, control):
    row = records.summary(table.assign(baseline=control)).loc[variant]
    return row[["difference", "difference_low", "difference_high"]]

# two intervals, subtracted | do not subtract
def against(table, variant, control):
    found = records.summary(table)[["difference", "difference_low", "difference_high"]]
    return found.loc[variant] - found.loc[control]

# two means, one variance | where are the pairs
def against(table, variant, control):
    a, b = (table.test_accuracy[table.variant == v] for v in (variant, control))
    return a.mean() - b.mean(), *stats.ttest_ind(a, b).confidence_interval()

# by position | are no pairs
def against(table, variant, control):
    a, b = (table.test_accuracy[table.variant == v].array for v in (variant, control))
    d = (pd.Series(a) - pd.Series(b)).dropna()
    return d.mean(), *stats.t.interval(0.95, len(d) - 1, d.mean(), d.sem())

## 9.5

rounded down | math.ceil | math.floor | formula gives
not rounded | math.ceil | | part of a pair
not seen | .abs() > | .abs() < | `power` returns 0.105
1.96 for t | stats.t.ppf(0.975, n - 1) | 1.96 | t is larger
above 0 only | .abs() | | An interval below 0
no root of n | / n**0.5 | | `power` returns 0.55
percent | return seen | return 100 * seen | lies between 0 and 1

# exactly
def pairs(s, delta):
    z = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    return np.ceil((z * s / delta) ** 2)

def power(n, s, delta):
    t, shift = stats.t.ppf(0.975, n - 1), delta * n**0.5 / s
    return stats.nct.sf(t, n - 1, shift) + stats.nct.cdf(-t, n - 1, shift)

# NumPy's chance and scipy's test
def pairs(s, delta):
    return int(-(-((2.8 * s / delta) ** 2) // 1))

def power(n, s, delta):
    tries = np.random.default_rng().normal(delta, s, (20_000, n))
    return (stats.ttest_1samp(tries, 0.0, axis=1).pvalue < 0.05).mean()
"""
