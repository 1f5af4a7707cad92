"""Writes docs/villains.md from the catalogue: `python -m sim.villains.page`."""

from pathlib import Path

from sim.villains.attacks import ATTACKS
from sim.villains.catalogue import CATALOGUE, get_answer, get_source
from sim.villains.findings import DISPUTE_FINDINGS, Finding
from sim.villains.findings_elsewhere import OTHER_FINDINGS

PAGE = Path(__file__).parents[2] / "docs" / "villains.md"
HEAD = """# Villains

Written by `python -m sim.villains.page`; a test holds it to the catalogue. `straddle sim villains` tries them all (`--only path`,
`exchange` or `dispute`; `--name` one of them), each before the real contracts on an EVM in the process, against the challenger's own
machine. After each trial one list of checks must hold (`sim/villains/checks.py`): the truth is final, the villain's claims ended as they
must, no honest stake is lost and no stake of a liar comes back, nobody honest moved for what is wrong, twice or in vain, villains gain
nothing, and where there is a pot the honest claimant has laid out nothing in the end.
"""
INTROS = {
    "path": "Lies about the whole path: any sequencer can be made to tell these. Each is the honest machine with one step replaced.",
    "exchange": "Lies about the exchange's rules, each with the epoch in which it matters.",
    "dispute": "Ways to play a dispute, from tests and audits of BoLD, OP and Dave (names as there), and from the list of attacks on ours.",
}
ATTACKS_HEAD = """
## The attacks on the dispute, by number

The rules must survive each. Numbers are those of the list that the design started from.

| attack | what it is | villains | tests |
|---|---|---|---|
"""
FINDINGS_HEAD = """
## What was found elsewhere

Classes of bugs from public audits of OP (by OP Labs, Sherlock, Code4rena and Spearbit), of BoLD (Code4rena, Trail of Bits) and of Derive
(Sigma Prime), from what stopped other chains, from advisories of Vyper and from OWASP's list for APIs; and what shows that they are not
here. A finding that has no number in public has a word. Tests are below `tests/`.

| finding | what it is | why it cannot occur, and villains | tests |
|---|---|---|---|
"""
COLUMNS = "| villain | what it tries | where it comes from | what beats it |\n|---|---|---|---|\n"


def render() -> str:
    """The whole page."""
    parts = [HEAD]
    for group, villains in CATALOGUE.items():
        parts.append(f"\n## {group.capitalize()}: {len(villains)}\n\n{INTROS[group]}\n\n{COLUMNS}")
        for villain in villains.values():
            parts.append(f"| `{villain.name}` | {' '.join(villain.story.split())} | {get_source(villain)} | {get_answer(villain)} |\n")
    parts.append(ATTACKS_HEAD)
    for attack in ATTACKS:
        villains_of = ", ".join(f"`{name}`" for name in attack.villains)
        parts.append(f"| {attack.number} | {attack.story} | {villains_of} | {', '.join(f'`{test}`' for test in attack.tests)} |\n")
    parts.append(FINDINGS_HEAD)
    parts += [render_finding(finding) for finding in (*DISPUTE_FINDINGS, *OTHER_FINDINGS)]
    return "".join(parts)


def render_finding(finding: Finding) -> str:
    """Its row."""
    answers = [*([finding.reason] if finding.reason else []), *(f"`{name}`" for name in finding.villains)]
    return f"| {finding.name} | {finding.story} | {'; '.join(answers)} | {', '.join(f'`{test}`' for test in finding.tests)} |\n"


if __name__ == "__main__":
    PAGE.write_text(render())
