//! What AMQP does not show of a broker, from RabbitMQ's management API: alarms, the arguments of queues,
//! their replicas.

use std::collections::BTreeMap;
use std::time::Duration;

use awc::http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::finding::{Finding, some};
use crate::bus::rabbitmq::Address;
use crate::bus::rabbitmq::inspect::wanted_arguments;
use crate::http::encode;
use crate::ports::bus::QueueSpec;

/// How long one answer may take.
const WITHIN: Duration = Duration::from_secs(5);

/// A queue of a large virtual host takes a kilobyte.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// What can't be known without the API.
pub fn unknown() -> Finding {
    Finding::warn(
        "alarms, replicas, arguments",
        "AMQP does not show them",
        "name the management API with --management-url http://host:15672, or in SKALD_MANAGEMENT_URL",
    )
}

/// The API of one broker.
pub struct Api {
    base: String,
    vhost: String,
    user: String,
    password: String,
}

#[derive(Deserialize)]
struct Node {
    name: String,
    #[serde(default)]
    running: bool,
    #[serde(default)]
    mem_alarm: bool,
    #[serde(default)]
    disk_free_alarm: bool,
    #[serde(default)]
    partitions: Vec<String>,
}

/// A queue as the API shows it. Where the broker gathers no figures it shows no replicas.
#[derive(Clone, Debug, Default, Deserialize)]
struct Queue {
    name: String,
    #[serde(default)]
    arguments: BTreeMap<String, Value>,
    #[serde(default)]
    durable: bool,
    #[serde(default)]
    policy: Option<String>,
    members: Option<Vec<String>>,
    online: Option<Vec<String>>,
}

impl Api {
    /// The API at `url`, for the virtual host of `address`. Without an account of its own it is asked
    /// with the address's.
    pub fn of(url: &Url, address: &Address) -> Self {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(15672);
        let decoded = |text: &str| {
            percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
        };
        let (user, password) = match url.username() {
            "" => address.account(),
            user => (decoded(user), decoded(url.password().unwrap_or_default())),
        };
        let path = url.path().trim_end_matches('/');
        let base = format!("http://{host}:{port}{path}");
        Self { base, vhost: encode(address.vhost()).to_string(), user, password }
    }

