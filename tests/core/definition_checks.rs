//! What a definition is checked for before anything runs it.

use skald::saga::check::{Fault, MAX_STEPS};
use skald::saga::definition::{Definition, Runs, Step, StepKind};
use skald::saga::retry::RetryPolicy;

use crate::definitions::{RETRY, TIMEOUT_MS, compensatable, pivot, retriable, unchecked};

/// Reserve → pay → mail; after a rollback another mail. Nothing is wrong with it.
fn sound() -> Definition {
    unchecked(
        vec![
            compensatable("reserve", &[]),
            pivot("pay", &["reserve"]),
            retriable("mail", &["pay"]),
        ],
        vec![retriable("apologise", &[])],
    )
}

/// The sound definition with one of its forward steps changed.
fn with_step(position: usize, change: impl FnOnce(&mut Step)) -> Definition {
    let mut definition = sound();
    change(&mut definition.steps[position]);
    definition
}

fn faults(definition: Definition) -> Vec<Fault> {
    definition.check().expect_err("something is wrong with it").faults
}

#[test]
fn a_sound_definition_passes_and_stays_as_it_was() {
    let checked = sound().check().expect("nothing is wrong with it");
    assert_eq!(*checked, sound());
}

#[test]
fn a_diamond_before_the_pivot_and_another_after_it_pass() {
    let definition = unchecked(
        vec![
            compensatable("top", &[]),
            compensatable("left", &["top"]),
            compensatable("right", &["top"]),
            compensatable("bottom", &["left", "right"]),
            pivot("pay", &["bottom"]),
            retriable("ship", &["pay"]),
            retriable("bill", &["pay", "left"]),
            retriable("close", &["ship", "bill"]),
        ],
        vec![retriable("log", &[]), retriable("apologise", &["log"])],
    );
    assert!(definition.check().is_ok());
}

#[test]
fn a_definition_without_a_pivot_passes() {
    assert!(unchecked(vec![compensatable("reserve", &[])], vec![]).check().is_ok());
}

#[test]
fn a_definition_survives_being_written_as_json_and_read_back() {
    let text = serde_json::to_string(&sound()).expect("it has a JSON form");
    assert_eq!(serde_json::from_str::<Definition>(&text).expect("it is one"), sound());
}

#[test]
fn a_definition_in_json_may_leave_out_what_has_a_default_but_may_not_misspell() {
    let brief = r#"{"name":"brief","version":1,"deadlineMs":10,"steps":[
        {"name":"only","kind":"pivot","command":"only.do","timeoutMs":5}]}"#;
    let definition: Definition = serde_json::from_str(brief).expect("the rest has defaults");
    assert_eq!(definition.steps[0].retry, RetryPolicy::default());
    assert!(definition.check().is_ok());
    let misspelt = brief.replace("timeoutMs", "timeout");
    assert!(serde_json::from_str::<Definition>(&misspelt).is_err());
}

#[test]
fn a_name_must_be_able_to_stand_in_a_routing_key() {
    for name in ["", "Reserve", "reserve inventory", "reserve.it", "réserve", &"x".repeat(65)] {
        let definition = Definition { name: name.into(), ..sound() };
        assert_eq!(faults(definition), [Fault::BadName(name.into())]);
        let definition = unchecked(vec![compensatable(name, &[])], vec![]);
        assert!(faults(definition).contains(&Fault::BadName(name.into())));
    }
    let longest = Definition { name: "x".repeat(64).as_str().into(), ..sound() };
    assert!(longest.check().is_ok());
}

#[test]
fn a_command_must_name_a_service_and_a_verb() {
    for command in ["reserve", ".reserve", "inventory.", "inventory.a.b", "Inventory.reserve"] {
        let fault = || Fault::BadCommand("reserve".into(), command.into());
        assert_eq!(faults(with_step(0, |step| step.command = command.into())), [fault()]);
        assert_eq!(faults(with_step(0, |step| step.undo = Some(command.into()))), [fault()]);
    }
    assert!(with_step(0, |step| step.command = "a-b.c_d-2".into()).check().is_ok());
}

#[test]
fn a_reason_code_must_be_in_upper_case() {
    for code in ["", "refused", "NOT ENOUGH", "NOT-ENOUGH", &"X".repeat(65)] {
        let found = faults(with_step(0, |step| step.reasons.push(code.into())));
        assert_eq!(found, [Fault::BadReason("reserve".into(), code.into())]);
    }
    assert!(with_step(0, |step| step.reasons.push("OUT_OF_3".into())).check().is_ok());
}

