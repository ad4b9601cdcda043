//! What must hold after every decision, whatever led to it.

use skald::saga::check::Checked;
use skald::saga::definition::{Direction, Step, StepKind, WorkerMemory};
use skald::saga::event::{Event, Recorded};
use skald::saga::evolve::{evolve, replay};
use skald::saga::id::{SagaId, StepName};
use skald::saga::state::{Phase, Saga, State, StepState};

/// What was found broken.
pub type Broken = String;

/// Fails with a sentence where `holds` does not.
pub fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// The history is whole, tells of one outcome, and makes the same saga again, also as it is stored.
pub fn check_history(id: SagaId, history: &[Recorded], saga: &Saga) -> Result<(), Broken> {
    let replayed = replay(id, history).map_err(|error| error.to_string())?;
    ensure(replayed == *saga, || format!("replaying gives another saga: {:?}", replayed.state))?;
    ensure(saga.state.version == history.len() as u64, || "the version is not the length".into())?;
    let stored = serde_json::to_string(&saga.state).map_err(|error| error.to_string())?;
    let read: State = serde_json::from_str(&stored).map_err(|error| error.to_string())?;
    ensure(read == saga.state, || format!("the stored state reads differently: {stored}"))?;
    let is_end =
        |r: &&Recorded| matches!(r.event, Event::SagaCompleted | Event::SagaCancelled { .. });
    let ends = history.iter().filter(is_end).count();
    ensure(ends == usize::from(saga.state.phase.is_end()), || format!("it ended {ends} times"))
}

/// Each event of a decision is allowed where it happens, and the decision goes as far as it can.
pub fn check_move(
    definition: &Checked,
    mut state: State,
    events: &[Recorded],
) -> Result<State, Broken> {
    ensure(!events.is_empty(), || "a move without an event".into())?;
    ensure(!state.phase.is_end(), || "it moved after its end".into())?;
    for recorded in events {
        check_event(definition, &state, &recorded.event)
            .map_err(|broken| format!("event {}: {broken}", recorded.sequence))?;
        state = evolve(state, recorded).map_err(|error| error.to_string())?;
    }
    check_rest(definition, &state)?;
    Ok(state)
}

fn check_event(definition: &Checked, state: &State, event: &Event) -> Result<(), Broken> {
    match event {
        Event::StepAsked { step, direction, generation, attempt, .. } => {
            check_key(state.step(step), *direction, *generation, *attempt)?;
            match direction {
                Direction::Do => check_doing(definition, state, step),
                Direction::Undo => check_undoing(definition, state, step),
            }
        }
        Event::StepSucceeded { step, .. } if state.step(step).is_none() => {
            check_doing(definition, state, step)
        }
        Event::StepUndone { step, .. } if !is_being_undone(state, step) => {
            check_undoing(definition, state, step)
        }
        Event::StepFailed { step, .. } => {
            let only_once =
                state.step(step).and_then(StepState::call).is_some_and(|call| call.1.attempt == 1);
            let remembers = found(definition, step)?.worker == WorkerMemory::Recorded;
            ensure(only_once && remembers, || format!("{step} may have been done"))
        }
        Event::StepGivenUp { step, .. } => {
            let kind = found(definition, step)?.kind;
            ensure(kind == StepKind::Compensatable, || format!("{step} can't be given up"))
        }
        Event::RollbackStarted { .. } => check_no_return(definition, state),
        Event::RolledBack { .. } => {
            let left = state.steps.iter().find(|step| !step.state.left_nothing());
            ensure(left.is_none(), || format!("rolled back, but {left:?}"))
        }
        Event::SagaCompleted => check_all_done(&definition.steps, state),
        Event::SagaCancelled { .. } => check_all_done(&definition.after_rollback, state),
        _ => Ok(()),
    }
}

/// The key is the same for every attempt, and new only where the old one was refused.
fn check_key(
    before: Option<&StepState>,
    direction: Direction,
    generation: u32,
    attempt: u32,
) -> Result<(), Broken> {
    let expected = match before {
        None => (1, 1),
        Some(StepState::Refused { generation, .. } | StepState::UndoRefused { generation, .. }) => {
            (generation + 1, 1)
        }
        Some(StepState::Succeeded { generation, .. } | StepState::InDoubt { generation, .. }) => {
            (*generation, 1)
        }
        Some(state) => match state.call() {
            Some((same, call)) if same == direction => (call.generation, call.attempt + 1),
            Some((_, call)) => (call.generation, 1),
            None => return Err(format!("asked where it stands at {state:?}")),
        },
    };
    ensure((generation, attempt) == expected, || {
        format!("generation {generation}, attempt {attempt} instead of {expected:?}")
    })
}

