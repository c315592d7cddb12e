//! What the log says of an account that is gone at the CA, or of its key: the cause by name, and no
//! account beside the one that the log explains.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise, its helpers too")]

use renewd_sim::crash;
use renewd_sim::fate::Script;

/// The log of a scenario, a line an event.
fn log(name: &str) -> Vec<String> {
    let all = crash::all();
    let scenario = all.iter().find(|scenario| scenario.name == name);
    let (lines, violations) = crash::show(scenario.unwrap(), &Script::default());
    assert_eq!(violations, [], "{name}");
    lines
}

fn count(lines: &[String], words: &[&str]) -> usize {
    lines.iter().filter(|line| words.iter().all(|word| line.contains(word))).count()
}

#[test]
fn the_log_says_why_before_another_account_is_registered() {
    for (name, event, cause) in [
        ("account-deactivated", "RenewalFailed", "deactivated"),
        ("account-deactivated-in-mid-order", "RenewalFailed", "deactivated"),
        ("account-deactivated-at-a-renewal", "RenewalFailed", "deactivated"),
        ("account-lost-at-a-renewal", "RenewalFailed", "accountDoesNotExist"),
    ] {
        let lines = log(name);
        let told = lines.iter().position(|line| line.contains(event) && line.contains(cause));
        let (before, after) = lines.split_at(told.unwrap_or_else(|| panic!("{name}: {lines:#?}")));
        assert_eq!(count(before, &["AccountRegistered"]), 1, "{name}");
        assert_eq!(count(after, &["AccountRegistered"]), 1, "{name}");
    }
}

#[test]
fn without_its_key_an_account_is_waited_for_and_none_is_registered_beside_it() {
    for (name, event, cause) in [
        ("account-key-gone-in-mid-order", "AnswerMissing", "vaultKeyAbsent"),
        ("account-key-damaged-in-mid-order", "AnswerMissing", "vaultDamaged"),
        ("account-key-gone-at-a-renewal", "RenewalFailed", "vaultKeyAbsent"),
    ] {
        let lines = log(name);
        assert!(count(&lines, &[event, cause]) > 0, "{name}: {lines:#?}");
        assert_eq!(count(&lines, &["AccountKeyCreated"]), 1, "{name}");
        assert_eq!(count(&lines, &["AccountRegistered"]), 1, "{name}");
    }
}
