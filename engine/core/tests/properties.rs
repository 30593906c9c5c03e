//! What holds for a call under any sequence of operations.

#[path = "../fuzz/harness/call_operations.rs"]
mod operations;

use proptest::prelude::*;

/// Operations as pairs of code and value, led by the settings.
fn operations() -> impl Strategy<Value = Vec<u8>> {
    let operation = prop_oneof![
        4 => (1..=4_u8, any::<u8>()),
        2 => (5..=5_u8, any::<u8>()),
        3 => (9..=9_u8, 16..=255_u8),
        6 => (12..=15_u8, any::<u8>()),
        4 => any::<(u8, u8)>(),
    ];
    (any::<u8>(), prop::collection::vec(operation, 0..120)).prop_map(|(setting, operations)| {
        let started = [setting, 0, 0];
        started
            .into_iter()
            .chain(operations.into_iter().flat_map(|(a, b)| [a, b]))
            .collect()
    })
}

/// 400 cases of each, or as many as `PROPTEST_CASES` says.
fn config() -> ProptestConfig {
    let given = ProptestConfig::default();
    let cases = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => given.cases,
        None => 400,
    };
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..given
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_sequence_of_operations(bytes in operations()) {
        operations::run(&bytes);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        operations::run(&bytes);
    }
}