#[test]
fn versions_begin_at_one() {
    assert_eq!(faults(Definition { version: 0, ..sound() }), [Fault::NoVersion]);
}

#[test]
fn there_must_be_a_step() {
    assert_eq!(faults(unchecked(vec![], vec![])), [Fault::NoSteps]);
    assert_eq!(faults(unchecked(vec![], vec![retriable("apologise", &[])])), [Fault::NoSteps]);
}

#[test]
fn the_number_of_steps_is_bounded() {
    let chain = |count: usize| {
        let names: Vec<String> = (0..count).map(|n| format!("s{n}")).collect();
        let steps = names.iter().map(|name| compensatable(name, &[])).collect();
        unchecked(steps, vec![retriable("apologise", &[])])
    };
    assert!(chain(MAX_STEPS - 1).check().is_ok());
    assert_eq!(faults(chain(MAX_STEPS)), [Fault::TooManySteps(MAX_STEPS + 1)]);
}

#[test]
fn step_names_are_unique_even_across_the_rollback() {
    let mut definition = sound();
    definition.after_rollback.push(retriable("reserve", &[]));
    assert_eq!(faults(definition), [Fault::DuplicateStep("reserve".into())]);
    let mut definition = sound();
    definition.steps.push(compensatable("reserve", &[]));
    assert_eq!(faults(definition), [Fault::DuplicateStep("reserve".into())]);
}

#[test]
fn a_step_can_only_need_a_step_that_runs_with_it() {
    let unknown = |step: &str, need: &str| Fault::UnknownNeed(step.into(), need.into());
    let definition = with_step(0, |step| step.needs.push("nobody".into()));
    assert_eq!(faults(definition), [unknown("reserve", "nobody")]);
    let definition = with_step(2, |step| step.needs.push("apologise".into()));
    assert_eq!(faults(definition), [unknown("mail", "apologise")]);
    let mut definition = sound();
    definition.after_rollback[0].needs.push("reserve".into());
    assert_eq!(faults(definition), [unknown("apologise", "reserve")]);
}

#[test]
fn steps_must_not_need_each_other_in_a_circle() {
    let definition = with_step(0, |step| step.needs.push("pay".into()));
    let [Fault::Cycle(circle)] = &faults(definition)[..] else { panic!("not a circle") };
    assert!(circle.contains(&"reserve".into()) && circle.contains(&"pay".into()), "{circle:?}");
    let definition = with_step(0, |step| step.needs.push("reserve".into()));
    assert!(matches!(&faults(definition)[..], [Fault::Cycle(_)]));
    let mut definition = sound();
    definition.after_rollback[0].needs.push("apologise".into());
    assert_eq!(faults(definition), [Fault::Cycle(vec!["apologise".into()])]);
}

#[test]
fn there_is_at_most_one_pivot() {
    let mut definition = sound();
    definition.steps.push(pivot("ship", &["pay"]));
    assert_eq!(faults(definition), [Fault::ManyPivots(vec!["pay".into(), "ship".into()])]);
}

#[test]
fn a_compensatable_step_names_its_undo() {
    let definition = with_step(0, |step| step.undo = None);
    assert_eq!(faults(definition), [Fault::NoUndo("reserve".into())]);
}

#[test]
fn only_a_compensatable_step_names_an_undo() {
    for (position, name) in [(1, "pay"), (2, "mail")] {
        let definition = with_step(position, |step| step.undo = Some("it.undo".into()));
        assert_eq!(faults(definition), [Fault::UselessUndo(name.into())]);
    }
    let mut definition = sound();
    definition.after_rollback[0].undo = Some("it.undo".into());
    assert_eq!(faults(definition), [Fault::UselessUndo("apologise".into())]);
}

#[test]
fn the_pivot_needs_every_compensatable_step() {
    let fault = |step: &str| Fault::NotBeforePivot(step.into(), "pay".into());
    let mut beside = sound();
    beside.steps.push(compensatable("pack", &["reserve"]));
    assert_eq!(faults(beside), [fault("pack")]);
    let mut after = sound();
    after.steps.push(compensatable("pack", &["pay"]));
    assert_eq!(faults(after), [fault("pack")]);
}

