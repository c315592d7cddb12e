//! Names of things: every id is a newtype with one way in, so two of them cannot be swapped.

use std::fmt;

use ring::digest;
use serde::{Deserialize, Serialize};

pub use crate::name::{
    BadName, CERTIFICATE_NAME_OCTETS_MAX, CertificateName, DNS_LABEL_OCTETS_MAX,
    DNS_NAME_OCTETS_MAX, DnsName, KeyRef,
};

/// SHA-256 of some parts, each prefixed with its length so that no two lists of parts collide.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    sha256_of(parts.iter().copied())
}

fn sha256_of<'p>(parts: impl Iterator<Item = &'p [u8]>) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        context.update(part);
    }
    array(context.finish().as_ref())
}

/// SHA-256 of exactly these bytes.
pub fn sha256_plain(bytes: &[u8]) -> [u8; 32] {
    array(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// The first `N` bytes; missing ones are zero (never happens for digests of 32 bytes).
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(bytes) {
        *to = *from;
    }
    out
}

fn hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Reads an even number of hexadecimal digits.
pub fn parse_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    digits
        .chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(high * 16 + low).ok(),
            _ => None,
        })
        .collect()
}

/// In the log's codec these are the bytes; in JSON, which people and their tools read, hexadecimal as
/// everywhere else.
mod hexadecimal {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer, const N: usize>(
        bytes: &[u8; N],
        serializer: S,
    ) -> Result<S::Ok, S::Error>
    where
        [u8; N]: Serialize,
    {
        if !serializer.is_human_readable() {
            return bytes.serialize(serializer);
        }
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        deserializer: D,
    ) -> Result<[u8; N], D::Error>
    where
        [u8; N]: Deserialize<'de>,
    {
        if !deserializer.is_human_readable() {
            return <[u8; N]>::deserialize(deserializer);
        }
        let text = String::deserialize(deserializer)?;
        let bytes = super::parse_hex(&text).and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or_else(|| D::Error::custom(format!("{} hexadecimal octets are wanted", N)))
    }
}

/// A SHA-256 value: of a frame, a certificate, a public key, a contact list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Hash(#[serde(with = "hexadecimal")] pub [u8; 32]);

impl Hash {
    /// Of exactly these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha256_plain(bytes))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(f, &self.0)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(f, &self.0)
    }
}

/// SHA-256 of a certificate or of a public key (SPKI), as browsers show it.
pub type Fingerprint = Hash;

macro_rules! id16 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        pub struct $name(#[serde(with = "hexadecimal")] pub [u8; 16]);

        impl $name {
            /// The id of the thing that these parts name: the same parts, the same id.
            pub fn derive(parts: &[&[u8]]) -> Self {
                let parts = parts.iter().copied();
                Self(array(&sha256_of(std::iter::once(stringify!($name).as_bytes()).chain(parts))))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex(f, &self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex(f, &self.0)
            }
        }
    };
}

id16!(
    /// An account: derived from the directory URL.
    AccountId
);
id16!(
    /// A certificate lineage: derived from its configured name.
    CertificateId
);
id16!(
    /// One renewal of one certificate: derived from the certificate and a running number.
    RenewalId
);
id16!(
    /// One order attempt: derived from the renewal and the attempt.
    OrderId
);
id16!(
    /// One authorization: derived from its order and its URL.
    AuthorizationId
);
id16!(
    /// One place where a certificate is served: derived from the certificate and the target.
    BindingId
);
id16!(
    /// One listening socket: derived from its address.
    ListenerId
);
id16!(
    /// One planned restart of the host process.
    RestartId
);

/// Which sort of thing a stream tells about. The numbers are on disk: never renumber.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumIter,
)]
#[strum(serialize_all = "lowercase")]
#[repr(u8)]
pub enum StreamKind {
    /// The installation itself: boots, stops, actor failures.
    Engine = 1,
    /// Daily checks and jumps of the clock.
    Clock = 2,
    /// An account at a CA.
    Account = 3,
    /// A certificate lineage.
    Certificate = 4,
    /// When a certificate is renewed next, and why.
    Schedule = 5,
    /// One ACME order.
    Order = 6,
    /// One ACME authorization.
    Authorization = 7,
    /// Where a certificate is served.
    Binding = 8,
    /// A listening socket.
    Listener = 9,
    /// A planned restart.
    Restart = 10,
}

impl StreamKind {
    /// The kind with this number on disk.
    pub fn from_number(number: u8) -> Option<Self> {
        use strum::IntoEnumIterator;
        Self::iter().find(|kind| kind.number() == number)
    }

    /// The number on disk.
    #[expect(clippy::as_conversions, reason = "the discriminant of a repr(u8) enum")]
    pub fn number(self) -> u8 {
        self as u8
    }
}

/// A stream: its facts are numbered densely and have exactly one writer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamId {
    /// Which sort of thing.
    pub kind: StreamKind,
    /// Which one.
    pub id: [u8; 16],
}

impl StreamId {
    /// The one stream of the installation.
    pub const ENGINE: Self = Self { kind: StreamKind::Engine, id: [0; 16] };
    /// The one stream of the clock.
    pub const CLOCK: Self = Self { kind: StreamKind::Clock, id: [0; 16] };

    /// When this certificate is renewed next: a stream beside its own, owned by the Clock.
    pub fn schedule(certificate: CertificateId) -> Self {
        Self { kind: StreamKind::Schedule, id: certificate.0 }
    }
}

macro_rules! stream_of {
    ($($id:ident => $kind:ident),*) => {
        $(impl From<$id> for StreamId {
            fn from(id: $id) -> Self {
                Self { kind: StreamKind::$kind, id: id.0 }
            }
        })*
    };
}
stream_of!(AccountId => Account, CertificateId => Certificate, OrderId => Order,
    AuthorizationId => Authorization, BindingId => Binding, ListenerId => Listener,
    RestartId => Restart);

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind: &'static str = self.kind.into();
        write!(f, "{kind}/")?;
        hex(f, self.id.get(..6).unwrap_or(&self.id))
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl $name {
            /// The next one; stops at the largest instead of wrapping.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }
    };
}
number!(
    /// Place of an event in the log: dense from 1, given by the writer at commit. 0 = none.
    Seq(u64)
);
number!(
    /// Which life of the process: 1 for the first start ever.
    BootNo(u32)
);
number!(
    /// Which issue of a certificate: 1 for the first.
    Generation(u32)
);
