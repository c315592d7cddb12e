//! Vault, prober, places where certificates are served, the host, and time.

use renewd_actors::ports::{
    Act, BindingTarget, HostProcess, KeyFacts, ListenerRefused, Prober, TimeSource, Vault,
};
use renewd_events::authorization::{Challenge, Probe};
use renewd_events::binding::{Deployment, Target};
use renewd_events::certificate::{Issue, KeyRequest};
use renewd_events::id::{BindingId, Fingerprint, Generation, Hash, KeyRef, RestartId};
use renewd_events::planted::{self, Bug};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::restart::{Method, ProcessIdentity};
use renewd_events::{Durable, WallMs};

use crate::fate::{Fault, Place};
use crate::invariant::Invariant;
use crate::secrets;
use crate::world::{State, World, binding_of, certificate_of};

impl World {
    /// An act that the world can see, at a place of our own machine.
    fn local<'a, T: Send + 'a>(
        &'a self,
        act: impl FnOnce(&mut State) -> T + Send + 'a,
    ) -> Act<'a, T> {
        Box::pin(async move {
            let _under_way = self.call();
            let ended = self.act_begins().await;
            self.pause(self.plan.disk_ms).await;
            let done = act(&mut self.state());
            self.act_ends(ended).await;
            done
        })
    }

    /// Ends the life before an act when fate says so; gives back whether it ends it after.
    pub(crate) async fn act_begins(&self) -> bool {
        self.living().await;
        let harm = self.fate(Place::Act);
        if let Some(harm) = harm {
            self.clock_is_set(harm);
        }
        match harm.map(|harm| harm.fault) {
            Some(Fault::CrashBefore) => {
                self.end_life();
                self.living().await;
                false
            }
            Some(Fault::CrashAfter) => true,
            #[expect(clippy::panic, reason = "a port that panics must cost a look, not an actor")]
            Some(Fault::Panic) => panic!("a port panics because fate says so"),
            Some(_) | None => false,
        }
    }

    pub(crate) async fn act_ends(&self, crash: bool) {
        if crash {
            self.end_life();
        }
        self.living().await;
    }

    /// An issue that is put in place can be served there.
    fn fits(&self, binding: BindingId, issue: &Issue) {
        let mut wanted = self.plan.certificates.iter();
        let wanted = wanted.find(|wanted| wanted.names == issue.leaf.names);
        let named =
            wanted.is_some_and(|wanted| binding_of(certificate_of(wanted.name())) == binding);
        let csr = self.csr(&issue.key_ref);
        let keyed = issue.spki == issue.leaf.spki
            && Hash::of(&csr) == issue.spki
            && self.state().keys.contains(&csr);
        if !(named && keyed || self.is_dead()) {
            let what = format!("its names {named}, its key in the vault {keyed}");
            self.broken(Invariant::DeployedFits, what);
        }
    }

    /// What stands for a CSR here: the name of the key, and its public half.
    fn csr(&self, name: &KeyRef) -> Vec<u8> {
        let key = self.secret(name);
        let mut csr = format!("{} {}", name.0, Hash::of(&key)).into_bytes();
        if planted::is(Bug::KeyInCsr) {
            csr.extend_from_slice(&key);
        }
        csr
    }

    fn secret(&self, key: &KeyRef) -> Vec<u8> {
        secrets::key(self.plan.seed, &key.0)
    }

    /// Nothing of a dead process goes on.
    pub(crate) async fn living(&self) {
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }
}

fn refused(what: &str) -> Problem {
    Problem::new(ProblemClass::Local, "refused", what)
}

impl Vault for World {
    fn ensure_account_key<'a>(&'a self, key: &'a KeyRef) -> Act<'a, Result<String, Problem>> {
        self.local(|state| self.account_key(state, key))
    }

    fn ensure_certificate_key<'a>(
        &'a self,
        request: &'a KeyRequest,
    ) -> Act<'a, Result<KeyFacts, Problem>> {
        self.local(|state| {
            let csr = self.csr(&request.key_ref);
            state.keys.insert(csr.clone());
            if planted::is(Bug::KeyNotSynced) {
                state.young_keys.push((self.wall(), csr.clone()));
            }
            Ok(KeyFacts { spki: Hash::of(&csr), csr })
        })
    }
}

