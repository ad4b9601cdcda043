//! Pokes.

use std::collections::BTreeSet;

use skald::ports::pokes::{Heard, Listener, Pokes};
use skald::saga::id::SagaId;
use uuid::Uuid;

use super::{Backend, wait};

fn sagas(count: usize) -> Vec<SagaId> {
    (0..count).map(|_| SagaId(Uuid::now_v7())).collect()
}

fn tell(pokes: &dyn Pokes, moved: &[SagaId]) {
    pokes.tell(&mut moved.iter().copied());
}

/// Listens until all of `expected` moved; others may share the place, and more may be heard.
fn hears(listener: &mut Listener, expected: &[SagaId]) {
    let mut missing: BTreeSet<SagaId> = expected.iter().copied().collect();
    wait(async {
        while !missing.is_empty() {
            match listener.hear().await {
                Heard::Moved(moved) => moved.iter().for_each(|saga| {
                    missing.remove(saga);
                }),
                Heard::Anything => missing.clear(),
            }
        }
    });
}

pub fn all_who_listen_hear_what_moved(backend: &dyn Backend) {
    let parties = [backend.pokes(), backend.pokes(), backend.pokes()];
    let mut listeners = parties.each_ref().map(|pokes| pokes.listen());
    for teller in &parties {
        let moved = sagas(3);
        tell(teller.as_ref(), &moved);
        listeners.iter_mut().for_each(|listener| hears(listener, &moved));
    }
}

pub fn whoever_tells_hears_itself(backend: &dyn Backend) {
    let pokes = backend.pokes();
    let (mut listener, moved) = (pokes.listen(), sagas(2));
    tell(pokes.as_ref(), &moved);
    hears(&mut listener, &moved);
}

pub fn what_is_told_in_quick_succession_is_heard_in_full(backend: &dyn Backend) {
    let (one, other) = (backend.pokes(), backend.pokes());
    let (mut listener, moved) = (other.listen(), sagas(200));
    for saga in &moved {
        tell(one.as_ref(), &[*saga]);
    }
    hears(&mut listener, &moved);
}

pub fn too_much_to_be_named_is_heard_as_anything(backend: &dyn Backend) {
    let (one, other) = (backend.pokes(), backend.pokes());
    let mut listeners = [one.listen(), other.listen()];
    tell(one.as_ref(), &sagas(5_000));
    for listener in &mut listeners {
        wait(async { while listener.hear().await != Heard::Anything {} });
    }
}

pub fn nothing_is_told_of_no_moves(backend: &dyn Backend) {
    let (one, other) = (backend.pokes(), backend.pokes());
    let (mut listener, moved) = (other.listen(), sagas(1));
    tell(one.as_ref(), &[]);
    tell(one.as_ref(), &moved);
    wait(async {
        loop {
            match listener.hear().await {
                Heard::Moved(heard) if heard.contains(&moved[0]) => break,
                Heard::Moved(heard) => assert!(!heard.is_empty()),
                Heard::Anything => {}
            }
        }
    });
}
