"""What was found elsewhere beside disputes: in option exchanges (Sigma Prime on Derive: DRV, DRV2, DRV3, AMV), by what stopped other
chains, in Vyper's contracts (advisories of its compiler), and in APIs (OWASP's ten of 2023)."""

from sim.villains.findings import Finding

OTHER_FINDINGS = (
    Finding(
        "DRV-01",
        "liquidation inside a call-back before the risk check",
        (),
        (
            "attacks/test_exchange.py::test_attack_10__trade_in_pieces__only_the_commit_writes",
            "checks/test_vyper.py::test_steps_and_libraries__all_functions__change_nothing",
        ),
        "a row's steps are one whole, and call nobody",
    ),
    Finding(
        "DRV-02, DRV2-01",
        "a bidder blocked by dust that is sent to it",
        (),
        (
            "attacks/test_auction.py::test_drv_02__dust_in_the_bidders_account__does_not_block_it",
            "attacks/test_auction.py::test_drv_02__dust_bids_of_a_friend__each_of_them_is_progress",
        ),
    ),
    Finding(
        "DRV-03",
        "surfaces that make the health check revert",
        (),
        (
            "attacks/test_exchange.py::test_attack_15__extreme_but_legal_surfaces__no_health_check_fails",
            "pricing/test_twins.py::test_margins_never_revert",
        ),
    ),
    Finding(
        "DRV-04",
        "a liquidator pays with cash that it lacks",
        (),
        ("attacks/test_auction.py::test_drv_04__longs_without_the_cash_for_them__refused",),
    ),
    Finding(
        "DRV-05",
        "any contract as the manager of an account",
        (),
        (
            "l1/test_unchangeable.py::test_only_four_contracts_ask_who_calls",
            "l1/test_unchangeable.py::test_no_contract_answers_to_what_its_abi_does_not_have",
        ),
        "accounts have no managers: the rules are one machine",
    ),
    Finding("DRV-06", "an auction that cannot end", (), ("attacks/test_auction.py::test_drv_06__an_auction_ends",)),
    Finding(
        "DRV-07",
        "assets moved after the start of an auction",
        (),
        ("attacks/test_auction.py::test_drv_07__assets_moved_after_the_start__only_in",),
    ),
    Finding(
        "DRV2-02",
        "a withdrawal completed that nobody asked for, for a time of zero passes the cooldown",
        (),
        (
            "steps_b/test_scan.py::test_nobody_enters_or_leaves_at_others_cost",
            "attacks/test_dispute_attacks.py::test_op_h05__claims_that_are_not_there__pass_no_check",
        ),
        "a request to leave is an amount: without one there is nothing to pay, whatever its time",
    ),
    Finding(
        "DRV3-01",
        "a withdrawal that is not there",
        ("looter",),
        (
            "contracts/test_vault.py::test_another_places_leaf_is_no_withdrawal",
            "contracts/test_vault.py::test_a_withdrawal_must_be_in_a_final_state",
        ),
    ),
    Finding(
        "DRV-09",
        "the cooldown of a session key passed by registering it again with a time that is over",
        (),
        (
            "steps_b/test_authorize.py::test_what_a_dead_key_signed_is_dead",
            "steps_b/test_authorize.py::test_an_order_lives_no_longer_than_the_key_that_signed_it",
        ),
    ),
    Finding(
        "Derive: fees",
        "a fee kept for later is taken twice when losses are shared repeatedly",
        (),
        (
            "sim/test_crash.py::test_crash__pool_without_money__deleverages_and_still_adds_up",
            "protocol/test_mutations.py::test_mutation__one_rule_changed__its_invariant_fails",
        ),
    ),
    Finding(
        "Derive: deposits",
        "a deposit spent twice",
        (),
        (
            "attacks/test_exchange.py::test_attack_12__deposit_rows__only_the_vaults",
            "contracts/test_vault.py::test_deposits_open_accounts_in_order_and_queue_canonical_rows",
            "contracts/test_inbox.py::test_messages_are_hashed_as_the_codec_does_and_consumed_in_order",
        ),
    ),
    Finding(
        "DRV3-04",
        "one failed transfer blocks a queue",
        ("looter",),
        (
            "contracts/test_money.py::test_a_payee_that_takes_no_ether_blocks_only_itself",
            "contracts/test_wallets.py::test_wallet__that_refuses_or_calls_back__holds_up_nobody_else",
        ),
    ),
    Finding(
        "DRV2-09",
        "EIP-712 types without those nested in them",
        (),
        (
            "protocol/test_signing.py::test_any_terms__same_digest_as_typed_data",
            "attacks/test_exchange.py::test_attack_15__signature_over_another_markets_slices__not_a_marks",
        ),
    ),
    Finding(
        "Derive: blacklist",
        "a forced withdrawal blocked by a token that blacklists its receiver",
        (),
        (
            "contracts/test_vault.py::test_tokens_that_return_nothing_work_and_false_reverts",
            "contracts/test_vault.py::test_a_withdrawal_is_paid_once_to_its_owner",
        ),
        "it is paid whenever the token lets it, and stands in nobody's way",
    ),
    Finding(
        "Derive: expired",
        "options made after their expiry",
        (),
        (
            "attacks/test_exchange.py::test_attack_13__at_expiry__trading_stops_and_the_slice_stands_still",
            "attacks/test_exchange.py::test_attack_13__mark_without_a_live_expiry__refused",
        ),
    ),
    Finding(
        "DRV-12",
        "dust that makes an account dear to visit",
        (),
        (
            "attacks/test_rights.py::test_drv_12__dust__nobody_puts_positions_into_an_account_that_did_not_sign",
            "steps_b/test_gas.py::test_no_full_account_is_dearer_than_the_worst",
        ),
    ),
    Finding(
        "Derive: id overflow",
        "an id that overflows in a loop",
        (),
        (
            "contracts/test_vault.py::test_accounts_above_one_byte_and_their_end",
            "pricing/test_bounds.py::test_no_intermediate_passes_63_bits",
        ),
    ),
    Finding(
        "DRV-23",
        "trading with oneself made profitable",
        (),
        (
            "attacks/test_auction.py::test_drv_23__a_trade_with_oneself__gains_nothing",
            "steps_b/test_order_flags.py::test_self_trade__neither_with_oneself_nor_with_an_account_of_the_same_owner",
        ),
    ),
    Finding(
        "AMV-01",
        "a replayed signature undoes a revocation",
        (),
        (
            "steps_b/test_authorize.py::test_an_old_authorize_row_cannot_be_replayed",
            "steps_b/test_authorize.py::test_a_rows_own_replay_is_refused",
        ),
    ),
    Finding(
        "AMV-02",
        "what was checked at the signing is stale when it counts",
        (),
        (
            "sequencer/test_machine.py::test_what_a_rule_forbids_by_then_lapses_and_is_told",
            "steps_b/test_margin.py::test_old_marks_stop_what_adds_risk_only",
        ),
    ),
    Finding(
        "Polygon zkEVM 2024-03",
        "a reorganisation of L1, handled wrongly, stops the chain",
        ("reorganised-claim",),
        (
            "sequencer/test_machine.py::test_a_deep_reorganisation_posts_again",
            "l1/test_follower.py::test_a_reorganisation_while_it_was_down_is_undone_first",
        ),
    ),
    Finding(
        "OP 2023-04",
        "replicas lag behind, and nobody is told",
        ("silent-endpoint",),
        (
            "l1/test_follower.py::test_an_endpoint_that_falls_behind_undoes_nothing",
            "challenger/test_machine.py::test_data_unavailable__wrong_claim_or_not__nothing_is_sent",
        ),
    ),
    Finding(
        "Arbitrum 2023-12",
        "the sequencer is out for hours",
        ("censoring-sequencer",),
        (
            "contracts/test_inbox.py::test_anyone_posts_the_queue_when_the_sequencer_is_gone",
            "sim_world/test_exit.py::test_exit__without_a_sequencer__everybody_gets_everything",
        ),
    ),
    Finding(
        "GHSA-5824-cm3x-3c38",
        "a lock against re-entrancy that does not hold",
        ("looter",),
        (
            "checks/test_vyper.py::test_source__compiler__is_the_one_that_is_pinned",
            "contracts/test_solvency.py::test_a_payee_that_calls_back_gets_nothing_twice",
        ),
    ),
    Finding(
        "GHSA-g2xh-c426-v8mf",
        "operands evaluated in another order than written",
        (),
        (
            "checks/test_vyper.py::test_statement__with_an_effect__reads_nothing_beside_it",
            "checks/test_vyper.py::test_find_races__planted__found",
            "checks/test_vyper.py::test_steps_and_libraries__all_functions__change_nothing",
        ),
    ),
    Finding(
        "Vyper: bounds",
        "an array read or written beyond its end",
        (),
        (
            "contracts/test_bounds.py::test_array__one_more_than_its_bound__reverts",
            "contracts/test_bounds.py::test_message__damaged__reverts_or_is_what_its_event_says",
            "codec/test_inflate.py::test_total_on_any_bytes",
        ),
    ),
    Finding(
        "Vyper: no code",
        "`skip_contract_check`, or a call of an address without code, taken for a success",
        (),
        (
            "checks/test_vyper.py::test_source__calls__none_that_is_forbidden",
            "contracts/test_constructors.py::test_judge__step_without_code__refused",
            "contracts/test_constructors.py::test_vault__contracts_that_do_not_fit__refused",
        ),
    ),
    Finding(
        "Vyper: raw_call",
        "the failure of a raw call passed over",
        (),
        ("checks/test_vyper.py::test_raw_calls__all__are_known_and_a_failure_reverts",),
    ),
    Finding(
        "Vyper: lock",
        "a lock that must be asked for, and that other contracts and views do not see",
        ("looter",),
        (
            "checks/test_vyper.py::test_foreign_code__called__under_the_lock_and_after_all_writes",
            "checks/test_vyper.py::test_foreign_code__anywhere_else__is_not_called",
            "contracts/test_solvency.py::test_a_payee_that_calls_back_gets_nothing_twice",
        ),
    ),
    Finding(
        "OWASP API1",
        "objects of others",
        (),
        (
            "sequencer/test_api.py::test_private_channels_tell_of_fills_and_removals",
            "sequencer/test_hostile.py::test_accounts_are_found_by_their_owner_also_after_a_reorganisation",
        ),
    ),
    Finding(
        "OWASP API2",
        "who is who",
        (),
        (
            "sequencer/test_hostile.py::test_an_account_that_a_reorganisation_gives_to_somebody_else_is_logged_out",
            "sequencer/test_api_operations.py::test_session_key__trades_for_the_account_until_it_is_revoked",
        ),
    ),
    Finding(
        "OWASP API3",
        "properties of others",
        (),
        ("sequencer/test_api.py::test_what_a_client_may_not_do", "sequencer/test_api_operations.py::test_flags__are_signed_and_enforced"),
    ),
    Finding(
        "OWASP API4",
        "resources used up",
        (),
        (
            "sequencer/test_hostile.py::test_dear_questions_do_not_hold_up_cheap_ones",
            "sequencer/test_hostile.py::test_sockets_that_only_stand_there_keep_nobody_out",
            "sequencer/test_hostile.py::test_what_is_posted_free_of_charge_is_bounded",
        ),
    ),
    Finding(
        "OWASP API5",
        "functions that are not for everybody",
        (),
        ("sequencer/test_hostile.py::test_orders_and_trades_are_not_for_strangers_to_post",),
    ),
    Finding(
        "OWASP API6",
        "a flow of business overrun",
        ("queue-flooder",),
        (
            "sequencer/test_api.py::test_rows_that_change_nothing_are_not_posted_on_request",
            "attacks/test_floods.py::test_attack_9__forced_junk__fits_the_history",
        ),
    ),
    Finding(
        "OWASP API7",
        "requests that the server is made to send",
        (),
        ("sequencer/test_api_operations.py::test_every_method__is_on_its_page",),
        "no method takes an address on the network",
    ),
    Finding(
        "OWASP API8",
        "a wrong configuration",
        (),
        (
            "sequencer/test_feed.py::test_another_chain_is_not_followed",
            "challenger/test_runtime.py::test_config__unusable__is_refused_with_its_code",
        ),
    ),
    Finding("OWASP API9", "methods that nobody knows of", (), ("sequencer/test_api_operations.py::test_every_method__is_on_its_page",)),
    Finding(
        "OWASP API10",
        "an upstream that is trusted too much",
        ("lying-endpoint", "phantom-reorganisation"),
        (
            "sequencer/test_machine.py::test_lies_about_l1_stop_the_machine",
            "l1/test_provider.py::test_no_field_of_a_transaction_can_be_changed_unseen",
            "l1/test_provider.py::test_lies_about_a_header",
        ),
    ),
)
