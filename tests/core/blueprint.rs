//! Random definitions, all of them valid.

use std::collections::BTreeSet;
use std::fmt;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use skald::saga::check::Checked;
use skald::saga::definition::{Definition, Runs, Step, StepKind, WorkerMemory};
use skald::saga::id::StepName;
use skald::saga::retry::RetryPolicy;

use crate::definitions::{REFUSED, compensatable, pivot, retriable};

/// What one random step is like.
#[derive(Clone, Debug)]
pub struct StepPlan {
    /// Bit n: it needs the n-th of the steps that it may need.
    needs: u8,
    runs: Runs,
    worker: WorkerMemory,
    max_attempts: u32,
    timeout_ms: u64,
    /// Where it stands in the definition; those with less stand before it.
    rank: u8,
}

/// A random definition: any graph of compensatable steps, perhaps a pivot after all of them, any
/// graph of retriable steps after that, and any graph of steps after a rollback.
#[derive(Clone)]
pub struct Blueprint {
    before: Vec<StepPlan>,
    pivot: Option<StepPlan>,
    after: Vec<StepPlan>,
    after_rollback: Vec<StepPlan>,
    spare_ms: u64,
}

fn step_plan() -> impl Strategy<Value = StepPlan> {
    let runs = prop_oneof![4 => Just(Runs::AtWorker), 1 => Just(Runs::Locally)];
    let worker = prop_oneof![4 => Just(WorkerMemory::Recorded), 1 => Just(WorkerMemory::Forgetful)];
    (any::<u8>(), runs, worker, 1..4_u32, 20..200_u64, any::<u8>()).prop_map(
        |(needs, runs, worker, max_attempts, timeout_ms, rank)| StepPlan {
            needs,
            runs,
            worker,
            max_attempts,
            timeout_ms,
            rank,
        },
    )
}

pub fn blueprint() -> impl Strategy<Value = Blueprint> {
    let parts = (
        vec(step_plan(), 0..5),
        option::weighted(0.8, step_plan()),
        vec(step_plan(), 0..4),
        vec(step_plan(), 0..3),
        1..3_000_u64,
    );
    parts
        .prop_map(|(before, pivot, after, after_rollback, spare_ms)| Blueprint {
            before,
            pivot,
            after,
            after_rollback,
            spare_ms,
        })
        .prop_filter("a definition has a step", |blueprint| {
            blueprint.pivot.is_some() || !blueprint.before.is_empty()
        })
}

impl StepPlan {
    fn build(&self, kind: StepKind, name: &str, needs: BTreeSet<StepName>) -> Step {
        let plain = match kind {
            StepKind::Compensatable => compensatable(name, &[]),
            StepKind::Pivot => pivot(name, &[]),
            StepKind::Retriable => retriable(name, &[]),
        };
        Step {
            needs: needs.into_iter().collect(),
            runs: self.runs,
            worker: self.worker,
            timeout_ms: self.timeout_ms,
            reasons: vec![REFUSED.into()],
            retry: RetryPolicy {
                max_attempts: self.max_attempts,
                initial_ms: 10,
                factor: 2,
                cap_ms: 40,
                jitter_percent: 20,
            },
            ..plain
        }
    }

    fn chosen(&self, candidates: &[StepName]) -> BTreeSet<StepName> {
        let wanted = |n: usize| self.needs.checked_shr(n as u32).unwrap_or(0) & 1 == 1;
        let named = candidates.iter().enumerate();
        named.filter(|(n, _)| wanted(*n)).map(|(_, name)| name.clone()).collect()
    }
}

impl Blueprint {
    /// The definition that it describes.
    pub fn build(&self) -> Checked {
        let mut steps = graph(&self.before, StepKind::Compensatable, "back", &[]);
        if let Some(plan) = &self.pivot {
            let names = names_of(&steps);
            let is_needed = |name: &&StepName| steps.iter().any(|(_, s)| s.needs.contains(name));
            let mut needs = plan.chosen(&names);
            needs.extend(names.iter().filter(|name| !is_needed(name)).cloned());
            let before = names_of(&steps);
            steps.push((plan.rank, plan.build(StepKind::Pivot, "pivot", needs)));
            let roots = [vec!["pivot".into()], before].concat();
            steps.extend(graph(&self.after, StepKind::Retriable, "on", &roots));
        }
        let after_rollback = graph(&self.after_rollback, StepKind::Retriable, "sorry", &[]);
        let longest_path_at_most: u64 = steps.iter().map(|(_, step)| step.timeout_ms).sum();
        let definition = Definition {
            name: "random".into(),
            version: 1,
            deadline_ms: longest_path_at_most + self.spare_ms,
            steps: by_rank(steps),
            after_rollback: by_rank(after_rollback),
        };
        definition.check().expect("a blueprint describes a valid definition")
    }
}

/// Builds steps each of which may need the earlier ones and `roots`. Where there are roots, each
/// needs the first root, at least through others.
fn graph(plans: &[StepPlan], kind: StepKind, prefix: &str, roots: &[StepName]) -> Vec<(u8, Step)> {
    let mut steps: Vec<(u8, Step)> = Vec::new();
    for (n, plan) in plans.iter().enumerate() {
        let siblings = names_of(&steps);
        let mut needs = plan.chosen(&[&siblings, roots].concat());
        if needs.is_disjoint(&siblings.into_iter().collect()) {
            needs.extend(roots.first().cloned());
        }
        steps.push((plan.rank, plan.build(kind, &format!("{prefix}-{n}"), needs)));
    }
    steps
}

fn names_of(steps: &[(u8, Step)]) -> Vec<StepName> {
    steps.iter().map(|(_, step)| step.name.clone()).collect()
}

fn by_rank(mut steps: Vec<(u8, Step)>) -> Vec<Step> {
    steps.sort_by_key(|(rank, _)| *rank);
    steps.into_iter().map(|(_, step)| step).collect()
}

/// One line a step.
impl fmt::Debug for Blueprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let definition = self.build();
        writeln!(f, "deadline after {} ms", definition.deadline_ms)?;
        for step in definition.all_steps() {
            let Step { name, kind, needs, runs, worker, timeout_ms, retry, .. } = step;
            writeln!(
                f,
                "  {name}: {kind:?} {runs:?} {worker:?}, needs {needs:?}, {} attempts of {timeout_ms} ms",
                retry.max_attempts
            )?;
        }
        Ok(())
    }
}
