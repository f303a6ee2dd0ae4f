//! The table of scenarios, played natively.

use std::time::{Duration, Instant};

use offhook_tests::scenarios::{SCENARIOS, named};

/// The seed of a plain run; `OFFHOOK_SEED` chooses another.
fn seed() -> u64 {
    std::env::var("OFFHOOK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

#[test]
fn every_scenario_holds() {
    let failures: Vec<String> = SCENARIOS
        .iter()
        .filter_map(|scenario| {
            let began = Instant::now();
            let failure = scenario.run(seed()).err();
            println!("{}: {} ms", scenario.name, began.elapsed().as_millis());
            failure
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn nats_hold_from_a_few_seeds() {
    let about = |name: &str| name.starts_with("nat_") || name == "rtp_hijacks";
    for scenario in SCENARIOS.iter().filter(|scenario| about(scenario.name)) {
        sweep(scenario.name, 3);
    }
}

#[test]
fn a_seed_gives_the_same_trace_twice() {
    for scenario in SCENARIOS {
        assert_eq!(scenario.run(seed()), scenario.run(seed()), "{}", scenario.name);
    }
}

#[test]
fn names_are_unique_and_found() {
    for scenario in SCENARIOS {
        let found = named(scenario.name).map(|s| s.shows);
        assert_eq!(found, Some(scenario.shows), "{}", scenario.name);
    }
}

#[test]
fn calls_complete_at_a_little_loss_from_a_thousand_seeds() {
    sweep("a_little_loss", 1_000);
}

#[test]
fn calls_end_at_any_loss_from_a_thousand_seeds() {
    sweep("any_loss", 1_000);
}

#[test]
fn both_hold_at_once_from_two_hundred_seeds() {
    sweep("hold_glare", 200);
}

#[test]
fn transfers_complete_at_a_little_loss_and_end_at_any_from_many_seeds() {
    sweep("transfer_at_a_little_loss", 100);
    sweep("transfer_at_any_loss", 20);
}

#[test]
fn servers_are_found_by_name_from_many_seeds() {
    for name in ["srv_failover_on_timeout", "srv_failover_on_503", "srv_failover_on_refusal"] {
        sweep(name, 10);
    }
    sweep("srv_weights", 3);
    for name in ["name_ttl", "naptr_chooses_tls", "sips_stays_private"] {
        sweep(name, 10);
    }
}

/// Plays a scenario from many seeds and tells how long it took.
fn sweep(name: &str, count: u64) {
    let scenario = named(name).expect("a scenario");
    let began = Instant::now();
    let failures: Vec<String> =
        (seed()..seed() + count).filter_map(|seed| scenario.run(seed).err()).collect();
    let took: Duration = began.elapsed();
    println!("{name}: {count} seeds in {:.1} s", took.as_secs_f64());
    let shown: Vec<&String> = failures.iter().take(5).collect();
    assert!(failures.is_empty(), "{} of {count} seeds failed: {shown:#?}", failures.len());
}

#[test]
fn what_is_broken_in_pyvoip_holds_from_many_seeds() {
    for scenario in SCENARIOS.iter().filter(|scenario| scenario.shows.contains("pyVoIP")) {
        // These take a second each.
        let slow = ["thousand_calls", "sequence_wraps"].contains(&scenario.name);
        sweep(scenario.name, if slow { 2 } else { 20 });
    }
}

#[test]
fn calls_survive_another_network_from_many_seeds() {
    for name in ["caller_moves", "both_move", "no_network_for_a_while", "moves_while_it_rings"] {
        sweep(name, 20);
    }
}

#[test]
fn sound_keeps_from_many_seeds() {
    for name in
        ["first_call", "early_media", "tone_both_ways", "tone_under_loss", "digits_under_loss"]
    {
        sweep(name, 40);
    }
    for name in ["rates", "mixed_streams", "forked_early_media", "marks"] {
        sweep(name, 5);
    }
}

#[test]
fn calls_over_connections_from_many_seeds() {
    let of_connections = SCENARIOS.iter().filter(|scenario| scenario.name.contains("connection"));
    of_connections.for_each(|scenario| sweep(scenario.name, 5));
}

#[test]
fn calls_survive_cuts_at_each_step() {
    // As many seeds as it takes to play every step.
    sweep("cut_at_each_step", 18);
}

#[test]
fn calls_survive_half_open_connections_at_each_step() {
    sweep("cut_as_the_caller_sees", 18);
    sweep("cut_as_the_called_sees", 18);
}

#[test]
fn calls_survive_a_restart_of_the_server_at_each_step() {
    sweep("restart_at_each_step", 18);
}

#[test]
fn calls_survive_a_silent_network_at_each_step() {
    sweep("silence_at_each_step", 12);
}