    /// What it tells of the broker and of `queues`.
    pub async fn findings(&self, queues: &[QueueSpec]) -> Vec<Finding> {
        let asked = async {
            let nodes: Vec<Node> = self.get("/api/nodes").await?;
            let path = format!("/api/queues/{}", self.vhost);
            Ok::<_, String>((nodes, self.get::<Vec<Queue>>(&path).await?))
        };
        match asked.await {
            Ok((nodes, found)) => {
                let running = nodes.iter().filter(|node| node.running).count();
                let mut findings = cluster(&nodes);
                findings.push(arguments(queues, &found));
                findings.push(replicas(queues, &found, running));
                findings
            }
            Err(cause) => {
                let fix = "check --management-url, that the plugin rabbitmq_management is enabled, and that the account has the tag monitoring";
                vec![Finding::fail("management API", format!("{}: {cause}", self.base), fix)]
            }
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, String> {
        let client = awc::Client::builder()
            .timeout(WITHIN)
            .basic_auth(&self.user, Some(self.password.as_str()))
            .finish();
        let sent = client.get(format!("{}{path}", self.base)).send().await;
        let mut answer = sent.map_err(|error| error.to_string())?;
        if answer.status() != StatusCode::OK {
            return Err(format!("{path} answered {}", answer.status()));
        }
        let body = answer.body().limit(MAX_ANSWER).await.map_err(|error| error.to_string())?;
        serde_json::from_slice(&body)
            .map_err(|error| format!("{path} did not answer as RabbitMQ does: {error}"))
    }
}

fn cluster(nodes: &[Node]) -> Vec<Finding> {
    let names = |is: fn(&Node) -> bool| -> Vec<&str> {
        nodes.iter().filter(|node| is(node)).map(|node| node.name.as_str()).collect()
    };
    let (down, memory) = (names(|node| !node.running), names(|node| node.mem_alarm));
    let (disk, split) =
        (names(|node| node.disk_free_alarm), names(|node| !node.partitions.is_empty()));
    let mut findings = Vec::new();
    let mut trouble = |these: Vec<&str>, what: &str, fix: &str| {
        if !these.is_empty() {
            findings.push(Finding::fail("broker nodes", format!("{what}: {}", some(&these)), fix));
        }
    };
    trouble(down, "not running", "start them; their replicas catch up by themselves");
    trouble(
        memory,
        "memory alarm",
        "nothing is published until it is over: give the broker memory, or start consumers of long queues",
    );
    trouble(
        disk,
        "disk alarm",
        "nothing is published until it is over: free space on the broker's disk",
    );
    trouble(split, "partitioned", "repair the network, then restart the nodes of the smaller part");
    if findings.is_empty() {
        let told = format!("{} run, without an alarm", nodes.len());
        findings.push(Finding::ok("broker nodes", told));
    }
    findings
}

/// Whether the queues that exist are as they would be declared.
fn arguments(wanted: &[QueueSpec], found: &[Queue]) -> Finding {
    let mut differ = Vec::new();
    for spec in wanted {
        let Some(queue) = found.iter().find(|queue| queue.name == spec.name.as_str()) else {
            continue;
        };
        if let Some(policy) = queue.policy.as_deref().filter(|policy| !policy.is_empty()) {
            differ.push(format!("{} (under the policy {policy})", queue.name));
        }
        let wanted = wanted_arguments(spec);
        let other = wanted.iter().find(|(name, value)| queue.arguments.get(*name) != Some(value));
        if let Some((name, value)) = other {
            let has = queue.arguments.get(name).map_or("nothing".to_owned(), Value::to_string);
            differ.push(format!("{} ({name} is {has}, not {value})", queue.name));
        } else if !queue.durable {
            differ.push(format!("{} (not durable)", queue.name));
        }
    }
    match differ.as_slice() {
        [] => Finding::ok("queue arguments", "as they are declared"),
        differ => Finding::fail(
            "queue arguments",
            format!("{} differ: {}", differ.len(), some(differ)),
            "stop what uses such a queue, delete it once it is empty, and start again: it is declared anew; take policies off",
        ),
    }
}

/// On how many brokers the queues are.
fn replicas(wanted: &[QueueSpec], found: &[Queue], running: usize) -> Finding {
    let check = "queue replicas";
    let ours = |queue: &&Queue| wanted.iter().any(|spec| spec.name.as_str() == queue.name);
    let ours: Vec<&Queue> = found.iter().filter(ours).collect();
    let counts = ours.iter().filter_map(|queue| {
        let members = queue.members.as_ref()?.len();
        Some((queue.name.as_str(), members, queue.online.as_ref().map_or(members, Vec::len)))
    });
    let counts: Vec<(&str, usize, usize)> = counts.collect();
    let Some(fewest) = counts.iter().map(|(_, members, _)| *members).min() else {
        let fix = "ask on the broker: rabbitmq-queues quorum_status QUEUE";
        return Finding::warn(check, "the API does not show them", fix);
    };
    let those = |is: &dyn Fn(usize, usize) -> bool| -> Vec<&str> {
        counts.iter().filter(|(_, members, online)| is(*members, *online)).map(|it| it.0).collect()
    };
    let stuck = those(&|members, online| online * 2 <= members);
    let degraded = those(&|members, online| online < members);
    if !stuck.is_empty() {
        let fix = "start the brokers that are down: a queue without most of its replicas takes and gives nothing";
        Finding::fail(check, format!("without a majority: {}", some(&stuck)), fix)
    } else if !degraded.is_empty() {
        let fix = "start the brokers that are down";
        Finding::warn(check, format!("not all online: {}", some(&degraded)), fix)
    } else if fewest < 3 && running > fewest {
        let fix = "add replicas: rabbitmq-queues grow NODE all";
        Finding::warn(check, format!("{fewest} at the least, of {running} brokers"), fix)
    } else if fewest < 3 {
        let fix = "run three brokers as a cluster: what is in a queue is lost with its only copy, and comes again by re-asking alone";
        Finding::warn(check, format!("{fewest} each"), fix)
    } else {
        Finding::ok(check, format!("{fewest} at the least, all online"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::topology::queues;
    use crate::cli::doctor::finding::Verdict;
    use crate::saga::catalogue::Catalogue;

    fn wanted() -> Vec<QueueSpec> {
        queues(&Catalogue::default(), 1)
    }

    /// The queues as the API shows them where all is well, on so many brokers.
    fn found(members: usize) -> Vec<Queue> {
        let queue = |spec: &QueueSpec| Queue {
            name: spec.name.to_string(),
            arguments: wanted_arguments(spec),
            durable: true,
            policy: Some(String::new()),
            members: Some(vec!["rabbit@x".to_owned(); members]),
            online: Some(vec!["rabbit@x".to_owned(); members]),
        };
        wanted().iter().map(queue).collect()
    }

    #[test]
    fn queues_are_compared_with_what_would_be_declared() {
        assert_eq!(arguments(&wanted(), &found(1)).verdict, Verdict::Ok);
        let mut other = found(1);
        other[0].arguments.insert("x-max-length".to_owned(), Value::from(5));
        let finding = arguments(&wanted(), &other);
        assert_eq!(finding.verdict, Verdict::Fail);
        assert!(finding.found.contains("x-max-length is 5, not 200000"), "{}", finding.found);
        let mut ruled = found(1);
        ruled[1].policy = Some("ha".to_owned());
        assert_eq!(arguments(&wanted(), &ruled).verdict, Verdict::Fail);
    }

    #[test]
    fn replicas_are_counted_against_the_brokers_there_are() {
        let verdict = |found: &[Queue], running| replicas(&wanted(), found, running).verdict;
        assert_eq!(verdict(&found(3), 3), Verdict::Ok);
        assert_eq!(verdict(&found(1), 3), Verdict::Warn);
        assert_eq!(verdict(&found(1), 1), Verdict::Warn);
        let online = |online| {
            let mut queues = found(3);
            queues[0].online = Some(vec!["rabbit@x".to_owned(); online]);
            queues
        };
        assert_eq!(verdict(&online(2), 3), Verdict::Warn);
        assert_eq!(verdict(&online(1), 3), Verdict::Fail);
        let mut untold = found(3);
        untold.iter_mut().for_each(|queue| queue.members = None);
        assert_eq!(verdict(&untold, 3), Verdict::Warn);
    }

    #[test]
    fn alarms_and_nodes_that_are_down_are_failures() {
        let node = |mem_alarm, running| Node {
            name: "rabbit@x".to_owned(),
            running,
            mem_alarm,
            disk_free_alarm: false,
            partitions: Vec::new(),
        };
        assert_eq!(cluster(&[node(false, true)])[0].verdict, Verdict::Ok);
        assert_eq!(cluster(&[node(true, true)])[0].verdict, Verdict::Fail);
        assert_eq!(cluster(&[node(false, true), node(false, false)])[0].verdict, Verdict::Fail);
    }
}
