"""What the checker says: findings, and the report that holds them."""

import json
import tomllib
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from textwrap import fill

FINDINGS = tomllib.loads(files(__package__).joinpath("findings.toml").read_text("utf-8"))
PLACES = FINDINGS.pop("places")


@dataclass(frozen=True)
class Finding:
    """One thing that is not as the paper has it.

    Attributes:
        code: a short name, such as ``"unshared-mlp"``; all are in ``findings.toml``.
        sentence: what is so.
        given: the input, or what was done, that shows it.
        expected: what a right block gives then.
        got: what this block gave.
        place: the place in the equations.
        seen: the public mistake that this matches, or an empty text.
        wrong: whether it is a mistake; ``False`` for an allowed deviation.
    """

    code: str
    sentence: str
    given: str
    expected: str
    got: str
    place: str
    seen: str
    wrong: bool


def finding(code: str, got: object = "", half: str = "block", names: str = "") -> Finding:
    """The finding of that code; of a number that was got, it is the size of a difference."""
    entry = {"given": "", "expected": "", "place": half, "seen": "", "allowed": False}
    entry |= FINDINGS[code]
    sentence, given = (entry[key].format(half=half, names=names) for key in ("sentence", "given"))
    got = f"a difference of {got:.2g}" if isinstance(got, float) else str(got)
    place, wrong = PLACES[entry["place"]], not entry["allowed"]
    return Finding(code, sentence, given, entry["expected"], got, place, entry["seen"], wrong)


@dataclass(repr=False)
class Report:
    """What a block is, and whether it is right.

    Attributes:
        kind: ``"squeeze-and-excitation"``, ``"ECA"``, ``"channel attention"``,
            ``"spatial attention"``, ``"CBAM"`` or ``"none of these"``.
        details: what was found of it: what it returns, order, mode, pools, kernels, reduction.
        findings: the mistakes and the deviations.
        reason: why it cannot be judged; empty if it can.
    """

    kind: str = "none of these"
    details: dict[str, str | int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    reason: str = ""

    @property
    def verdict(self) -> str:
        """``"right"``, ``"deviates"``, ``"wrong"`` or ``"cannot judge"``."""
        if any(finding.wrong for finding in self.findings):
            return "wrong"
        return "cannot judge" if self.reason else "deviates" if self.findings else "right"

    @property
    def exit_code(self) -> int:
        """0 for right and deviates, 1 for wrong, 2 if it cannot be judged."""
        return {"wrong": 1, "cannot judge": 2}.get(self.verdict, 0)

    def __repr__(self) -> str:
        details = ", ".join(f"{name} {value}" for name, value in self.details.items())
        text = f"{self.kind}: {self.verdict}"
        for part in filter(None, (details, self.reason)):
            text += "\n" + fill(part, 96, initial_indent="  ", subsequent_indent="  ")
        for one in self.findings:
            text += f"\n  {'wrong' if one.wrong else 'differs'}: {one.sentence} [{one.code}]"
            for name in ("given", "expected", "got", "place", "seen"):
                if value := getattr(one, name):
                    text += f"\n    {name + ':':10}{value}"
        return text

    def to_json(self) -> str:
        """The whole report as JSON."""
        return json.dumps(asdict(self) | {"verdict": self.verdict}, indent=2)
