//! Putting an issue in place, listeners, restarts: our side after the CA has done its part.

use renewd_events::problem::ProblemClass;

use super::{Case, Rule};
use crate::codes::{self, Step};

const HERE: &[Step] = &[Step::Binding, Step::Listener, Step::Restart];

fn local(case: &Case<'_>, kinds: &[&str], words: &[&str]) -> bool {
    case.at(HERE)
        && (case.own(ProblemClass::Local, kinds) || (!words.is_empty() && case.says(words)))
}

/// From the special to the general.
pub(super) const RULES: &[Rule] = &[
    Rule {
        code: codes::RESTART_NOT_POSSIBLE,
        applies: |case| case.at(HERE) && case.problem.kind == "noRestartMethod",
        sentence: "Only a restart can open {address}, and nothing here can restart the process.",
        remedy: "restart the program by hand, or configure how it is restarted",
    },
    Rule {
        code: codes::RESTART_NOT_SEEN,
        applies: |case| case.step == Step::Restart,
        sentence: "A restart was asked for and did not happen.",
        remedy: "restart the service by hand; check what its supervisor does when the program ends",
    },
    Rule {
        code: codes::PORT_TAKEN,
        applies: |case| {
            local(case, &["addressInUse"], &["address already in use", "address in use"])
        },
        sentence: "{address} is held by {holder}; it is left alone.",
        remedy: "stop that program, or choose another address or port",
    },
    Rule {
        code: codes::ADDRESS_NOT_HERE,
        applies: |case| {
            local(case, &["addressNotHere", "badAddress"], &["cannot assign requested address"])
        },
        sentence: "{address} is not an address of this host now.",
        remedy: "correct the address, or use 0.0.0.0 and [::]",
    },
    Rule {
        code: codes::PORT_NOT_PERMITTED,
        applies: |case| {
            local(case, &["listenNotPermitted"], &[])
                || (case.step == Step::Listener && case.says(&["permission denied"]))
        },
        sentence: "This user may not open {address}.",
        remedy: "give the service AmbientCapabilities=CAP_NET_BIND_SERVICE, or pass the socket by systemd",
    },
    Rule {
        code: codes::NOT_LISTENING,
        applies: |case| local(case, &["listenerNotLive"], &[]),
        sentence: "The listener on {address} is not open in this life of the process.",
        remedy: "see the listener's own error; a restart is asked for when only that helps",
    },
    Rule {
        code: codes::RELOAD_HANGS,
        applies: |case| {
            case.step == Step::Binding
                && case.problem.kind.to_ascii_lowercase().contains("reload")
                && case.says(&["timed out", "timeout", "not returned", "within"])
        },
        sentence: "The reload command has not returned in time.",
        remedy: "use a command that only signals and returns",
    },
    Rule {
        code: codes::RELOAD_FAILED,
        applies: |case| {
            case.step == Step::Binding && case.problem.kind.to_ascii_lowercase().contains("reload")
        },
        sentence: "The certificate is in place; the reload command failed.",
        remedy: "run the command by hand: usually the other program's configuration has an error of its own",
    },
    Rule {
        code: codes::TARGET_READ_ONLY,
        applies: |case| local(case, &["readOnly"], &["read-only file system"]),
        sentence: "{subject} is on a read-only file system.",
        remedy: "mount a writable volume there, or choose another directory",
    },
    Rule {
        code: codes::TARGET_FULL,
        applies: |case| local(case, &["diskFull"], &["no space left", "quota exceeded"]),
        sentence: "No space is left for {subject}; the earlier certificate stays in place.",
        remedy: "free space",
    },
    Rule {
        code: codes::TARGET_NOT_WRITABLE,
        applies: |case| {
            local(case, &["diskWrite"], &["permission denied", "operation not permitted"])
        },
        sentence: "{subject} cannot be written by this user.",
        remedy: "correct owner or mode; then SELinux, AppArmor and ProtectSystem of the unit",
    },
    Rule {
        code: codes::KEY_PAIR,
        applies: |case| {
            case.step == Step::Binding
                && matches!(case.problem.kind.as_str(), "badChain" | "key-check" | "crypto")
        },
        sentence: "The TLS library refuses key and chain; the earlier issue stays.",
        remedy: "please report it, with the evidence",
    },
    Rule {
        code: codes::OLD_SERVED,
        applies: |case| {
            case.step == Step::Binding
                && (case.problem.kind.to_ascii_lowercase().contains("mismatch")
                    || case.problem.kind.to_ascii_lowercase().contains("othercertificate")
                    || case.says(&[
                        "is served instead",
                        "another certificate",
                        "other certificate",
                    ]))
        },
        sentence: "{address} serves another certificate than the new one.",
        remedy: "reload the program that serves; behind a balancer or CDN visitors see its certificate",
    },
    Rule {
        code: codes::HANDSHAKE,
        applies: |case| {
            case.step == Step::Binding
                && (case.class(ProblemClass::Transport)
                    || case.says(&["handshake", "refused", "timed out"]))
        },
        sentence: "No TLS handshake came about at {address}.",
        remedy: "check that a program listens there and that the local firewall lets TCP through",
    },
    Rule {
        code: codes::BIND_OTHER,
        applies: |case| case.at(HERE),
        sentence: "The certificate could not be put in place at {address}.",
        remedy: "read the system's words below; the earlier certificate stays",
    },
];
