"""The attacks on the dispute that the rules must survive, by number: what each is, the villains that try it, the tests that play it.

What audits of others have found is in `sim.villains.findings` and `sim.villains.findings_elsewhere`."""

from dataclasses import dataclass

CLAIMS, CLOCKS, DUEL = "tests/contracts/test_claims.py", "tests/contracts/test_clocks.py", "tests/contracts/test_duel.py"
MONEY, PLAY, WAGES = "tests/contracts/test_money.py", "tests/contracts/test_play.py", "tests/contracts/test_wages.py"
HERE, TREE = "tests/attacks/test_dispute_attacks.py", "tests/attacks/test_tree.py"


@dataclass(frozen=True)
class Attack:
    """`villains` by name, `tests` as file::function."""

    number: str
    story: str
    villains: tuple[str, ...]
    tests: tuple[str, ...]


ATTACKS = (
    Attack(
        "1",
        "entry without an end",
        ("late-sybils", "latecomer"),
        (f"{CLAIMS}::test_entry_closes_once_at_the_first_claim_plus_p", f"{HERE}::test_attack_01__entry__closes_when_the_first_claim_said"),
    ),
    Attack(
        "2",
        "serial stall: whatever falls is claimed wrongly again",
        ("builder-on-a-lie", "griefer", "reopeners"),
        (
            f"{TREE}::test_attack_2__liars_who_kill_each_other_over_and_over__truth_enters_in_any_generation",
            f"{HERE}::test_attack_02_03__a_liar_in_every_position__decided_side_by_side_on_one_stake",
        ),
    ),
    Attack(
        "3",
        "a liar in every position",
        ("griefer",),
        (
            f"{TREE}::test_attack_3__right_claim_made_by_another__honest_stake_follows",
            f"{HERE}::test_attack_02_03__a_liar_in_every_position__decided_side_by_side_on_one_stake",
        ),
    ),
    Attack(
        "4",
        "the group that eliminates the honest",
        ("last-second-mover", "sybils-everywhere", "group-stuffers", "undead", "censors-of-the-honest"),
        (
            f"{CLOCKS}::test_the_longest_duel_ends_before_the_deadline",
            f"{PLAY}::test_the_longest_that_an_honest_claim_needs",
            f"{PLAY}::test_every_small_tournament",
        ),
    ),
    Attack(
        "5",
        "stolen pay",
        (
            "front-runner-of-moves",
            "front-runner-of-the-proof",
            "front-runner-of-the-claim",
            "self-challenger",
            "accomplice",
            "fratricide",
            "freeloader",
        ),
        (
            f"{MONEY}::test_an_accomplice_cannot_drain_the_stake_first",
            f"{MONEY}::test_front_running_a_proof_pays_whoever_did_it",
            f"{MONEY}::test_who_challenges_himself_loses",
            f"{WAGES}::test_a_stranger_never_gains_by_work",
        ),
    ),
    Attack(
        "6",
        "forced messages consumed but not executed",
        ("censoring-sequencer", "queue-flooder"),
        ("tests/attacks/test_floods.py::test_attack_6__frames_that_burn_the_allowance__messages_run_on_their_reserve",),
    ),
    Attack(
        "7",
        "edges of the proof: witness, gas, first and last leaf, neither right",
        ("starving-relayer", "poisoned-post-state", "first-step", "last-step", "beyond-the-halt", "mutual-killers"),
        (
            f"{DUEL}::test_bad_proofs_revert_and_decide_nothing",
            f"{DUEL}::test_little_gas_never_decides",
            f"{DUEL}::test_neither_leaf_is_right_and_both_die",
            f"{DUEL}::test_a_halted_machine_steps_to_itself",
            f"{HERE}::test_attack_07__gas_repriced_by_half__every_step_still_fits_one_transaction",
        ),
    ),
    Attack(
        "8",
        "a reorganisation: the move lands on another claim",
        ("reorganised-claim", "reorganised-move", "reorganised-proof", "phantom-reorganisation"),
        (f"{CLAIMS}::test_a_reorg_makes_a_claim_revert", f"{DUEL}::test_a_move_against_another_claim_reverts"),
    ),
    Attack(
        "9",
        "data that expires while a tournament lasts",
        ("silent-endpoint", "lying-endpoint"),
        (
            f"{HERE}::test_attack_09__batches__are_calldata_and_no_contract_reads_a_blob",
            f"{HERE}::test_attack_09__newcomer_after_the_longest_tournament__judges_and_goes_on",
        ),
    ),
    Attack(
        "10",
        "Sybils without end",
        ("closed-doors", "kingmakers", "kings-of-three-rounds", "group-stuffers", "idle-groups", "sybils-with-one-prefix"),
        (
            f"{TREE}::test_attack_10__liars_fill_the_group_in_one_block__the_truth_still_enters",
            f"{HERE}::test_attack_10__a_million_sybils__four_rounds_and_124_duels",
        ),
    ),
    Attack(
        "11",
        "cheap delay",
        ("last-second-mover", "silent"),
        (f"{HERE}::test_attack_11__one_stake__delays_by_a_round_at_most_and_is_lost",),
    ),
    Attack(
        "12",
        "no winner",
        ("reopeners", "double-timeout", "mutual-killers"),
        (
            f"{CLAIMS}::test_several_at_the_deadline_all_die_and_the_position_reopens",
            f"{HERE}::test_attack_12__liars_alone__never_win_by_being_first",
            f"{PLAY}::test_without_an_honest_player_everything_ends_all_the_same",
        ),
    ),
)
