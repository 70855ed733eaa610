//! Twenty defects that were found in an earlier system of this kind, and where each is caught.

/// The defect, and the tests that catch it: a file of the repository and a function in it.
const CAUGHT: [(&str, &[(&str, &str)]); 20] = [
    (
        "1: words of a viewer were run by a shell on the control plane",
        &[
            (DEFECTS, "nothing_that_a_shell_would_obey_reaches_a_cluster"),
            ("portal/src/kube/names.rs", "nothing_of_the_injection_corpus_is_a_name"),
            (
                INSIDE,
                "a_kubeconfig_opens_ones_own_namespace_and_nothing_else_until_it_is_taken_back",
            ),
        ],
    ),
    (
        "2: lists checked the role and not the grant",
        &[
            (DEFECTS, "lists_hold_only_what_one_may_see_and_the_rest_is_not_there"),
            ("portal/tests/it/rights.rs", "every_route_is_held_to_its_row_for_everybody"),
        ],
    ),
    (
        "3: a page handed out a session without asking who was there",
        &[(DEFECTS, "only_health_styles_and_signing_in_are_open")],
    ),
    ("4: admin/admin", &[(DEFECTS, "a_new_site_has_no_account_and_no_default_password")]),
    (
        "5: passwords were one round of SHA-256",
        &[(DEFECTS, "the_database_holds_no_secret_in_clear")],
    ),
    (
        "6: session tokens lay there in clear and never ended",
        &[
            (DEFECTS, "the_database_holds_no_secret_in_clear"),
            (DEFECTS, "no_session_and_no_key_lives_for_ever"),
        ],
    ),
    (
        "7: signing in took what another site had begun, and put the session into an address",
        &[(DEFECTS, "a_session_is_a_cookie_of_this_site_and_stands_in_no_address")],
    ),
    (
        "8: one key a person, without scope, end or revocation",
        &[
            (DEFECTS, "no_session_and_no_key_lives_for_ever"),
            ("portal/tests/it/rights.rs", "every_route_is_held_to_its_row_for_everybody"),
        ],
    ),
    (
        "9: what people typed became HCL",
        &[
            (DEFECTS, "what_people_type_is_a_name_or_refused_and_never_hcl"),
            ("portal/src/cluster/hcl.rs", "texts_that_are_meant_ill_stay_texts"),
        ],
    ),
    ("10: the token of Proxmox lay in every workspace", &[(JOURNEY, LIFE)]),
    (
        "11: machines with a known password, and host keys that nobody checked",
        &[
            (JOURNEY, LIFE),
            (INSIDE, "a_cluster_that_does_not_behave_is_named_and_the_portal_goes_on"),
        ],
    ),
    (
        "12: a restart lost the jobs, and clusters stayed half made for ever",
        &[(
            KILLS,
            "killed_at_each_stage_of_create_and_destroy_every_run_goes_on_and_nothing_is_lost",
        )],
    ),
    (
        "13: a time limit began to count when the output had ended",
        &[(
            "provider/process/src/tests.rs",
            "what_takes_too_long_is_stopped_and_says_how_far_it_came",
        )],
    ),
    (
        "14: no cancel, no second try, no log",
        &[(
            RUNS,
            "a_run_is_cancelled_in_order_then_by_force_and_trying_again_finishes_what_was_begun",
        )],
    ),
    (
        "15: a destroy without a state reported success and left the machines",
        &[(RUNS, "a_destroy_without_its_state_finds_the_machines_all_the_same")],
    ),
    (
        "16: addresses were counted up, without end and without a lock",
        &[(
            "tests/it/leases.rs",
            "eight_terraforms_of_two_providers_race_for_one_pool_and_get_disjoint_contiguous_blocks",
        )],
    ),
    (
        "17: a delete could start while a create ran",
        &[(JOURNEY, LIFE), ("portal/src/state/mod.rs", "one_writer_at_a_time")],
    ),
    (
        "18: only a global administrator could clean up a course",
        &[(DEFECTS, "whoever_leads_a_course_owns_its_clusters_without_being_an_administrator")],
    ),
    (
        "19: health was a column that a job had set once",
        &[(INSIDE, "a_cluster_that_does_not_behave_is_named_and_the_portal_goes_on")],
    ),
    ("20: each kubeconfig was written over the one before", &[(JOURNEY, LIFE)]),
];
const DEFECTS: &str = "portal/tests/it/defects.rs";
const JOURNEY: &str = "tests/it/portal/journey.rs";
const LIFE: &str =
    "a_cluster_is_made_scaled_exported_and_destroyed_and_the_portal_shows_what_exists";
const INSIDE: &str = "tests/it/portal/inside.rs";
const KILLS: &str = "tests/it/portal/kills.rs";
const RUNS: &str = "tests/it/portal/runs.rs";

#[test]
fn each_of_the_twenty_is_caught_by_a_test_that_is_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a parent");
    let mut missing = Vec::new();
    for (number, (defect, tests)) in (1..).zip(CAUGHT) {
        assert!(defect.starts_with(&format!("{number}: ")) && !tests.is_empty(), "{defect}");
        for (file, test) in tests {
            let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
            if !text.contains(&format!("fn {test}(")) {
                missing.push(format!("{defect}: no {test} in {file}"));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}
