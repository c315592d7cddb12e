//! Our own side before anything is bound: vault, keys, disk.

use renewd_events::problem::ProblemClass;

use super::{Case, Rule};
use crate::codes::{self, Step};

fn own(case: &Case<'_>, kinds: &[&str]) -> bool {
    case.own(ProblemClass::Local, kinds)
}

/// From the special to the general.
pub(super) const RULES: &[Rule] = &[
    Rule {
        code: codes::NOT_CONFIGURED,
        applies: |case| own(case, &[renewd_events::certificate::NOT_CONFIGURED]),
        sentence: "The configuration no longer names {name}, so nothing more is ordered for it.",
        remedy: "put it back into the configuration, or leave it",
    },
    Rule {
        code: codes::ISSUE_LOST,
        applies: |case| {
            case.step == Step::Binding
                && own(case, &["vaultKeyAbsent", "vaultDamaged", "chainAbsent", "chainDamaged"])
        },
        sentence: "The newest certificate's key or chain is gone or damaged, so it cannot be served: {subject}.",
        remedy: "nothing for the certificate: another one, with a new key, is ordered by itself; a file that is put back from a backup is served too; find out what removed it",
    },
    Rule {
        code: codes::CA_CHANGED,
        applies: |case| own(case, &["account-unknown"]),
        sentence: "{name} was being ordered with an account that the configuration no longer names, so nobody here can ask for the order any more.",
        remedy: "nothing: the next renewal orders from the CA that is configured now; if the change was not meant, put the earlier `ca` back",
    },
    Rule {
        code: codes::VAULT_KEY_WRONG,
        applies: |case| own(case, &["vaultWrongKey"]),
        sentence: "The vault does not open with this key.",
        remedy: "put the right key back; without it nobody can read the private keys",
    },
    Rule {
        code: codes::VAULT_KEY_FILE,
        applies: |case| own(case, &["vaultKeyUnreadable", "vaultKeyMode", "vaultKeyLength"]),
        sentence: "The key of the vault cannot be read: {subject}.",
        remedy: "give the file the right owner, mode 0600 and 32 bytes",
    },
    Rule {
        code: codes::VAULT_DAMAGED,
        applies: |case| own(case, &["vaultDamaged"]),
        sentence: "A sealed key is damaged: {subject}.",
        remedy: "restore the file from a backup",
    },
    Rule {
        code: codes::KEY_ABSENT,
        applies: |case| own(case, &["vaultKeyAbsent", "vaultBadName"]),
        sentence: "The vault lacks a key that the log names: {subject}.",
        remedy: "restore log and vault from the same backup",
    },
    Rule {
        code: codes::ACCOUNT_KEY,
        applies: |case| {
            own(case, &["account-key", "crypto", "key-check"]) && case.step != Step::Key
        },
        sentence: "The account key cannot sign.",
        remedy: "restore the vault from a backup; otherwise a new account is needed",
    },
    Rule {
        code: codes::VAULT_DISK,
        applies: |case| {
            case.at(&[Step::Key, Step::Account, Step::Chain])
                && own(case, &["diskWrite", "diskRead", "random", "no-store"])
        },
        sentence: "The state directory cannot be written or read: {subject}.",
        remedy: "free space, or correct owner and mode of state_dir",
    },
    Rule {
        code: codes::CA_NOT_TRUSTED,
        applies: |case| own(case, &["ca-roots"]),
        sentence: "The roots that this host should trust cannot be read: {subject}.",
        remedy: "correct account.ca_root_file, or install the system's root certificates",
    },
];
