//! What the sagas wait for.

use super::finding::Finding;
use crate::store::inspection::Work;

/// Up to here a count was made.
const COUNTED: u64 = 10_000;

/// Sagas and dead letters that somebody should look at.
pub fn findings(work: &Work) -> Vec<Finding> {
    vec![attention(work), overdue(work), letters(work)]
}

fn attention(work: &Work) -> Finding {
    let Work { unfinished, needing_attention, .. } = work;
    let told = format!("{unfinished} are under way, {needing_attention} need attention");
    if *needing_attention == 0 {
        return Finding::ok("sagas", told);
    }
    let fix = "skald saga list --status NEEDS_ATTENTION; repair what their causes name, then skald saga retry";
    Finding::warn("sagas", told, fix)
}

fn overdue(work: &Work) -> Finding {
    match work.overdue {
        0 => Finding::ok("deadlines", "nothing is overdue"),
        overdue => Finding::fail(
            "deadlines",
            format!("for {} sagas something was due over a minute ago", count(overdue)),
            "start a node (skald serve); if one runs, see whether it owns shards (GET /v1/nodes) and what its log says",
        ),
    }
}

fn letters(work: &Work) -> Finding {
    match work.open_letters {
        0 => Finding::ok("dead letters", "none is open"),
        open => Finding::warn(
            "dead letters",
            format!("{} are open", count(open)),
            "skald dead-letters list; repair what the reasons name, then requeue or discard them",
        ),
    }
}

/// Whether each shard has an owner.
pub fn shards(work: &Work) -> Finding {
    let Work { shards, unowned, unfinished, nodes, .. } = work;
    let told = format!("nodes: {}; of {shards} shards {unowned} are nobody's", nodes.len());
    if *unowned == 0 {
        return Finding::ok("shards", told);
    }
    let fix = match nodes.is_empty() {
        true => "start a node: skald serve",
        false => {
            "wait for a lease (node.lease_ms); if they stay nobody's, read /readyz?verbose and the logs of the nodes"
        }
    };
    match unfinished {
        0 if nodes.is_empty() => Finding::warn("shards", told, fix),
        _ => Finding::fail("shards", told, fix),
    }
}

fn count(count: u64) -> String {
    if count >= COUNTED { format!("{COUNTED} or more") } else { count.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::Verdict;
    use crate::store::inspection::LivingNode;

    #[test]
    fn what_waits_for_somebody_is_told() {
        let verdicts = |work: &Work| {
            findings(work).into_iter().map(|finding| finding.verdict).collect::<Vec<_>>()
        };
        assert_eq!(verdicts(&Work::default()), [Verdict::Ok; 3]);
        let work = Work { needing_attention: 1, open_letters: 2, ..Work::default() };
        assert_eq!(verdicts(&work), [Verdict::Warn, Verdict::Ok, Verdict::Warn]);
        let work = Work { overdue: COUNTED, ..Work::default() };
        assert!(findings(&work)[1].found.contains("10000 or more"), "{:?}", findings(&work));
    }

    #[test]
    fn shards_of_nobody_are_a_failure_once_sagas_wait_in_them() {
        let node = LivingNode { name: "north".to_owned(), url: "http://127.0.0.1:7070".to_owned() };
        let all = Work { shards: 64, nodes: vec![node], ..Work::default() };
        assert_eq!(shards(&all).verdict, Verdict::Ok);
        assert_eq!(shards(&Work { unowned: 3, ..all.clone() }).verdict, Verdict::Fail);
        let stopped = Work { unowned: 64, nodes: Vec::new(), ..all };
        assert_eq!(shards(&stopped).verdict, Verdict::Warn);
        assert_eq!(shards(&Work { unfinished: 1, ..stopped }).verdict, Verdict::Fail);
    }
}