/// A step is asked for only after all it needs, and never once the saga has turned round.
fn check_doing(definition: &Checked, state: &State, name: &StepName) -> Result<(), Broken> {
    let step = found(definition, name)?;
    let missing = step.needs.iter().find(|need| !state.succeeded(need));
    ensure(missing.is_none(), || format!("{name} starts without {missing:?}"))?;
    let is_forward = definition.steps.iter().any(|step| step.name == *name);
    let in_time = match state.phase {
        Phase::Forward => is_forward,
        Phase::RolledBack(_) => !is_forward,
        _ => false,
    };
    ensure(in_time, || format!("{name} is asked for while {:?}", state.phase))
}

/// A step is undone only while rolling back, and after all that rests on it.
fn check_undoing(definition: &Checked, state: &State, name: &StepName) -> Result<(), Broken> {
    ensure(found(definition, name)?.kind == StepKind::Compensatable, || {
        format!("{name} can't be undone")
    })?;
    ensure(matches!(state.phase, Phase::RollingBack(_)), || format!("{name} undone too early"))?;
    check_no_return(definition, state)?;
    let rests = definition
        .dependents(name)
        .find(|step| state.step(&step.name).is_some_and(|state| !state.left_nothing()));
    ensure(rests.is_none(), || format!("{name} undone under {:?}", rests.map(|step| &step.name)))
}

/// The pivot was not begun, or is known not to have happened.
fn check_no_return(definition: &Checked, state: &State) -> Result<(), Broken> {
    let pivot = definition.pivot().and_then(|pivot| state.step(&pivot.name));
    ensure(pivot.is_none_or(StepState::left_nothing), || format!("past the pivot: {pivot:?}"))
}

fn check_all_done(steps: &[Step], state: &State) -> Result<(), Broken> {
    let missing = steps.iter().find(|step| !state.succeeded(&step.name));
    ensure(missing.is_none(), || format!("ended without {:?}", missing.map(|step| &step.name)))
}

/// Where a decision ends: nothing left undone that could be done, and nobody waits in silence.
fn check_rest(definition: &Checked, state: &State) -> Result<(), Broken> {
    let waits = state.calls().next().is_some();
    if state.phase.is_end() {
        return ensure(!waits && state.attention.is_empty() && state.next_due().is_none(), || {
            format!("something is open at the end: {state:?}")
        });
    }
    ensure(waits || !state.attention.is_empty(), || "it is stuck in silence".into())?;
    ensure(!waits || state.next_due().is_some(), || "nothing will wake it".into())?;
    for step in &state.steps {
        let attention = state.attention.iter().any(|a| a.step.as_ref() == Some(&step.name));
        let must = matches!(step.state, StepState::Refused { .. } | StepState::UndoRefused { .. });
        let may = must || step.state.call().is_some();
        ensure(attention || !must, || format!("{} waits for nobody", step.name))?;
        ensure(!attention || may, || format!("{} needs no attention", step.name))?;
        let turned = matches!(state.phase, Phase::RollingBack(_));
        let doing = matches!(step.state, StepState::Doing(_));
        ensure(!(turned && doing), || format!("{} is still being done", step.name))?;
    }
    let ready = definition.all_steps().find(|step| {
        state.step(&step.name).is_none() && check_doing(definition, state, &step.name).is_ok()
    });
    ensure(ready.is_none(), || format!("{:?} could start", ready.map(|step| &step.name)))?;
    let undoable = definition.steps.iter().find(|step| {
        matches!(
            state.step(&step.name),
            Some(StepState::Succeeded { .. } | StepState::InDoubt { .. })
        ) && check_undoing(definition, state, &step.name).is_ok()
    });
    ensure(undoable.is_none(), || format!("{:?} could be undone", undoable.map(|step| &step.name)))
}

fn is_being_undone(state: &State, step: &StepName) -> bool {
    matches!(state.step(step), Some(StepState::Undoing { .. }))
}

fn found<'a>(definition: &'a Checked, step: &StepName) -> Result<&'a Step, Broken> {
    definition.step(step).ok_or_else(|| format!("there is no step {step}"))
}
