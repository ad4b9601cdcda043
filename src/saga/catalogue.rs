//! The definitions that this program can run, each with its script.

use std::collections::HashMap;
use std::sync::Arc;

use super::check::Checked;
use super::effect::Script;
use super::id::{DefinitionRef, QueueName};

/// A definition and what it says.
#[derive(Clone)]
pub struct Runnable {
    /// The definition.
    pub definition: Arc<Checked>,
    /// What it says.
    pub script: Arc<dyn Script>,
}

/// All definitions and versions that this program can run. A version stays as long as one of its
/// sagas lives.
#[derive(Clone, Default)]
pub struct Catalogue(HashMap<DefinitionRef, Runnable>);

impl Catalogue {
    /// Adds a definition, in place of the one with the same name and version.
    #[must_use]
    pub fn with(mut self, definition: Checked, script: impl Script + 'static) -> Self {
        let reference = definition.reference();
        let runnable = Runnable { definition: Arc::new(definition), script: Arc::new(script) };
        self.0.insert(reference, runnable);
        self
    }

    /// The definition that a saga is pinned to.
    pub fn get(&self, reference: &DefinitionRef) -> Option<&Runnable> {
        self.0.get(reference)
    }

    /// Every definition.
    pub fn iter(&self) -> impl Iterator<Item = &Runnable> {
        self.0.values()
    }

    /// The queues to which a new saga of any definition may send.
    pub fn queues(&self) -> Vec<QueueName> {
        let steps = self.iter().flat_map(|runnable| runnable.definition.all_steps());
        let mut queues: Vec<QueueName> = steps
            .filter(|step| step.runs == super::definition::Runs::AtWorker)
            .map(|step| step.command.queue())
            .collect();
        queues.sort();
        queues.dedup();
        queues
    }
}
