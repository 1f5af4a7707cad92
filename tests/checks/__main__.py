"""`python -m tests.checks`: problems and remarks as lines an editor can jump to; fails on a problem."""

import sys

from tests.checks.tree import find_problems, find_remarks


def main() -> int:
    """Exit code 1 if anything is forbidden."""
    for remark in find_remarks():
        print(f"remark: {remark}")
    problems = find_problems()
    for problem in problems:
        print(problem)
    print(f"house rules: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
