//! What a handshake that shows something else does to a binding.

use crate::binding::{Binding, BindingEvent, MISMATCHES_MIN, Target};
use crate::id::{BootNo, CertificateId, Generation, Seq, StreamId, StreamKind};
use crate::intent::Meta;
use crate::problem::{Problem, ProblemClass};
use crate::time::WallMs;

const META: Meta = Meta {
    seq: Seq(1),
    stream: StreamId { kind: StreamKind::Binding, id: [1; 16] },
    version: 1,
    at: WallMs(1),
    boot: BootNo(1),
    incarnation: 1,
    renewal: None,
};

fn served(target: Target) -> Binding {
    let mut binding = Binding::default();
    let generation = Generation(1);
    let certificate = CertificateId([2; 16]);
    binding.evolve(&META, &BindingEvent::BindingDeclared { certificate, target });
    binding.evolve(&META, &BindingEvent::Deployed { generation });
    binding.evolve(&META, &BindingEvent::ReloadFinished { generation, problem: None });
    binding
}

fn files() -> Target {
    Target::Files { directory: "/srv".to_owned(), reload: true, verify: None }
}

fn mismatch(binding: &mut Binding, generation: u32, class: ProblemClass) {
    let problem = Problem::new(class, "x", "");
    let address = String::new();
    let generation = Generation(generation);
    binding.evolve(&META, &BindingEvent::ServedMismatch { generation, address, problem });
}

/// Whether it counts as in place, as read again, and how often in a row it was not shown.
fn state(binding: &Binding) -> (bool, bool, u32) {
    let count = binding.mismatched.map_or(0, |(_, count)| count);
    assert_eq!(binding.setback.as_ref().map_or(0, |setback| setback.count), count);
    (binding.deployed.is_some(), binding.reloaded.is_some(), count)
}

#[test]
fn files_are_put_in_place_again_from_the_second_mismatch_on() {
    let mut binding = served(files());
    assert_eq!(MISMATCHES_MIN, 2);
    mismatch(&mut binding, 1, ProblemClass::Local);
    assert_eq!(state(&binding), (true, true, 1), "once may be a moment");
    mismatch(&mut binding, 1, ProblemClass::Local);
    assert_eq!(state(&binding), (false, false, 2));
    binding.evolve(&META, &BindingEvent::Deployed { generation: Generation(1) });
    mismatch(&mut binding, 1, ProblemClass::Local);
    let after = (binding.deployed, binding.mismatched);
    assert_eq!(after, (None, Some((Generation(1), 3))), "the row goes on");
    // Of the next issue it is the first time.
    let mut binding = served(files());
    mismatch(&mut binding, 1, ProblemClass::Local);
    mismatch(&mut binding, 2, ProblemClass::Local);
    assert_eq!(state(&binding), (true, true, 1));
}

#[test]
fn nobody_who_does_not_answer_is_told_to_read_again_and_what_is_ours_is_put_in_place_at_once() {
    let mut silent = served(files());
    mismatch(&mut silent, 1, ProblemClass::Transport);
    mismatch(&mut silent, 1, ProblemClass::Transport);
    assert_eq!(state(&silent), (false, true, 2));
    for target in [Target::Builtin { address: String::new() }, Target::Library] {
        let mut ours = served(target);
        mismatch(&mut ours, 1, ProblemClass::Transport);
        assert_eq!(state(&ours), (false, true, 1));
        ours.evolve(&META, &BindingEvent::Deployed { generation: Generation(1) });
        mismatch(&mut ours, 1, ProblemClass::Transport);
        assert_eq!(state(&ours), (false, true, 2), "the row goes on");
    }
}
