//! What each command takes, written down once: checked before anything is built, and shown by `--help`.
//! What only the program behind a command knows (scenarios, bugs, fuzz targets) that program checks.

/// What follows a flag.
#[derive(Clone, Copy)]
enum Value {
    Nothing,
    Number,
    Decimal,
    Text,
}
use Value::{Decimal, Nothing, Number, Text};

/// The words of a command that are no flags.
#[derive(Clone, Copy)]
enum Words {
    UpTo(usize),
    OneOf(&'static [&'static str]),
    /// All goes on as it is, flags too.
    GoOn,
}

/// What a command takes.
struct Takes {
    name: &'static str,
    /// Each way to say it, after the name.
    usage: &'static [&'static str],
    flags: &'static [(&'static str, Value)],
    words: Words,
}

/// The commands that go on for minutes.
const LONG: &[&str] = &["crash", "sim", "damage", "kill", "fuzz"];

const ALL: &[Takes] = &[
    Takes { name: "test", usage: &["[ARGUMENTS OF cargo test]"], flags: &[], words: Words::GoOn },
    Takes { name: "ci", usage: &["[ARGUMENTS OF cargo test]"], flags: &[], words: Words::GoOn },
    nothing("lint"),
    nothing("layers"),
    nothing("tidy"),
    nothing("deny"),
    Takes {
        name: "bench",
        usage: &["NAME    append, replay, open, issue, swap, start, kill or all"],
        flags: &[],
        words: Words::OneOf(crate::bench::NAMES),
    },
    Takes {
        name: "crash",
        usage: &[
            "[SCENARIO...]                  one end at every boundary",
            "--recovery N [SCENARIO...]     and a second at every Nth boundary of the recovery",
            "--deep N [SCENARIO...]         and a second at every Nth boundary of all that follows",
            "--script SCRIPT SCENARIO       one run, with its log",
        ],
        flags: &[("--recovery", Number), ("--deep", Number), ("--script", Text)],
        words: Words::UpTo(usize::MAX),
    },
    Takes {
        name: "sim",
        usage: &[
            "[--seeds N] [--from SEED] [--large]           300 seeds unless told",
            "--years Y [--from SEED]                       large worlds, up to so many renewal-years",
            "--seed SEED [--large] [--script SCRIPT]       one seed, with its log",
        ],
        flags: &[
            ("--seeds", Number),
            ("--from", Number),
            ("--years", Decimal),
            ("--seed", Number),
            ("--script", Text),
            ("--large", Nothing),
        ],
        words: Words::UpTo(0),
    },
    Takes {
        name: "soak",
        usage: &["[crash] [sim] [damage] [kill] [fuzz]    all of them unless told"],
        flags: &[],
        words: Words::OneOf(LONG),
    },
    Takes {
        name: "damage",
        usage: &["--count N [--seed S]", "--seed S --only CASE"],
        flags: &[("--count", Number), ("--seed", Number), ("--only", Number)],
        words: Words::UpTo(0),
    },
    Takes {
        name: "fuzz",
        usage: &[
            "[--seconds N] [--seed S] [TARGET [FILE]]    a minute for each target unless told",
        ],
        flags: &[("--seconds", Number), ("--seed", Number)],
        words: Words::UpTo(2),
    },
    Takes {
        name: "kill",
        usage: &["--count N [--seed S] [--lanes L]", "--suspend SECONDS"],
        flags: &[
            ("--count", Number),
            ("--seed", Number),
            ("--lanes", Number),
            ("--suspend", Number),
        ],
        words: Words::UpTo(0),
    },
    Takes {
        name: "planted",
        usage: &["[BUG...]    all bugs unless told"],
        flags: &[],
        words: Words::UpTo(usize::MAX),
    },
    Takes {
        name: "mutants",
        usage: &["[--file GLOB] [--shard K/N]"],
        flags: &[("--file", Text), ("--shard", Text)],
        words: Words::UpTo(0),
    },
];

const fn nothing(name: &'static str) -> Takes {
    Takes { name, usage: &["(no arguments)"], flags: &[], words: Words::UpTo(0) }
}

/// How a command is said; nothing for one that is not written down here.
pub(crate) fn usage(name: &str) -> String {
    let takes = ALL.iter().find(|takes| takes.name == name);
    let ways = takes.map_or(&[][..], |takes| takes.usage);
    ways.iter().map(|way| format!("\n  cargo xtask {name} {way}")).collect()
}

/// Whether only help is wanted.
pub(crate) fn asks_for_help(name: &str, arguments: &[String]) -> bool {
    let first = arguments.first().map(String::as_str);
    let goes_on = ALL.iter().any(|it| it.name == name && matches!(it.words, Words::GoOn));
    let anywhere = arguments.iter().any(|argument| argument == "--help" || argument == "-h");
    matches!(first, Some("--help" | "-h")) || (anywhere && !goes_on)
}

