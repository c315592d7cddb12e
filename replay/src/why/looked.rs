//! Where was looked when an issue was not seen: the server that `verify` names, or only the files.

use renewd_events::binding::{Binding, Target};

use super::case::Found;
use crate::codes;
use crate::escape;

/// Where the binding was looked at, for a sentence about what failed there.
pub(super) fn place(binding: &Binding) -> String {
    match &binding.target {
        Some(Target::Files { verify: Some(address), .. }) if binding.mismatched.is_some() => {
            address.clone()
        }
        Some(target) => target.label(),
        None => String::new(),
    }
}

/// Files that no server is asked about do not serve: they hold something, or not.
pub(super) fn amended(mut found: Found, binding: &Binding) -> Found {
    let Some(Target::Files { directory, verify: None, .. }) = &binding.target else { return found };
    let Some((generation, _)) = binding.mismatched else { return found };
    if found.code != codes::OLD_SERVED && found.code != codes::HANDSHAKE {
        return found;
    }
    let place = escape::field(directory, 120);
    found.sentence = format!(
        "The files at {place} do not hold generation {generation} (no `verify`: no server was asked)."
    );
    found.remedy = "see what else writes there; renewd puts its own back".to_owned();
    found
}
