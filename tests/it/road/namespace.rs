//! A test that needs a right runs once more in namespaces of its own, where it has it; whatever it changed
//! there is gone at its end. Where that cannot be, the test fails and says what to do.

use std::env;
use std::process::Command;

/// Set for the run within.
const WITHIN_VAR: &str = "RENEWD_TEST_WITHIN";

/// The namespaces that a test can have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Namespace {
    /// Of mounts: it may mount.
    Mount,
    /// Of the network: with a loopback interface of its own, and no port is free to all below 1024,
    /// whatever the machine or the container says (`net.ipv4.ip_unprivileged_port_start`).
    Network,
}

impl Namespace {
    fn option(self) -> &'static str {
        match self {
            Self::Mount => "--mount",
            Self::Network => "--net",
        }
    }

    /// Runs `test`, whose own name in this crate is `name`, within it and as its root.
    pub(crate) fn run(self, name: &str, test: impl FnOnce()) {
        if env::var_os(WITHIN_VAR).is_some() {
            self.enter();
            return test();
        }
        let mut command = Command::new("unshare");
        command.args([self.option(), "--map-root-user"]).arg(env::current_exe().unwrap());
        command.args([name, "--exact", "--nocapture"]).env(WITHIN_VAR, "1");
        let ran = command.output().expect("unshare is needed: apt-get install util-linux");
        let said = [ran.stdout, ran.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(
            ran.status.success(),
            "in a namespace of its own ({}). Where the namespace itself is refused: allow user namespaces \
             (sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces above 0; in a container \
             --cap-add SYS_ADMIN, or a seccomp profile that lets unshare pass). {said}",
            self.option()
        );
        assert!(said.contains("1 passed"), "the test did not run: {said}");
    }

    fn enter(self) {
        match self {
            Self::Mount => {}
            Self::Network => {
                let mut ip = Command::new("ip");
                let up = ip.args(["link", "set", "dev", "lo", "up"]).status();
                let up = up.expect("ip is needed: apt-get install iproute2");
                assert!(up.success(), "the loopback interface does not come up");
            }
        }
    }
}
