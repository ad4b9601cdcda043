//! A store on PostgreSQL: what was found there, judged. Pure but for the asking.

use super::finding::{Finding, some};
use super::{clock, work};
use crate::store::OpenError;
use crate::store::inspection::{LivingNode, Schema};
use crate::store::postgres::{Inspection, Server};

/// Connections that a node and two workers open at most.
const ROOM: i64 = 40;

/// What was found at the `store`'s URL, and the nodes that it tells of.
pub fn findings(
    store: &str,
    inspected: Result<Inspection, OpenError>,
) -> (Vec<Finding>, Vec<LivingNode>) {
    let Inspection {
        place,
        server,
        ahead_micros,
        give_or_take,
        unfit,
        schema,
        lacking,
        work: found,
    } = match inspected {
        Ok(inspection) => inspection,
        Err(error) => {
            let fix =
                "check that PostgreSQL runs there, and the URL's host, user, password and database";
            let told = match error {
                OpenError::Unreachable { place, cause, .. } => format!("{place}: {cause}"),
                other => other.to_string(),
            };
            return (vec![Finding::fail(format!("{store} database"), told, fix)], Vec::new());
        }
    };
    let mut findings = vec![reached(store, &place, &server, unfit)];
    findings.push(durability(store, &server));
    findings.push(connections(store, &server));
    findings.push(clock::database(store, ahead_micros, give_or_take));
    findings.push(super::schema::finding(store, &schema));
    findings.push(rights(store, &server.role, &schema, &lacking));
    let mut nodes = Vec::new();
    if let Some(found) = found {
        findings.extend(work::findings(&found));
        findings.push(work::shards(&found));
        nodes = found.nodes;
    }
    (findings, nodes)
}

fn reached(store: &str, place: &str, server: &Server, unfit: Option<String>) -> Finding {
    let check = format!("{store} database");
    let told = format!("PostgreSQL {} at {place}, as {}", server.version, server.role);
    match unfit {
        None => Finding::ok(check, told),
        Some(cause) => Finding::fail(check, told, cause),
    }
}

fn durability(store: &str, server: &Server) -> Finding {
    let check = format!("{store} durability");
    let Server { fsync, full_page_writes, synchronous_commit, .. } = server;
    let told = format!(
        "fsync {fsync}, full_page_writes {full_page_writes}, synchronous_commit {synchronous_commit}"
    );
    if fsync != "on" || full_page_writes != "on" {
        let fix = "set fsync = on and full_page_writes = on in postgresql.conf: as it is, a power cut loses or damages what was stored";
        return Finding::fail(check, told, fix);
    }
    match synchronous_commit.as_str() {
        "off" | "local" | "remote_write" => Finding::ok(check, format!("{told} (Skald sets on)")),
        _ => Finding::ok(check, told),
    }
}

fn connections(store: &str, server: &Server) -> Finding {
    let Server { connections, max_connections, .. } = server;
    let check = format!("{store} connections");
    let told = format!("{connections} of {max_connections} are taken");
    if max_connections - connections >= ROOM {
        return Finding::ok(check, told);
    }
    let fix = "raise max_connections: each process opens up to eight for each store that it uses";
    Finding::warn(check, told, fix)
}

fn rights(store: &str, role: &str, schema: &Schema, lacking: &[String]) -> Finding {
    let check = format!("{store} rights");
    if lacking.is_empty() {
        return Finding::ok(check, format!("{role} may do what it must"));
    }
    let told = format!("{role} lacks {}", some(lacking));
    let fix = match schema {
        Schema::Missing => "have the database's owner run GRANT CREATE ON DATABASE … TO …, or CREATE SCHEMA … AUTHORIZATION …".to_owned(),
        _ => format!("have the schema's owner grant it to {role}, or run skald migrate as the owner"),
    };
    Finding::fail(check, told, fix)
}
