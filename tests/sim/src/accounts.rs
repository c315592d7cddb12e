//! An account from all sides: its key in the vault, what the CA says of it, and which one the
//! configuration names. It can go wrong at the CA and in the vault; a person mends both.

use std::collections::BTreeMap;
use std::time::Duration;

use renewd_actors::ports::RegisteredAccount;
use renewd_actors::registrar::account_key_ref;
use renewd_events::WallMs;
use renewd_events::account::AccountRequest;
use renewd_events::id::{AccountId, Hash, KeyRef};
use renewd_events::problem::{Problem, ProblemClass};

use crate::ca::acme;
use crate::fate::{Fault, Harm};
use crate::secrets;
use crate::world::{State, World};

/// The accounts of a world.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    /// How often a person wrote another account into the configuration.
    pub(crate) others: u32,
    /// A person writes another one then: what the CA deactivated stays so (RFC 8555 §7.3.6).
    another_at: Option<WallMs>,
    /// A person brings the lost key back then.
    restored_at: Option<WallMs>,
    /// Keys in the vault.
    keys: BTreeMap<KeyRef, AccountKey>,
    /// Accounts at the CA, by the thumbprint of their key.
    known: BTreeMap<String, Standing>,
    /// Accounts that the CA ever made.
    pub(crate) made: u32,
}

/// A key that the vault made.
#[derive(Debug)]
struct AccountKey {
    thumbprint: String,
    /// How many were made under this name.
    made: u32,
    kept: Kept,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Whole,
    Gone,
    Damaged,
}

/// What the CA says of an account.
#[derive(Clone, Debug)]
struct Standing {
    url: String,
    deactivated: bool,
}

impl Accounts {
    /// The key that signs for an account; what cannot be signed is not sent.
    fn key(&self, name: &KeyRef) -> Result<&str, Problem> {
        let key = self.keys.get(name);
        match key.map_or(Kept::Gone, |key| key.kept) {
            Kept::Whole => Ok(key.map_or("", |key| key.thumbprint.as_str())),
            Kept::Gone => Err(vault("vaultKeyAbsent", name)),
            Kept::Damaged => Err(vault("vaultDamaged", name)),
        }
    }

    /// What the CA says to a request in the name of an account.
    pub(crate) fn known(&self, account: AccountId) -> Result<(), Problem> {
        let name = account_key_ref(account);
        let key = self.keys.get(&name).map_or("", |key| key.thumbprint.as_str());
        match self.known.get(key) {
            None => Err(acme("accountDoesNotExist", 400)),
            Some(known) if known.deactivated => Err(deactivated(401)),
            Some(_) => Ok(()),
        }
    }

    /// newAccount: the same key gives the same account (RFC 8555 §7.3.1).
    pub(crate) fn register(
        &mut self,
        request: &AccountRequest,
    ) -> Result<RegisteredAccount, Problem> {
        let key = self.key(&request.key_ref)?.to_owned();
        if let Some(known) = self.known.get(&key) {
            let url = known.url.clone();
            let again = RegisteredAccount { url, already_existed: true };
            return if known.deactivated { Err(deactivated(403)) } else { Ok(again) };
        }
        self.made += 1;
        let url = format!("https://ca.test/account/{}", self.made);
        self.known.insert(key, Standing { url: url.clone(), deactivated: false });
        Ok(RegisteredAccount { url, already_existed: false })
    }

    /// Nothing goes wrong any more: people come soon.
    pub(crate) fn heal(&mut self, now: WallMs) {
        for at in [&mut self.another_at, &mut self.restored_at] {
            *at = at.map(|at| at.min(now));
        }
    }

    /// What people do by now. True when it takes a start with another configuration.
    pub(crate) fn people(&mut self, now: WallMs) -> bool {
        let due = |at: &mut Option<WallMs>| at.take_if(|at| *at <= now).is_some();
        if due(&mut self.restored_at) {
            self.keys.values_mut().for_each(|key| key.kept = Kept::Whole);
        }
        let another = due(&mut self.another_at);
        self.others += u32::from(another);
        another
    }
}

