//! Hint locks.

use std::sync::atomic::{AtomicUsize, Ordering};

use skald::ports::locks::{Held, Locks};

use super::{Backend, unique, until};

fn hold(locks: &dyn Locks, names: &[&str]) -> Held {
    locks.hold(&names.iter().copied().collect())
}

pub fn what_is_free_is_held(backend: &dyn Backend) {
    assert!(hold(backend.locks().as_ref(), &[&unique("tea")]).is_held());
}

// Locks end by themselves, so on a busy machine one may end while it is looked at: what must not be
// possible is tried until it was not.

pub fn what_somebody_holds_nobody_else_does(backend: &dyn Backend) {
    let (one, other) = (backend.locks(), backend.locks());
    for again in [&other, &one] {
        until("the second one is refused", || {
            let tea = unique("tea");
            let held = hold(one.as_ref(), &[&tea]);
            held.is_held() && !hold(again.as_ref(), &[&tea]).is_held()
        });
    }
}

pub fn what_was_given_back_can_be_held_again(backend: &dyn Backend) {
    let (one, other, tea) = (backend.locks(), backend.locks(), unique("tea"));
    for _ in 0..20 {
        until("one has it", || hold(one.as_ref(), &[&tea]).is_held());
        until("the other has it", || hold(other.as_ref(), &[&tea]).is_held());
    }
}

pub fn different_names_do_not_meet(backend: &dyn Backend) {
    let (one, other) = (backend.locks(), backend.locks());
    let _tea = hold(one.as_ref(), &[&unique("tea")]);
    assert!(hold(other.as_ref(), &[&unique("tea")]).is_held());
}

pub fn all_names_are_held_or_none(backend: &dyn Backend) {
    let (one, other) = (backend.locks(), backend.locks());
    until("all are refused for one", || {
        let names = [unique("a"), unique("b"), unique("c")];
        let [a, b, c] = names.each_ref().map(String::as_str);
        let middle = hold(one.as_ref(), &[b]);
        let is_refused = middle.is_held() && !hold(other.as_ref(), &[a, b, c]).is_held();
        assert!(hold(one.as_ref(), &[a, c]).is_held(), "nothing is left of the attempt");
        drop(middle);
        until("all are held", || hold(other.as_ref(), &[a, b, c]).is_held());
        is_refused
    });
}

pub fn of_no_names_nothing_is_held(backend: &dyn Backend) {
    assert!(!hold(backend.locks().as_ref(), &[]).is_held());
}

pub fn names_are_taken_literally(backend: &dyn Backend) {
    let locks = backend.locks();
    for odd in ["*", "a b\r\n", "{x}", "ä", "\0", "'; return 1 --"] {
        until(odd, || {
            let name = format!("{}{odd}", unique("odd"));
            let held = hold(locks.as_ref(), &[&name]);
            held.is_held() && !hold(locks.as_ref(), &[&name]).is_held()
        });
    }
}

pub fn a_lock_whose_holder_vanished_ends_by_itself(backend: &dyn Backend) {
    let (one, other, tea) = (backend.locks(), backend.locks(), unique("tea"));
    std::mem::forget(hold(one.as_ref(), &[&tea]));
    until("another one has it", || hold(other.as_ref(), &[&tea]).is_held());
}

pub fn who_gives_back_late_takes_nothing_from_the_next_holder(backend: &dyn Backend) {
    let (one, other) = (backend.locks(), backend.locks());
    until("the next one keeps it", || {
        let tea = unique("tea");
        let late = hold(one.as_ref(), &[&tea]);
        let mut next = Held::nothing();
        until("the next one has it", || {
            next = hold(other.as_ref(), &[&tea]);
            next.is_held()
        });
        drop(late);
        // What one party gave back is before its own next call, if not before others'.
        let is_kept = !hold(one.as_ref(), &[&tea]).is_held();
        drop(next);
        is_kept
    });
}

pub fn of_many_who_want_the_same_one_holds_it(backend: &dyn Backend) {
    let (tea, jam) = (unique("tea"), unique("jam"));
    let parties: Vec<_> = (0..4).map(|_| backend.locks()).collect();
    let [inside, held, overlaps] = [const { AtomicUsize::new(0) }; 3];
    std::thread::scope(|scope| {
        for (n, locks) in parties.iter().enumerate() {
            let (tea, jam, inside, held, overlaps) = (&tea, &jam, &inside, &held, &overlaps);
            scope.spawn(move || {
                for _ in 0..50 {
                    let both: &[&str] = if n % 2 == 0 { &[tea, jam] } else { &[jam] };
                    let grip = hold(locks.as_ref(), both);
                    if grip.is_held() {
                        held.fetch_add(1, Ordering::SeqCst);
                        overlaps.fetch_add(inside.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    let (held, overlaps) = (held.into_inner(), overlaps.into_inner());
    assert!(held > 0 && overlaps <= held / 10, "{overlaps} of {held}");
}
