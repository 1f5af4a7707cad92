"""What audits have found in other rollups' disputes (OP's by OP Labs, Sherlock, Code4rena and Spearbit; BoLD's by Code4rena and Trail of
Bits): each class of bug, the villains that try it here, and the tests that show that it is not here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """`villains` by name, `tests` as file::function below `tests`. `reason`: why it cannot occur here at all."""

    name: str
    story: str
    villains: tuple[str, ...]
    tests: tuple[str, ...]
    reason: str = ""


DISPUTE_FINDINGS = (
    Finding(
        "OP side pot: resolved early",
        "a game resolved before its subgame, its bonds locked for ever",
        ("usurper",),
        ("contracts/test_claims.py::test_children_of_unfinal_claims_and_finality_in_order",),
    ),
    Finding(
        "OP side pot: late attack",
        "an attack after the resolution bricks the game",
        ("orphan", "undead"),
        ("contracts/test_duel.py::test_a_dead_claim_moves_no_more",),
    ),
    Finding(
        "OP side pot: many subgames",
        "too many subgames to be resolved in one block",
        ("group-stuffers", "closed-doors"),
        (
            "contracts/test_tournament.py::test_gas__third_or_99th_claim_of_a_position__is_the_same",
            "challenger/test_scale.py::test_block__twenty_times_the_claims__costs_the_same",
        ),
    ),
    Finding(
        "OP side pot: last second",
        "a subgame won by a move at the last second",
        ("last-second-mover",),
        (
            "contracts/test_clocks.py::test_the_last_second_of_a_move",
            "contracts/test_clocks.py::test_the_longest_duel_ends_before_the_deadline",
        ),
    ),
    Finding(
        "OP side pot: other's time",
        "a win while the other side still has time",
        ("hasty-clock",),
        ("contracts/test_clocks.py::test_every_call_at_every_second_agrees_with_the_model",),
    ),
    Finding(
        "OP side pot: clones",
        "arguments of a clone abused for a second proposal that cannot be resolved",
        ("double-claimer",),
        ("attacks/test_dispute_attacks.py::test_op_m11__claim_made_before__binds_all_that_it_says",),
        "there are no clones: one contract holds all claims, and an id is a hash of all that a claim says",
    ),
    Finding(
        "OP side pot: max depth",
        "a depth that the game cannot play",
        (),
        (
            "contracts/test_constructors.py::test_claims__parameter_that_the_rules_cannot_live_with__refused",
            "contracts/test_duel.py::test_four_rounds",
        ),
    ),
    Finding(
        "OP side pot: index at depth",
        "an index that overflows at depth",
        ("last-step", "beyond-the-halt"),
        (
            "contracts/test_constructors.py::test_claims__parameter_at_its_edge__deployed",
            "challenger/test_machine.py::test_divergence__at_the_edges__is_proven",
        ),
    ),
    Finding(
        "OP side pot: leftmost claim",
        "the bond goes to the leftmost claim, not to the one that did the work",
        ("freeloader",),
        ("contracts/test_money.py::test_whoever_only_follows_the_right_claim_earns_nothing_by_it",),
    ),
    Finding(
        "Sherlock OP M-1",
        "a type of game cut to eight bits",
        ("poisoned-post-state",),
        ("steps_b/test_judge.py::test_a_header_without_a_phase_has_no_step",),
        "there is one kind of game, and a conversion that does not fit reverts",
    ),
    Finding(
        "Sherlock OP M-2",
        "a huge block number, claimed once, locks out all later ones",
        ("prophet", "leaper"),
        ("contracts/test_claims.py::test_what_a_claim_must_be",),
    ),
    Finding(
        "Sherlock OP M-3",
        "the first bond of a smart wallet stolen by whoever claims before it",
        ("front-runner-of-the-claim",),
        (
            "contracts/test_wallets.py::test_wallet__its_own_key_beside_it__does_not_move_its_stake",
            "contracts/test_wallets.py::test_wallet__anybody_asks_for_its_stake__it_is_paid_to_the_wallet",
            "contracts/test_wallets.py::test_wallet__that_refuses_or_calls_back__holds_up_nobody_else",
        ),
    ),
    Finding(
        "Sherlock OP M-4",
        "a bond lost by a reorganisation, for the move does not name its target",
        ("reorganised-move", "reorganised-claim"),
        (
            "contracts/test_duel.py::test_a_move_against_another_claim_reverts",
            "contracts/test_claims.py::test_a_reorg_makes_a_claim_revert",
        ),
    ),
    Finding(
        "Sherlock OP: blacklist",
        "a blacklisted game still moves the anchor",
        (),
        (
            "l1/test_unchangeable.py::test_only_four_contracts_ask_who_calls",
            "l1/test_unchangeable.py::test_everybody_may_do_what_anybody_may_but_post",
        ),
        "nobody can blacklist, pause or replace anything",
    ),
    Finding(
        "Sherlock OP: unbonded games",
        "games made before their bond was set",
        ("pauper",),
        ("contracts/test_claims.py::test_what_a_claim_must_be",),
        "the stake is set by the constructor for good",
    ),
    Finding(
        "Sherlock OP: hold()",
        "a guardian's hold on bonds, and running ahead of it",
        ("looter",),
        ("l1/test_unchangeable.py::test_everybody_may_do_what_anybody_may_but_post",),
        "nobody can hold anybody's stake",
    ),
    Finding(
        "Sherlock OP: same root again",
        "no new game for the same root at another head of L1",
        ("second-truth", "reorganised-claim"),
        (
            "contracts/test_claims.py::test_several_at_the_deadline_all_die_and_the_position_reopens",
            "contracts/test_claims.py::test_a_reorg_makes_a_claim_revert",
        ),
    ),
    Finding(
        "Sherlock OP: step(), move()",
        "a step or move copied out of the mempool",
        ("front-runner-of-the-proof", "front-runner-of-moves"),
        ("contracts/test_money.py::test_front_running_a_proof_pays_whoever_did_it",),
    ),
    Finding(
        "Sherlock OP: failed call",
        "a failed call of a receiver keeps its users from finalizing",
        ("looter",),
        (
            "contracts/test_money.py::test_a_payee_that_takes_no_ether_blocks_only_itself",
            "contracts/test_vault.py::test_tokens_that_return_nothing_work_and_false_reverts",
        ),
    ),
    Finding(
        "OP bonds",
        "bonds locked in a side pot",
        ("looter", "stake-recycler"),
        (
            "contracts/test_money.py::test_money_is_conserved_over_whole_tournaments",
            "attacks/test_dispute_attacks.py::test_op_bonds__after_every_dispute__honest_money_is_out_and_the_rest_is_burned",
        ),
    ),
    Finding(
        "OP H-01",
        "a wrong number of the disputed block is given to the machine",
        ("poisoned-pre-state",),
        (
            "contracts/test_claims.py::test_the_last_leaf_must_be_a_halted_header_of_this_epoch",
            "contracts/test_duel.py::test_bad_proofs_revert_and_decide_nothing",
        ),
        "what a step starts from is in the leaf before it; leaf 0 is made of the parent's state and the inbox",
    ),
    Finding(
        "OP H-02",
        "a time to object to preimages that outlasts the clock",
        (),
        (
            "attacks/test_edges.py::test_attack_02__most_messages_of_most_bytes__fit_the_judge",
            "steps_b/test_judge.py::test_every_kind_of_step_is_judged_within_its_bounds",
        ),
        "nothing is uploaded beforehand: a step's whole witness fits the one call that judges it",
    ),
    Finding(
        "OP H-03",
        "the metadata of a preimage altered once the time to object is over",
        ("poisoned-post-state",),
        ("steps_b/test_forgeries.py::test_every_value_of_a_witness_is_proven",),
        "nothing is uploaded beforehand",
    ),
    Finding(
        "OP H-04",
        "a precompile's call on L2 that L1 has not the gas to repeat",
        ("starving-relayer",),
        (
            "attacks/test_dispute_attacks.py::test_attack_07__gas_repriced_by_half__every_step_still_fits_one_transaction",
            "contracts/test_gas.py::test_every_kind_of_step_is_in_the_snapshot_and_payable",
        ),
    ),
    Finding(
        "OP H-05",
        "a time of zero passes a check of delays",
        ("hasty-clock", "usurper"),
        ("attacks/test_dispute_attacks.py::test_op_h05__claims_that_are_not_there__pass_no_check",),
    ),
    Finding(
        "OP M-05",
        "a panic of the machine makes a root unchallengeable",
        ("garbage-batch", "oversized-batch"),
        (
            "attacks/test_exchange.py::test_attack_02__largest_words_everywhere__codes_and_no_failure",
            "codec/test_inflate.py::test_total_on_any_bytes",
            "codec/test_rows.py::test_any_bytes_are_a_row_or_end_the_rows",
        ),
    ),
    Finding(
        "OP M-06",
        "too short an extension for the last moves",
        ("last-second-mover", "censors-of-the-honest"),
        (
            "contracts/test_clocks.py::test_the_longest_duel_ends_before_the_deadline",
            "contracts/test_play.py::test_without_a_grace_a_round_is_too_short",
        ),
    ),
    Finding(
        "OP M-08",
        "the bond of a step goes to whoever runs ahead",
        ("front-runner-of-the-proof", "fratricide"),
        (
            "contracts/test_money.py::test_front_running_a_proof_pays_whoever_did_it",
            "contracts/test_wages.py::test_a_stranger_never_gains_by_work",
        ),
    ),
    Finding(
        "OP M-09",
        "the index of a move is another's after a reorganisation",
        ("reorganised-move",),
        (
            "contracts/test_duel.py::test_a_move_against_another_claim_reverts",
            "challenger/test_tournament.py::test_reorg__of_every_kind_of_move_once__is_made_good",
        ),
    ),
    Finding(
        "OP M-11",
        "an id that another has created before",
        ("front-runner-of-the-claim", "second-truth", "double-claimer"),
        ("attacks/test_dispute_attacks.py::test_op_m11__claim_made_before__binds_all_that_it_says",),
    ),
    Finding(
        "OP MIPS",
        "instructions that differ from the machine's: signs, overflows, unaligned, unknown ones",
        ("first-step", "skipped-step"),
        (
            "steps/test_twins.py::test_random_steps_are_equal",
            "vectors/test_vectors.py::test_every_line_of_the_steps_is_run_by_a_vector",
            "steps_b/test_judge.py::test_a_header_without_a_phase_has_no_step",
        ),
        "there is no instruction set: a step is one rule of the exchange, in Python and in Vyper",
    ),
    Finding(
        "Spearbit 5.1.1",
        "out of gas in a precompile corrupts a part",
        ("starving-relayer",),
        (
            "contracts/test_starved.py::test_real_step__any_gas_limit__right_leaf_or_a_revert",
            "contracts/test_starved.py::test_post__any_gas_limit__right_record_or_none",
            "contracts/test_duel.py::test_little_gas_never_decides",
        ),
    ),
    Finding(
        "Spearbit 5.1.2",
        "an ancestor looked up out of bounds",
        ("orphan", "puppeteer"),
        (
            "contracts/test_duel.py::test_claims_of_different_positions_do_not_duel",
            "contracts/test_advance.py::test_only_the_owner_and_only_to_a_child_of_the_tip",
        ),
    ),
    Finding(
        "Spearbit 5.1.3",
        "a richer attacker outspends the honest one in parallel",
        ("griefer", "group-stuffers"),
        ("attacks/test_dispute_attacks.py::test_attack_02_03__a_liar_in_every_position__decided_side_by_side_on_one_stake",),
    ),
    Finding(
        "Spearbit 5.1.4",
        "a special challenge of the root steals the honest bond",
        ("right-state-wrong-trace", "self-challenger"),
        (
            "contracts/test_money.py::test_who_challenges_himself_loses",
            "challenger/test_machine.py::test_right_root_with_wrong_history__is_a_wrong_claim",
        ),
        "there is one kind of move, and no claim can be answered but by a duel",
    ),
    Finding(
        "Spearbit 5.2.1",
        "a step after its parent is resolved",
        ("orphan", "replayer"),
        ("contracts/test_duel.py::test_a_dead_claim_moves_no_more",),
    ),
    Finding(
        "Spearbit 5.2.2",
        "a call between two halves of a resolution corrupts the status",
        ("usurper", "mutual-killers"),
        ("contracts/test_tournament.py::test_both_die_and_a_third_rises", "contracts/test_play_contract.py::test_short_plays"),
        "a decision is one call",
    ),
    Finding(
        "Spearbit 5.2.6",
        "clocks that the constructor does not check",
        (),
        (
            "contracts/test_constructors.py::test_claims__parameter_that_the_rules_cannot_live_with__refused",
            "contracts/test_constructors.py::test_inbox__parameter_that_the_rules_cannot_live_with__refused",
            "contracts/test_play.py::test_without_a_grace_a_round_is_too_short",
        ),
    ),
    Finding(
        "Spearbit 5.4.3",
        "an honest party with a wrong strategy loses all",
        ("perfect-player",),
        (
            "challenger/test_tournament.py::test_crowd__any_order_and_any_strategies__right_claim_is_final_in_time",
            "sim/test_villains.py::test_villain__tried__is_caught",
        ),
    ),
    Finding(
        "BoLD H-01",
        "stakes do not add up once the stake that is asked for is lowered",
        ("looter",),
        ("contracts/test_advance.py::test_money_is_conserved_whoever_moves_stakes",),
        "the stake is set by the constructor for good",
    ),
    Finding(
        "BoLD H-02",
        "a timer inherited by a rival",
        ("late-sybils",),
        ("attacks/test_dispute_attacks.py::test_bold_h02__clock_that_a_liar_used_up__is_not_its_sisters",),
    ),
    Finding(
        "BoLD M-01",
        "what a late message costs goes by the order in which messages are forced in",
        ("censoring-sequencer", "queue-flooder"),
        (
            "contracts/test_inbox.py::test_overdue_messages_must_be_consumed",
            "attacks/test_floods.py::test_attack_9__message_that_has_waited__runs_at_its_own_time_on_what_its_batch_brings",
        ),
        "there is no buffer that delays use up: each message has its own deadline",
    ),
    Finding(
        "BoLD L: threshold",
        "`>=` against `>` at a threshold",
        ("latecomer",),
        (
            "contracts/test_claims.py::test_entry_closes_once_at_the_first_claim_plus_p",
            "contracts/test_tournament.py::test_promote_too_early_and_too_late",
        ),
    ),
    Finding(
        "ToB-32, BoLD L",
        "a stake reduced, or money withdrawn, by nothing",
        ("looter",),
        ("contracts/test_money.py::test_the_winner_is_paid_out_of_the_dead_stake_and_the_rest_is_burned",),
    ),
    Finding(
        "ToB-2, 5",
        "Merkle helpers on and off the chain differ",
        ("garbage-commitment",),
        (
            "protocol/test_history.py::test_root__leaves_and_reveals__prove_into_it",
            "codec/test_frames.py::test_every_place_of_the_inbox_proves",
            "contracts/test_inbox.py::test_the_epochs_tree_is_the_codecs_at_every_count_and_full_epochs_revert",
        ),
    ),
    Finding(
        "ToB-16",
        "an edge that nobody stands against is never confirmed",
        ("idle-groups",),
        (
            "contracts/test_tournament.py::test_33_claims_stand_in_two_groups_and_the_last_one_is_pushed_up",
            "challenger/test_tournament.py::test_right_claim_in_a_group_of_its_own__is_promoted_up_to_the_last_round",
        ),
    ),
    Finding(
        "ToB-17, 29",
        "whoever runs ahead of a validator leaves honest edges untracked",
        ("front-runner-of-moves", "front-runner-of-the-claim"),
        ("challenger/test_machine.py::test_right_claim_there__newcomer__plays_for_it_without_a_stake",),
    ),
    Finding(
        "ToB-18",
        "the watcher acts on a stale picture",
        ("phantom-reorganisation", "reorganised-proof"),
        (
            "challenger/test_machine.py::test_restart__after_every_block__proposes_what_the_first_would",
            "challenger/test_machine.py::test_reorg__undone_and_seen_again__acts_anew_only_when_the_first_is_over",
        ),
    ),
    Finding(
        "ToB-19..21",
        "timers counted twice, or not at all",
        ("late-sybils", "double-timeout"),
        (
            "contracts/test_clocks.py::test_every_call_at_every_second_agrees_with_the_model",
            "challenger/test_duel.py::test_board__any_moves_at_any_times__is_what_the_contract_says",
        ),
    ),
    Finding(
        "ToB-26",
        "the watcher misses what time alone has decided",
        ("silent", "undead"),
        (
            "challenger/test_machine.py::test_silent_rival__out_of_time__is_timed_out",
            "challenger/test_tournament.py::test_watcher__right_claims_group_is_undecided_when_the_round_ends__is_told_before_and_after",
            "challenger/test_audit.py::test_tournament__every_event_left_out_once__is_missed",
        ),
    ),
    Finding(
        "ToB-28",
        "`>=` against `>`, on and off the chain",
        ("latecomer", "last-second-mover"),
        (
            "contracts/test_clocks.py::test_every_call_at_every_second_agrees_with_the_model",
            "contracts/test_clocks.py::test_the_last_second_of_a_move",
            "challenger/test_duel.py::test_board__any_moves_at_any_times__is_what_the_contract_says",
        ),
    ),
)
