//! The orchestrator's actors on a real store and the in-process bus; the test plays the workers.

mod delivery;
mod gate;
mod group_commit;
mod requests;
mod rig;
mod waking;