impl Prober for World {
    fn probe<'a>(&'a self, _: &'a str, challenge: &'a Challenge) -> Act<'a, Probe> {
        Box::pin(async move {
            let _under_way = self.call();
            self.pause(5).await;
            let answered = self.handle().is_some_and(|handle| {
                let facts = handle.facts();
                let facts = facts.read().unwrap_or_else(std::sync::PoisonError::into_inner);
                facts.answer(&challenge.token).is_some()
            });
            if answered { Probe::Seen } else { Probe::NotSeen("404".to_owned()) }
        })
    }

    fn visits(&self, _: &str) -> u32 {
        0
    }
}

impl BindingTarget for World {
    fn deploy<'a>(
        &'a self,
        binding: BindingId,
        target: &'a Target,
        issue: &'a Issue,
        intent: &'a Durable<Deployment>,
    ) -> Act<'a, Result<(), Problem>> {
        let harm = self.fate(Place::Serving).map(|harm| harm.fault);
        self.witness(intent.meta());
        self.fits(binding, issue);
        self.local(move |state| {
            if harm == Some(Fault::Refused) {
                return Err(refused("the directory cannot be written"));
            }
            let files = matches!(target, Target::Files { .. });
            let shown = match harm {
                // Only what another program reads can be overwritten by somebody else.
                Some(Fault::Overwrite) if files => Hash::of(b"somebody else's"),
                Some(_) | None => issue.leaf.fingerprint,
            };
            match target {
                Target::Files { .. } => state.filed.insert(binding, shown),
                Target::Builtin { .. } | Target::Library => state.shown.insert(binding, shown),
            };
            Ok(())
        })
    }

    fn reload<'a>(
        &'a self,
        binding: BindingId,
        intent: &'a Durable<Generation>,
    ) -> Act<'a, Result<(), Problem>> {
        let harm = self.fate(Place::Serving).map(|harm| harm.fault);
        self.witness(intent.meta());
        self.local(move |state| {
            if harm == Some(Fault::Refused) {
                return Err(refused("the reload command ended with 1"));
            }
            if let Some(filed) = state.filed.get(&binding).copied() {
                state.shown.insert(binding, filed);
            }
            Ok(())
        })
    }

    fn handshake<'a>(
        &'a self,
        target: &'a Target,
        name: &'a str,
    ) -> Act<'a, Result<(String, Fingerprint), Problem>> {
        Box::pin(async move {
            let _under_way = self.call();
            self.living().await;
            self.pause(self.plan.look_ms).await;
            if self.fate(Place::Serving).is_some_and(|harm| harm.fault == Fault::Refused) {
                return Err(refused("no answer"));
            }
            let binding = self.bindings.get(name).copied().unwrap_or_default();
            let seen = self.state().shown.get(&binding).copied().unwrap_or_default();
            Ok((target.label(), seen))
        })
    }
}

impl HostProcess for World {
    fn identity(&self) -> ProcessIdentity {
        ProcessIdentity::default()
    }

    fn open_listener<'a>(&'a self, address: &'a str) -> Act<'a, Result<(), ListenerRefused>> {
        if self.state().listener_free {
            return self.local(|_| Ok(()));
        }
        // Nothing was done that the world could see: no boundary to end a life at.
        Box::pin(async move {
            let _under_way = self.call();
            self.living().await;
            self.pause(self.plan.disk_ms).await;
            self.living().await;
            let problem =
                Problem::new(ProblemClass::Local, "listenNotPermitted", "permission denied");
            let problem = problem.about(address);
            Err(ListenerRefused { problem, holder: None, needs_restart: true })
        })
    }

    fn restart_method(&self) -> Option<Method> {
        Some(Method::Exec)
    }

    fn restart<'a>(
        &'a self,
        restart: RestartId,
        intent: &'a Durable<ProcessIdentity>,
    ) -> Act<'a, Result<(), Problem>> {
        self.witness(intent.meta());
        self.local(move |state| {
            state.restarts.push((restart, self.time()));
            // What the restart is for: the next life has the right to listen.
            state.listener_free = self.plan.restart_helps;
            self.ask_restart(restart);
            Ok(())
        })
    }
}

impl TimeSource for World {
    fn lag(&self) -> std::time::Duration {
        if self.plan.lag_ms == 0 {
            return std::time::Duration::ZERO;
        }
        let drawn = self.state().turns.as_mut().map(|draws| draws.delay_ms(self.plan.lag_ms));
        std::time::Duration::from_millis(drawn.unwrap_or(0))
    }

    fn now(&self) -> WallMs {
        self.wall()
    }

    fn nap_max(&self) -> std::time::Duration {
        // The world sets its own clock; the daemon's minute would cost half a million naps a year.
        std::time::Duration::from_secs(3600)
    }
}
