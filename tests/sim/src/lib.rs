//! The six actors in a world of virtual time: ends at every boundary, faults by seed, invariants.