impl World {
    /// The directory in the configuration. An account is known by it: another way of writing it is
    /// another account at the same CA.
    pub(crate) fn directory_url(&self) -> String {
        match self.state().accounts.others {
            0 => "https://ca.test/directory".to_owned(),
            others => format!("https://ca.test/directory?{others}"),
        }
    }

    /// The account in the configuration.
    pub(crate) fn account(&self) -> AccountId {
        AccountId::derive(&[self.directory_url().as_bytes()])
    }

    /// Something can be asked in the name of this account. Looked at when a request is sent, not when
    /// it arrives.
    pub(crate) fn signs(&self, account: AccountId) -> Result<(), Problem> {
        if account != self.account() {
            return Err(local("account-unknown", &account.to_string()));
        }
        self.state().accounts.key(&account_key_ref(account)).map(drop)
    }

    /// Finds the key of this name in the vault, or makes it.
    pub(crate) fn account_key(&self, state: &mut State, name: &KeyRef) -> Result<String, Problem> {
        let before = state.accounts.keys.get(name);
        match before.map(|key| key.kept) {
            Some(Kept::Whole) => return state.accounts.thumbprint(name),
            Some(Kept::Damaged) => return Err(vault("vaultDamaged", name)),
            Some(Kept::Gone) | None => {}
        }
        let made = before.map_or(1, |key| key.made + 1);
        let secret = secrets::key(self.plan.seed, &format!("{} {made}", name.0));
        let thumbprint = Hash::of(&secret).to_string();
        let key = AccountKey { thumbprint: thumbprint.clone(), made, kept: Kept::Whole };
        state.accounts.keys.insert(name.clone(), key);
        Ok(thumbprint)
    }

    /// Something happens to the account in the configuration, at the CA or in the vault.
    pub(crate) fn account_harmed(&self, harm: Harm) {
        let (account, now) = (self.account(), self.time());
        let mended = now.after(Duration::from_secs(harm.seconds));
        let mut state = self.state();
        if harm.fault == Fault::AccountLost {
            state.accounts.known.clear();
            state.ca.forget(now);
        } else if harm.fault == Fault::AccountDeactivated {
            if state.accounts.deactivate(account, mended) {
                state.ca.forget(now);
            }
        } else if harm.fault == Fault::AccountKeyGone {
            state.accounts.lose(account, Kept::Gone, mended);
        } else if harm.fault == Fault::AccountKeyDamaged {
            state.accounts.lose(account, Kept::Damaged, mended);
        }
    }
}

impl Accounts {
    fn thumbprint(&self, name: &KeyRef) -> Result<String, Problem> {
        let key = self.keys.get(name).ok_or_else(|| vault("vaultKeyAbsent", name))?;
        Ok(key.thumbprint.clone())
    }

    /// True when the CA had the account; a person then writes another one into the configuration.
    fn deactivate(&mut self, account: AccountId, mended: WallMs) -> bool {
        let key = self.keys.get(&account_key_ref(account)).map(|key| &key.thumbprint);
        let Some(known) = key.and_then(|key| self.known.get_mut(key)) else {
            return false;
        };
        known.deactivated = true;
        self.another_at.get_or_insert(mended);
        true
    }

    fn lose(&mut self, account: AccountId, kept: Kept, mended: WallMs) {
        if let Some(key) = self.keys.get_mut(&account_key_ref(account)) {
            key.kept = kept;
            self.restored_at.get_or_insert(mended);
        }
    }
}

/// As the daemon's vault says it.
fn vault(kind: &str, name: &KeyRef) -> Problem {
    local(kind, &name.0)
}

fn local(kind: &str, about: &str) -> Problem {
    Problem::new(ProblemClass::Local, kind, "because fate says so").about(about)
}

fn deactivated(status: u16) -> Problem {
    let words = "Account is not valid, has status \"deactivated\"";
    Problem { detail: words.to_owned(), ..acme("unauthorized", status) }
}
