"""What the checker catches, what it misses, and its false alarms."""

import sys
import warnings
from collections import Counter

from cbam_course.checker import check
from tests.support import attention_cases, right_blocks, wrong_blocks


def main() -> int:
    warnings.simplefilter("ignore")
    counted, width = Counter(), 50
    for name, (block, code) in wrong_blocks.WRONG.items():
        report = check(block)
        codes = [one.code for one in report.findings if one.wrong]
        word = "caught" if report.verdict == "wrong" and code in codes else "MISSED"
        counted[word] += 1
        print(f"{word:12} {name:{width}} {', '.join(codes) or report.verdict}")
    right = {name: (block, {}) for name, (block, *_) in right_blocks.RIGHT.items()}
    right |= {name: (block, given) for name, (block, given, *_) in right_blocks.elsewhere().items()}
    right |= {f"ours: {case}": (case.make(64).float(), {}) for case in attention_cases.ALL}
    for name, (block, given) in right.items():
        report = check(block, 64, **given)
        word = "let pass" if report.verdict in ("right", "deviates") else "FALSE ALARM"
        counted[word] += 1
        codes = ", ".join(one.code for one in report.findings)
        print(f"{word:12} {name:{width}} {report.kind}{f': {codes}' if codes else ''}")
    print(*(f"{counted[word]} {word}" for word in ("caught", "MISSED", "let pass", "FALSE ALARM")))
    return 1 if counted["MISSED"] or counted["FALSE ALARM"] else 0


if __name__ == "__main__":
    sys.exit(main())
