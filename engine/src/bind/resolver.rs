//! Which certificate for which name (RFC 6066 §3), changed while handshakes go on.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use renewd_events::id::{BindingId, Generation};
use renewd_events::problem::{Problem, ProblemClass};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A PEM chain and its key, ready to serve. Proves that the key is the certificate's.
///
/// # Errors
/// The chain is not PEM, or the key belongs to another certificate.
pub(super) fn certified(chain_pem: &[u8], pkcs8: &[u8]) -> Result<Arc<CertifiedKey>, Problem> {
    let bad = |text: String| Problem::new(ProblemClass::Local, "badChain", &text);
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain_pem)
        .collect::<Result<_, _>>()
        .map_err(|cause| bad(format!("the chain is not PEM: {cause}")))?;
    // Borrowed: the caller's bytes are wiped when it drops them. What rustls and ring make of them to
    // sign with is their own, lives as long as it is served, and is not wiped.
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pkcs8));
    let key = any_supported_type(&key)
        .map_err(|cause| bad(format!("the key cannot be used: {cause}")))?;
    let certified = CertifiedKey::new(chain, key);
    certified
        .keys_match()
        .map_err(|cause| bad(format!("the key and the chain do not go together: {cause}")))?;
    Ok(Arc::new(certified))
}

fn older(there: Generation, generation: Generation) -> Problem {
    let text = format!(
        "issue {there} is already served; issue {generation} is older and is not put in its place"
    );
    Problem::new(ProblemClass::Local, "olderGeneration", &text)
}

#[derive(Default)]
struct Table {
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// By what follows `*.`.
    wildcard: HashMap<String, Arc<CertifiedKey>>,
}

/// What one binding shows, and for which names.
pub(super) struct Entry {
    pub(super) generation: Generation,
    pub(super) names: Vec<String>,
    pub(super) key: Arc<CertifiedKey>,
}

/// Certificates by name. A handshake takes the table as it is at that instant; a change puts a new
/// table in its place, so no handshake finds a gap. A name of two bindings shows the certificate of
/// the larger binding id: the configuration should not have that.
#[derive(Default)]
pub struct CertResolver {
    entries: Mutex<BTreeMap<BindingId, Entry>>,
    table: RwLock<Arc<Table>>,
}

impl fmt::Debug for CertResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = self.table();
        f.debug_struct("CertResolver")
            .field("names", &(table.exact.len() + table.wildcard.len()))
            .finish_non_exhaustive()
    }
}

impl CertResolver {
    /// Shows this certificate for its names from the next handshake on. Repeatable. Makes the table
    /// anew, so many at once go through [`Self::put_all`].
    ///
    /// # Errors
    /// A later issue is already there.
    pub(super) fn put(&self, binding: BindingId, entry: Entry) -> Result<(), Problem> {
        let refused = self.put_all([(binding, entry)]).pop();
        refused.map_or(Ok(()), |(_, problem)| Err(problem))
    }

    /// Shows all these from the next handshake on, with one change of the table. Gives back those that
    /// are not shown because a later issue is already there.
    pub(super) fn put_all(
        &self,
        all: impl IntoIterator<Item = (BindingId, Entry)>,
    ) -> Vec<(BindingId, Problem)> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut refused = Vec::new();
        for (binding, entry) in all {
            let there = entries.get(&binding).map(|there| there.generation);
            match there.filter(|there| *there > entry.generation) {
                Some(there) => refused.push((binding, older(there, entry.generation))),
                None => drop(entries.insert(binding, entry)),
            }
        }
        self.show(&entries);
        refused
    }

    /// Shows the certificate of this binding no longer.
    pub fn remove(&self, binding: BindingId) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.remove(&binding).is_some() {
            self.show(&entries);
        }
    }

    /// The certificate for a name, as a handshake gets it.
    pub fn find(&self, server_name: &str) -> Option<Arc<CertifiedKey>> {
        let name = server_name.to_ascii_lowercase();
        let table = self.table();
        table
            .exact
            .get(&name)
            .or_else(|| table.wildcard.get(name.split_once('.')?.1))
            .map(Arc::clone)
    }

    fn show(&self, entries: &BTreeMap<BindingId, Entry>) {
        let mut table = Table::default();
        for entry in entries.values() {
            for name in &entry.names {
                let name = name.to_ascii_lowercase();
                let key = Arc::clone(&entry.key);
                match name.strip_prefix("*.") {
                    Some(parent) => table.wildcard.insert(parent.to_owned(), key),
                    None => table.exact.insert(name, key),
                };
            }
        }
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }

    fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for CertResolver {
    /// No certificate for a name that is not ours, nor without a name: the handshake ends with an
    /// alert, and tells a stranger nothing.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A self-signed certificate and its key.
    fn pair(name: &str) -> (String, Vec<u8>) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_der())
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (chain, key) = pair("example.com");
        let (_, other) = pair("example.com");
        certified(chain.as_bytes(), &key).unwrap();
        let problem = certified(chain.as_bytes(), &other).unwrap_err();
        assert_eq!(problem.kind, "badChain");
        assert!(certified(b"not PEM", &key).is_err());
    }

    #[test]
    fn names_wildcards_and_generations() {
        let resolver = CertResolver::default();
        let (one, two) = (BindingId([1; 16]), BindingId([2; 16]));
        let key = |name| {
            let (chain, key) = pair(name);
            certified(chain.as_bytes(), &key).unwrap()
        };
        let (exact, wildcard) = (key("a.example.com"), key("*.example.com"));
        let entry = |number, name: &str, key: &Arc<CertifiedKey>| Entry {
            generation: Generation(number),
            names: vec![name.to_owned()],
            key: Arc::clone(key),
        };
        let put = |binding, number, name: &str, key: &Arc<CertifiedKey>| {
            resolver.put(binding, entry(number, name, key))
        };
        put(one, 2, "a.example.com", &exact).unwrap();
        put(two, 1, "*.example.com", &wildcard).unwrap();
        let is = |name: &str, key: &Arc<CertifiedKey>| {
            resolver.find(name).is_some_and(|found| Arc::ptr_eq(&found, key))
        };
        assert!(is("A.example.com", &exact));
        assert!(is("b.example.com", &wildcard));
        assert!(resolver.find("b.c.example.com").is_none());
        assert!(resolver.find("example.com").is_none());
        let refused = put(one, 1, "a.example.com", &wildcard).unwrap_err();
        assert_eq!(refused.kind, "olderGeneration");
        put(one, 2, "a.example.com", &exact).unwrap();
        resolver.remove(one);
        assert!(is("a.example.com", &wildcard));
        let refused = resolver.put_all([
            (one, entry(3, "c.example.net", &exact)),
            (two, entry(0, "*.example.net", &wildcard)),
        ]);
        assert!(matches!(&refused[..], [(id, _)] if *id == two));
        assert!(is("c.example.net", &exact));
        assert!(is("b.example.com", &wildcard), "the later issue stays");
    }
}
