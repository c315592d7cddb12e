//! The rest of the world: vault, targets, host, clock.

use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use renewd_actors::ports::*;
use renewd_events::authorization::{Challenge, Probe};
use renewd_events::binding::{Deployment, Target};
use renewd_events::certificate::{Issue, KeyRequest};
use renewd_events::id::*;
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::restart::{Method, ProcessIdentity};
use renewd_events::{Durable, WallMs};

use super::World;
use super::ca::soon;

impl Vault for World {
    fn ensure_account_key<'a>(&'a self, _: &'a KeyRef) -> Act<'a, Result<String, Problem>> {
        soon(Ok("thumb".to_owned()))
    }

    fn ensure_certificate_key<'a>(
        &'a self,
        request: &'a KeyRequest,
    ) -> Act<'a, Result<KeyFacts, Problem>> {
        self.state().keys.insert(request.key_ref.clone());
        let csr = request.key_ref.0.clone().into_bytes();
        soon(Ok(KeyFacts { spki: Hash::of(&csr), csr }))
    }
}

impl Prober for World {
    fn probe<'a>(&'a self, _: &'a str, _: &'a Challenge) -> Act<'a, Probe> {
        soon(Probe::Seen)
    }

    fn visits(&self, _: &str) -> u32 {
        assert!(!self.panic_at_visits.swap(false, Ordering::AcqRel), "a planted panic");
        0
    }
}

impl BindingTarget for World {
    fn deploy<'a>(
        &'a self,
        binding: BindingId,
        _: &'a Target,
        issue: &'a Issue,
        _: &'a Durable<Deployment>,
    ) -> Act<'a, Result<(), Problem>> {
        let mut state = self.state();
        state.deployments += 1;
        let shown = if state.overwrite > 0 {
            state.overwrite -= 1;
            Hash::of(b"not ours")
        } else {
            issue.leaf.fingerprint
        };
        state.served.insert(binding, shown);
        drop(state);
        soon(Ok(()))
    }

    fn reload<'a>(
        &'a self,
        _: BindingId,
        _: &'a Durable<Generation>,
    ) -> Act<'a, Result<(), Problem>> {
        self.state().reloads += 1;
        soon(Ok(()))
    }

    fn handshake<'a>(
        &'a self,
        _: &'a Target,
        name: &'a str,
    ) -> Act<'a, Result<(String, Fingerprint), Problem>> {
        let certificate = CertificateName::parse(name).unwrap().id();
        let binding = BindingId::derive(&[&certificate.0]);
        let seen = self.state().served.get(&binding).copied().unwrap_or_default();
        soon(Ok(("memory".to_owned(), seen)))
    }
}

impl HostProcess for World {
    fn identity(&self) -> ProcessIdentity {
        ProcessIdentity::default()
    }

    fn open_listener<'a>(&'a self, address: &'a str) -> Act<'a, Result<(), ListenerRefused>> {
        if !self.needs_restart.load(Ordering::Acquire) {
            return soon(Ok(()));
        }
        let text = "permission denied";
        let problem = Problem::new(ProblemClass::Local, "listenNotPermitted", text).about(address);
        soon(Err(ListenerRefused { problem, holder: None, needs_restart: true }))
    }

    fn restart_method(&self) -> Option<Method> {
        Some(Method::Exec)
    }

    fn restart<'a>(
        &'a self,
        restart: RestartId,
        _: &'a Durable<ProcessIdentity>,
    ) -> Act<'a, Result<(), Problem>> {
        self.restarts.lock().unwrap().push(restart);
        soon(Ok(()))
    }
}

impl TimeSource for World {
    fn lag(&self) -> std::time::Duration {
        self.hold.pass();
        std::time::Duration::ZERO
    }

    fn nap_max(&self) -> std::time::Duration {
        assert!(!self.panic_at_nap.swap(false, Ordering::AcqRel), "a planted panic");
        renewd_actors::bounds::SLEEP_MAX
    }

    fn now(&self) -> WallMs {
        let always = self.panic_always.load(Ordering::Acquire);
        if always && std::thread::current().name() != Some("journal") {
            self.panics.fetch_add(1, Ordering::AcqRel);
            panic!("a planted panic, again");
        }
        if self.panic_next.swap(false, Ordering::AcqRel) {
            // The journal's thread reads the clock as well; it must not be the one that dies.
            if std::thread::current().name() != Some("journal") {
                self.panics.fetch_add(1, Ordering::AcqRel);
                panic!("a planted panic");
            }
            self.panic_next.store(true, Ordering::Release);
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        WallMs(u64::try_from(since.as_millis()).unwrap())
    }
}
