//! A judge that finds nothing is worth nothing: each kind of fault is put before it.

use renewd_events::id::{CertificateId, OrderId, RenewalId, Seq};

use super::*;

const TOKEN: &str = "tokentokentokentokento";

fn order(number: u8, requested: u64) -> Ordered {
    Ordered {
        certificate: CertificateId([1; 16]),
        renewal: Some(RenewalId([number; 16])),
        requested: Seq(requested),
        at_the_ca: Some(format!("o{number}")),
        ended: None,
        unresolved: false,
    }
}

/// Two renewals of one certificate, one after the other, with nothing wrong.
struct World {
    ca: Ledger,
    log: Story,
    visits: Vec<Visit>,
    lives: Vec<Life>,
    vault: BTreeSet<String>,
}

impl World {
    fn good() -> Self {
        let ca = Ledger {
            orders: vec!["o1".to_owned(), "o2".to_owned()],
            certificates: [("s1".to_owned(), "o1".to_owned()), ("s2".to_owned(), "o2".to_owned())]
                .into(),
            invalid: BTreeSet::new(),
            accounts: 1,
        };
        let mut log = Story::default();
        for (number, requested) in [(1, 10), (2, 30)] {
            log.orders.insert(OrderId([number; 16]), order(number, requested));
            log.adopted.insert(OrderId([number; 16]), Seq(requested + 9));
            log.keys.insert(RenewalId([number; 16]), format!("k{number}"));
        }
        let token =
            Token { order: OrderId([1; 16]), published: WallMs(120), withdrawn: Some(WallMs(200)) };
        log.tokens.insert(TOKEN.to_owned(), token);
        log.boots = vec![WallMs(110)];
        let path = format!("{CHALLENGES}{TOKEN}");
        let visit = Visit { path, begun: WallMs(130), ended: WallMs(131), status: Some(200) };
        let vault = ["k1".to_owned(), "k2".to_owned()].into();
        let lives = vec![Life { began: WallMs(100), over: WallMs(300) }];
        Self { ca, log, visits: vec![visit], lives, vault }
    }

    fn judged(&self) -> (u64, u64, u64, usize) {
        let Self { ca, log, visits, lives, vault } = self;
        let findings = Evidence { ca, log, visits, lives, vault }.judge();
        let Findings { second_orders, lost_keys, unanswered, complaints } = findings;
        (second_orders, lost_keys, unanswered, complaints.len())
    }
}

/// What is done to the good world, and what the judge must then say.
type Case = (&'static str, fn(&mut World), (u64, u64, u64, usize));

const CASES: [Case; 15] = [
    ("nothing", |_| {}, (0, 0, 0, 0)),
    (
        "a second order while the first lives",
        |world| assert!(world.log.adopted.remove(&OrderId([1; 16])).is_some()),
        (1, 0, 0, 1),
    ),
    (
        "a second order after the first has died",
        |world| {
            world.log.adopted.remove(&OrderId([1; 16]));
            world.log.orders.get_mut(&OrderId([1; 16])).unwrap().ended = Some(Seq(20));
        },
        (0, 0, 0, 0),
    ),
    (
        "the first dies only after the second was asked for",
        |world| {
            world.log.adopted.remove(&OrderId([1; 16]));
            world.log.orders.get_mut(&OrderId([1; 16])).unwrap().ended = Some(Seq(31));
        },
        (1, 0, 0, 1),
    ),
    ("an order that the log does not know", |w| w.ca.orders.push("o3".to_owned()), (1, 0, 0, 1)),
    (
        "such an order whose request is unresolved",
        |world| {
            world.ca.orders.push("o3".to_owned());
            let lost = Ordered { at_the_ca: None, unresolved: true, ..order(3, 50) };
            world.log.orders.insert(OrderId([3; 16]), lost);
        },
        (0, 0, 0, 0),
    ),
    ("an order that the CA does not know", |w| drop(w.ca.orders.pop()), (0, 0, 0, 1)),
    ("two accounts", |world| world.ca.accounts = 2, (0, 1, 0, 1)),
    ("a key that is gone", |world| assert!(world.vault.remove("k2")), (0, 1, 0, 1)),
    (
        "a certificate for nobody's order",
        |world| drop(world.ca.certificates.insert("s3".to_owned(), "o9".to_owned())),
        (0, 1, 0, 1),
    ),
    ("the token answered with 404", |world| world.visits[0].status = Some(404), (0, 0, 1, 1)),
    ("nobody there in the middle of a life", |w| w.visits[0].status = None, (0, 0, 1, 1)),
    (
        "nobody there at the very end of a life",
        |world| {
            world.visits[0].status = None;
            world.lives[0].over = world.visits[0].ended;
        },
        (0, 0, 0, 0),
    ),
    (
        "404 for a token that is withdrawn",
        |world| {
            world.visits[0].status = Some(404);
            world.visits[0].begun = WallMs(210);
            world.visits[0].ended = WallMs(211);
        },
        (0, 0, 0, 0),
    ),
    (
        "an order died although all was answered",
        |world| assert!(world.ca.invalid.insert("o1".to_owned())),
        (0, 0, 1, 1),
    ),
];

#[test]
fn each_fault_is_found_and_nothing_else() {
    for (name, act, expected) in CASES {
        let mut world = World::good();
        act(&mut world);
        assert_eq!(world.judged(), expected, "{name}");
    }
}
