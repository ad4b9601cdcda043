//! The definitions that the scenarios run.

use skald::saga::check::Checked;
use skald::saga::definition::{Definition, Runs, Step, StepKind, WorkerMemory};
use skald::saga::retry::RetryPolicy;

pub const SECOND: u64 = 1_000;

/// How long the steps below wait for an answer.
pub const TIMEOUT_MS: u64 = 5 * SECOND;

/// When the sagas below should be over.
pub const DEADLINE_MS: u64 = 600 * SECOND;

/// The code that the workers below may refuse with.
pub const REFUSED: &str = "REFUSED";

/// Three attempts, with pauses of exactly 1 s and 2 s, at most 4 s.
pub const RETRY: RetryPolicy = RetryPolicy {
    max_attempts: 3,
    initial_ms: SECOND,
    factor: 2,
    cap_ms: 4 * SECOND,
    jitter_percent: 0,
};

/// Reserve → confirm (a local pivot) → mail; after a rollback another mail.
pub fn order_like() -> Checked {
    checked(
        vec![
            compensatable("reserve", &[]),
            Step { runs: Runs::Locally, ..pivot("confirm", &["reserve"]) },
            retriable("mail", &["confirm"]),
        ],
        vec![retriable("apologise", &[])],
    )
}

/// The same with a pivot that a worker runs.
pub fn payment() -> Checked {
    checked(
        vec![
            compensatable("reserve", &[]),
            pivot("pay", &["reserve"]),
            retriable("mail", &["pay"]),
        ],
        vec![],
    )
}

/// A trip: the hotel and the car need the flight and are booked side by side; the insurance needs
/// both. All of it can be undone.
pub fn trip() -> Checked {
    checked(
        vec![
            compensatable("flight", &[]),
            compensatable("hotel", &["flight"]),
            compensatable("car", &["flight"]),
            compensatable("insurance", &["hotel", "car"]),
        ],
        vec![],
    )
}

/// A single step that can be undone, by a worker that keeps no record of its answers.
pub fn forgetful() -> Checked {
    let step = compensatable("reserve", &[]);
    checked(vec![Step { worker: WorkerMemory::Forgetful, ..step }], vec![])
}

/// Checks a definition of these steps.
pub fn checked(steps: Vec<Step>, after_rollback: Vec<Step>) -> Checked {
    unchecked(steps, after_rollback).check().expect("the definition passes its checks")
}

/// A definition of these steps, unchecked.
pub fn unchecked(steps: Vec<Step>, after_rollback: Vec<Step>) -> Definition {
    Definition {
        name: "example".into(),
        version: 1,
        deadline_ms: DEADLINE_MS,
        steps,
        after_rollback,
    }
}

/// A step with an undo; its commands are `<name>.do` and `<name>.undo`.
pub fn compensatable(name: &str, needs: &[&str]) -> Step {
    Step {
        undo: Some(format!("{name}.undo").as_str().into()),
        ..step(name, needs, StepKind::Compensatable)
    }
}

/// A point of no return.
pub fn pivot(name: &str, needs: &[&str]) -> Step {
    step(name, needs, StepKind::Pivot)
}

/// A step that must succeed.
pub fn retriable(name: &str, needs: &[&str]) -> Step {
    step(name, needs, StepKind::Retriable)
}

fn step(name: &str, needs: &[&str], kind: StepKind) -> Step {
    Step {
        name: name.into(),
        needs: needs.iter().map(|&need| need.into()).collect(),
        kind,
        runs: Runs::AtWorker,
        command: format!("{name}.do").as_str().into(),
        undo: None,
        timeout_ms: TIMEOUT_MS,
        retry: RETRY,
        reasons: vec![REFUSED.into()],
        worker: WorkerMemory::Recorded,
    }
}
