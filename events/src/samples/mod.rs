//! One event of every variant, for tests: the golden files are their frames. Within an event no two
//! values are alike, so that swapped fields cannot pass. A released sample is never changed; new
//! ones are added at the end of their function.

mod issuance;
mod serving;

use crate::event::{Envelope, Event, TraceContext};
use crate::id::{BootNo, DnsName, Hash, KeyRef, RenewalId, Seq, StreamId};
use crate::intent::ActorName;
use crate::problem::{Problem, ProblemClass, Subproblem};
use crate::time::WallMs;

/// Records of all events: each variant of each event at least once, and of the enums inside them.
/// Only the bodies matter: they are no legal log.
pub fn samples() -> Vec<Envelope> {
    let mut all = Vec::new();
    let lists: [Vec<Event>; 10] = [
        serving::engine(),
        serving::clock(),
        issuance::account(),
        issuance::certificate(),
        issuance::schedule(),
        issuance::order(),
        issuance::authorization(),
        serving::binding(),
        serving::listener(),
        serving::restart(),
    ];
    for event in lists.into_iter().flatten() {
        let again = all.iter().any(|sample: &Envelope| sample.event.name() == event.name());
        all.push(if again { bare(event) } else { full(event) });
    }
    all
}

/// A record in which every field is set.
fn full(event: Event) -> Envelope {
    Envelope {
        seq: Seq(70_001),
        stream: StreamId { kind: event.kind(), id: [0xA1; 16] },
        version: 70_002,
        batch_index: 302,
        batch_len: 303,
        at: WallMs(1_700_000_000_004),
        boot: BootNo(70_005),
        actor: ActorName::Issuer,
        incarnation: 306,
        renewal: Some(RenewalId([0xA2; 16])),
        cause: Some(Seq(70_000)),
        trace: Some(TraceContext { trace: [0xA3; 16], span: [0xA4; 8], flags: 1 }),
        previous: Hash([0xA5; 32]),
        event,
    }
}

/// A record in which nothing is set that may be absent.
fn bare(event: Event) -> Envelope {
    Envelope {
        renewal: None,
        cause: None,
        trace: None,
        batch_index: 0,
        batch_len: 1,
        ..full(event)
    }
}

/// Values of which no two are alike. Numbers are large enough to need more than one octet.
struct Fresh(u8);

impl Fresh {
    fn new() -> Self {
        Self(0)
    }

    fn octet(&mut self) -> u8 {
        self.0 = self.0.saturating_add(1);
        self.0
    }

    fn short(&mut self) -> u16 {
        300 + u16::from(self.octet())
    }

    fn number(&mut self) -> u32 {
        70_000 + u32::from(self.octet())
    }

    fn long(&mut self) -> u64 {
        5_000_000_000 + u64::from(self.octet())
    }

    fn moment(&mut self) -> WallMs {
        WallMs(1_700_000_000_000 + u64::from(self.octet()))
    }

    fn id(&mut self) -> [u8; 16] {
        [self.octet(); 16]
    }

    fn hash(&mut self) -> Hash {
        Hash([self.octet(); 32])
    }

    fn text(&mut self, what: &str) -> String {
        format!("{what}-{}", self.octet())
    }

    fn url(&mut self) -> String {
        format!("https://ca.example.org/{}", self.octet())
    }

    fn key_ref(&mut self) -> KeyRef {
        KeyRef(self.text("key"))
    }

    fn names(&mut self) -> Vec<DnsName> {
        let one = format!("n{}.example.org", self.octet());
        let two = format!("*.n{}.example.org", self.octet());
        [one, two].iter().filter_map(|name| DnsName::parse(name).ok()).collect()
    }

    fn problem(&mut self, class: ProblemClass) -> Problem {
        Problem {
            class,
            kind: self.text("urn:ietf:params:acme:error:kind"),
            detail: self.text("détail"),
            status: self.short(),
            retry_after_ms: Some(self.long()),
            subject: self.url(),
            subproblems: vec![Subproblem {
                identifier: self.text("identifier"),
                kind: self.text("kind"),
                detail: self.text("detail"),
            }],
        }
    }
}
