//! The embedded stores: the data folder, its lock, its files, its disk.

use std::fs::{File, TryLockError};
use std::path::Path;

use rustix::fs::{Access, access, statvfs};

use super::finding::Finding;
use super::work;
use crate::store::inspection::Schema;
use crate::store::sqlite::{self, Inspection};

/// Less room than that is gone within the hour under load.
const LITTLE: u64 = 1 << 30;

/// Less room than that does not hold one full log.
const TOO_LITTLE: u64 = 128 << 20;

/// A log that is longer is held back by a read that does not end.
const LONG_LOG: u64 = 256 << 20;

/// Looks at a data folder, and changes nothing in it.
pub fn findings(data_dir: &Path) -> Vec<Finding> {
    let mut findings = vec![room("disk", data_dir)];
    if !data_dir.exists() {
        let told = format!("{} is not there yet", data_dir.display());
        findings.push(Finding::warn(
            "data folder",
            told,
            "run skald migrate, or start skald serve",
        ));
        return findings;
    }
    let running = is_locked(data_dir);
    findings.push(folder(data_dir));
    findings.push(match running {
        true => Finding::ok("lock", "a Skald runs on this folder"),
        false => Finding::ok("lock", "nobody runs on this folder"),
    });
    for inspection in sqlite::inspect(data_dir) {
        findings.push(file(&inspection));
        if let Some(found) = &inspection.work {
            findings.extend(work::findings(found));
            if running {
                findings.push(work::shards(found));
            }
        }
    }
    findings
}

/// Whether a process holds the folder's lock. It is shared for an instant and given back, for there is
/// no way to ask.
fn is_locked(data_dir: &Path) -> bool {
    let Ok(file) = File::open(data_dir.join("skald.lock")) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

fn folder(data_dir: &Path) -> Finding {
    let place = data_dir.display().to_string();
    match access(data_dir, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Finding::ok("data folder", format!("{place} can be written to")),
        Err(error) => Finding::fail(
            "data folder",
            format!("{place} can't be written to by this user: {error}"),
            "give the folder to the user that Skald runs as, or run this as that user",
        ),
    }
}

/// How much room is left where `path` is, or would be.
pub fn room(check: &str, path: &Path) -> Finding {
    let there = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    let found = match statvfs(there) {
        Ok(found) => found,
        Err(error) => {
            let told = format!("{} can't be asked: {error}", there.display());
            return Finding::warn(check, told, "look with df");
        }
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let told = format!("{} MiB are free at {}", free >> 20, there.display());
    let fix = "give the disk more room: nothing but old idempotency keys is ever deleted";
    match free {
        free if free < TOO_LITTLE => Finding::fail(check, told, fix),
        free if free < LITTLE => Finding::warn(check, told, fix),
        _ => Finding::ok(check, told),
    }
}

fn file(inspection: &Inspection) -> Finding {
    let Inspection { store, path, bytes, wal_bytes, schema, .. } = inspection;
    let schema = match schema {
        Ok(schema) => schema,
        Err(error) => {
            let fix = "see what the message names; a file that is damaged comes from the backup";
            return Finding::fail(format!("{store} file"), error.to_string(), fix);
        }
    };
    let found = super::schema::finding(store, schema);
    let log = wal_bytes.unwrap_or_default();
    if *schema == Schema::Missing || found.fix.is_some() {
        return found;
    }
    let told = format!(
        "{}: {} KiB and {} KiB of log, {}",
        path.display(),
        bytes.unwrap_or_default() >> 10,
        log >> 10,
        found.found
    );
    if log > LONG_LOG {
        let fix = "a read holds the log back: look for a backup or another program that has the file open";
        return Finding::warn(format!("{store} file"), told, fix);
    }
    Finding::ok(format!("{store} file"), told)
}