#[test]
fn every_retriable_step_needs_the_pivot() {
    let fault = |step: &str| Fault::NotAfterPivot(step.into());
    assert_eq!(faults(with_step(2, |step| step.needs.clear())), [fault("mail")]);
    let without = unchecked(vec![retriable("mail", &[])], vec![]);
    assert_eq!(faults(without), [fault("mail")]);
}

#[test]
fn only_retriable_steps_run_after_a_rollback() {
    let found = |step: Step| {
        let name = step.name.clone();
        let mut definition = sound();
        definition.after_rollback = vec![step];
        assert!(faults(definition).contains(&Fault::AfterRollbackNotRetriable(name)));
    };
    found(compensatable("apologise", &[]));
    found(pivot("apologise", &[]));
}

#[test]
fn a_step_at_a_worker_has_a_time_out() {
    let definition = with_step(1, |step| step.timeout_ms = 0);
    assert_eq!(faults(definition), [Fault::NoTimeout("pay".into())]);
    let local = with_step(1, |step| {
        step.timeout_ms = 0;
        step.runs = Runs::Locally;
    });
    assert!(local.check().is_ok(), "nobody waits for a local step");
}

#[test]
fn a_retry_policy_does_not_contradict_itself() {
    for (policy, field) in [
        (RetryPolicy { max_attempts: 0, ..RETRY }, "maxAttempts"),
        (RetryPolicy { factor: 0, ..RETRY }, "factor"),
        (RetryPolicy { initial_ms: 0, ..RETRY }, "initialMs"),
        (RetryPolicy { cap_ms: RETRY.initial_ms - 1, ..RETRY }, "capMs"),
        (RetryPolicy { jitter_percent: 101, ..RETRY }, "jitterPercent"),
    ] {
        let found = faults(with_step(2, |step| step.retry = policy));
        let [Fault::BadRetry(step, rule)] = &found[..] else { panic!("{field}: {found:?}") };
        assert_eq!(step.as_str(), "mail");
        assert!(rule.starts_with(field), "{rule}");
    }
    let edge =
        RetryPolicy { max_attempts: 1, factor: 1, initial_ms: 1, cap_ms: 1, jitter_percent: 100 };
    assert!(with_step(2, |step| step.retry = edge).check().is_ok());
}

#[test]
fn the_deadline_is_longer_than_the_longest_path_of_one_attempt_each() {
    let definition = |deadline_ms| Definition {
        deadline_ms,
        ..unchecked(
            vec![
                compensatable("reserve", &[]),
                Step { timeout_ms: 2 * TIMEOUT_MS, ..compensatable("pack", &[]) },
                Step { runs: Runs::Locally, ..pivot("confirm", &["reserve", "pack"]) },
                retriable("mail", &["confirm"]),
            ],
            vec![retriable("apologise", &[])],
        )
    };
    let path_ms = 3 * TIMEOUT_MS;
    let fault = Fault::DeadlineTooShort { deadline_ms: path_ms, path_ms };
    assert_eq!(faults(definition(path_ms)), [fault]);
    assert!(definition(path_ms + 1).check().is_ok());
}

#[test]
fn all_faults_are_reported_at_once() {
    let mut definition = sound();
    definition.version = 0;
    definition.deadline_ms = 1;
    definition.steps[0].undo = None;
    definition.steps[1].retry.factor = 0;
    definition.steps[2].needs.clear();
    definition.after_rollback[0].kind = StepKind::Pivot;
    let error = definition.check().expect_err("a lot is wrong with it");
    let text = error.to_string();
    assert_eq!(error.faults.len(), 6, "{text}");
    for fault in &error.faults {
        assert!(text.contains(&fault.to_string()), "{fault} is not in: {text}");
    }
    assert!(text.starts_with("definition example@0 can't be run: "), "{text}");
}

#[test]
fn several_pivots_do_not_hide_a_circle_or_a_missing_step() {
    let mut definition = sound();
    definition.steps.push(pivot("ship", &["ship"]));
    assert!(matches!(&faults(definition)[..], [Fault::ManyPivots(_), Fault::Cycle(_)]));
    let mut definition = sound();
    definition.steps.push(pivot("ship", &["nobody"]));
    assert!(matches!(&faults(definition)[..], [Fault::ManyPivots(_), Fault::UnknownNeed(..)]));
}