/// What is wrong with the arguments of a command, for a person.
pub(crate) fn check(name: &str, arguments: &[String]) -> Result<(), String> {
    let Some(takes) = ALL.iter().find(|takes| takes.name == name) else {
        return Ok(());
    };
    if let Words::GoOn = takes.words {
        return Ok(());
    }
    let (mut words, mut seen) = (0_usize, Vec::new());
    let mut rest = arguments.iter().map(String::as_str);
    while let Some(argument) = rest.next() {
        if !argument.starts_with('-') {
            words = words.saturating_add(1);
            word(takes, argument, words)?;
            continue;
        }
        let known = takes.flags.iter().find(|(flag, _)| *flag == argument);
        let Some((flag, value)) = known else {
            let all: Vec<&str> = takes.flags.iter().map(|(flag, _)| *flag).collect();
            let all = if all.is_empty() { "it takes no flag".to_owned() } else { all.join(", ") };
            return Err(format!("`{argument}` is no flag of it; there is: {all}"));
        };
        if seen.contains(flag) {
            return Err(format!("{flag} is said twice"));
        }
        seen.push(*flag);
        follows(flag, *value, &mut rest)?;
    }
    Ok(())
}

fn word(takes: &Takes, word: &str, number: usize) -> Result<(), String> {
    match takes.words {
        Words::OneOf(known) if !known.contains(&word) => {
            Err(format!("there is no `{word}`; there is: {}", known.join(", ")))
        }
        Words::UpTo(most) if number > most => Err(format!("`{word}` is one word too many")),
        Words::OneOf(_) | Words::UpTo(_) | Words::GoOn => Ok(()),
    }
}

fn follows<'a>(
    flag: &str,
    value: Value,
    rest: &mut impl Iterator<Item = &'a str>,
) -> Result<(), String> {
    let (what, good): (&str, fn(&str) -> bool) = match value {
        Nothing => return Ok(()),
        Number => ("a whole number", |text| text.parse::<u64>().is_ok()),
        Decimal => {
            ("a number", |text| text.parse::<f64>().is_ok_and(|it| it.is_finite() && it > 0.0))
        }
        Text => ("a word", |_| true),
    };
    match rest.next() {
        Some(text) if good(text) => Ok(()),
        Some(text) => Err(format!("after {flag} comes {what}, and `{text}` is none")),
        None => Err(format!("after {flag} comes {what}, and nothing does")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> Result<(), String> {
        let mut words = line.split_whitespace().map(str::to_owned);
        let name = words.next().unwrap();
        check(&name, &words.collect::<Vec<_>>())
    }

    #[test]
    fn what_is_meant_is_taken() {
        for line in [
            "sim",
            "sim --seeds 5 --from 9",
            "sim --years 0.5",
            "sim --seed 3 --large --script commit:1=lost",
            "crash --deep 5 first-issue renewal",
            "crash first-issue --recovery 3",
            "kill --count 10 --seed 2 --lanes 1",
            "damage --seed 1 --only 7",
            "fuzz --seconds 5 configuration file",
            "bench append",
            "soak sim kill",
            "planted no-op",
            "mutants --file a/*.rs --shard 1/8",
            "test some_name -- --nocapture",
            "lint",
        ] {
            assert_eq!(said(line), Ok(()), "{line}");
        }
    }

    #[test]
    fn what_nobody_can_have_meant_is_refused_with_the_possible_words() {
        for (line, words) in [
            ("sim --sedes 5", "there is: --seeds, --from"),
            ("sim --seeds", "a whole number, and nothing does"),
            ("sim --seeds many", "`many` is none"),
            ("sim --seeds --large", "`--large` is none"),
            ("sim --years -1", "`-1` is none"),
            ("sim --seeds=5", "`--seeds=5` is no flag"),
            ("sim --seed 1 --seed 2", "said twice"),
            ("sim 5", "one word too many"),
            ("crash --deep first-issue", "`first-issue` is none"),
            ("crash --shallow", "--recovery, --deep, --script"),
            ("kill --count", "nothing does"),
            ("damage 5", "one word too many"),
            ("fuzz a b c", "`c` is one word too many"),
            ("bench apend", "append, replay"),
            ("soak bench", "crash, sim, damage, kill, fuzz"),
            ("planted --all", "it takes no flag"),
            ("lint all", "one word too many"),
        ] {
            let refused = said(line).unwrap_err();
            assert!(refused.contains(words), "{line}: {refused}");
        }
    }

    #[test]
    fn help_is_asked_for_anywhere_but_among_what_goes_on() {
        let help = |name: &str, line: &str| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            asks_for_help(name, &words)
        };
        assert!(help("sim", "--help") && help("sim", "--seeds 5 -h") && help("test", "--help"));
        assert!(!help("sim", "--seeds 5") && !help("test", "name -- --help"));
        for takes in ALL {
            assert!(usage(takes.name).contains("cargo xtask"), "{}", takes.name);
        }
    }
}
