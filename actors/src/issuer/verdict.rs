//! The cause of a failed renewal as a code that `renewd explain` knows.

use renewd_events::problem::Problem;

/// Where a renewal failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Making the key.
    Key,
    /// newOrder.
    NewOrder,
    /// A challenge.
    Validation,
    /// finalize, or the CA's issuing.
    Finalize,
    /// The order as such.
    Order,
    /// The downloaded chain.
    Chain,
}

/// The code of a failure.
pub(super) fn classify(step: Step, problem: &Problem) -> &'static str {
    if problem.is_acme("rateLimited") {
        return "R0401";
    }
    match step {
        Step::Key => "R0501",
        Step::NewOrder | Step::Order => "R0301",
        Step::Validation => "R0201",
        Step::Finalize => "R0302",
        Step::Chain => "R0303",
    }
}
