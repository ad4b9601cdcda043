//! Whether a store and this program go together.

use super::finding::{Finding, some};
use crate::store::inspection::{Migrations, Schema};

/// How the `store`'s migrations and the program's compare.
pub fn finding(store: &str, schema: &Schema) -> Finding {
    let check = format!("{store} migrations");
    match schema {
        Schema::Missing => {
            Finding::warn(check, "there is no store yet", "run skald migrate, or start skald serve")
        }
        Schema::Foreign(cause) => {
            Finding::fail(check, cause, "move it away, or choose another place")
        }
        Schema::Ours(migrations) => compared(check, migrations),
    }
}

fn compared(check: String, migrations: &Migrations) -> Finding {
    let Migrations { newest, missing, unknown, too_new } = migrations;
    if let Some(needed) = too_new {
        let told = format!("the store is at {newest} and needs a program that knows {needed}");
        let fix = "run the version of Skald that made it, or a later one";
        return Finding::fail(check, told, fix);
    }
    if !missing.is_empty() {
        let told = format!("the store is at {newest} and lacks {}", some(missing));
        return Finding::warn(check, told, "run skald migrate; the next start does it, too");
    }
    if !unknown.is_empty() {
        let told = format!("the store is at {newest}, of a later version that this one goes with");
        return Finding::warn(check, told, "upgrade this process, too");
    }
    Finding::ok(check, format!("at {newest}, as this program"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::Verdict;

    fn verdict(missing: &[&str], unknown: &[&str], too_new: Option<&str>) -> Verdict {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let migrations = Migrations {
            newest: "0002".to_owned(),
            missing: names(missing),
            unknown: names(unknown),
            too_new: too_new.map(str::to_owned),
        };
        finding("orchestrator", &Schema::Ours(migrations)).verdict
    }

    #[test]
    fn only_a_store_that_the_program_cannot_use_is_a_failure() {
        assert_eq!(verdict(&[], &[], None), Verdict::Ok);
        assert_eq!(verdict(&["0003"], &[], None), Verdict::Warn);
        assert_eq!(verdict(&[], &["0003"], None), Verdict::Warn);
        assert_eq!(verdict(&[], &["0003"], Some("0003")), Verdict::Fail);
        assert_eq!(finding("x", &Schema::Missing).verdict, Verdict::Warn);
        assert_eq!(finding("x", &Schema::Foreign("a diary".into())).verdict, Verdict::Fail);
    }
}
