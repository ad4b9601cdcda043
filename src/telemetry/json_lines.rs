//! A log for programs: one JSON object a line.

use std::fmt::{self, Debug};

use chrono::{SecondsFormat, Utc};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes an event and the fields of the spans around it as one flat object.
///
/// Of two fields with one name the inner one stands; the event's own stand before all. The members
/// `timestamp`, `level` and `target` are always the event's.
#[derive(Debug)]
pub struct JsonLines;

impl<S> FormatEvent<S, JsonFields> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    JsonFields: for<'a> FormatFields<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut members = Members(Map::new());
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            let Some(fields) = extensions.get::<FormattedFields<JsonFields>>() else { continue };
            members.0.extend(serde_json::from_str::<Map<_, _>>(fields).unwrap_or_default());
        }
        event.record(&mut members);
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
        members.0.insert("timestamp".to_owned(), now.into());
        members.0.insert("level".to_owned(), event.metadata().level().as_str().into());
        members.0.insert("target".to_owned(), event.metadata().target().into());
        writeln!(writer, "{}", Value::Object(members.0))
    }
}

/// Fields as members of an object.
struct Members(Map<String, Value>);

impl Members {
    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Members {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt;
    use tracing_subscriber::prelude::*;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(act: impl FnOnce()) -> Vec<Map<String, Value>> {
        let lines = Lines::default();
        let sink = lines.clone();
        let layer = fmt::layer()
            .with_writer(move || sink.clone())
            .fmt_fields(JsonFields::new())
            .event_format(JsonLines);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), act);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn fields_of_the_spans_around_an_event_stand_beside_its_own() {
        let lines = logged(|| {
            let request = tracing::info_span!(
                "request",
                traceId = "4bf9",
                sagaId = tracing::field::Empty,
                status = 202
            );
            let _request = request.enter();
            request.record("sagaId", "0189");
            let _step = tracing::info_span!("step", traceId = "inner").entered();
            tracing::warn!(attempt = 3, status = "late", error = %"no \"answer\"\n", "not done");
        });
        assert_eq!(lines.len(), 1);
        let line = &lines[0];
        assert_eq!(line["message"], "not done");
        assert_eq!(line["level"], "WARN");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
        assert_eq!(line["sagaId"], "0189");
        assert_eq!(line["traceId"], "inner");
        assert_eq!(line["status"], "late");
        assert_eq!(line["attempt"], 3);
        assert_eq!(line["error"], "no \"answer\"\n");
    }

    #[test]
    fn a_field_cannot_pose_as_the_level_or_the_time() {
        let lines = logged(|| tracing::info!(level = "ERROR", timestamp = "never", "fine"));
        assert_eq!(lines[0]["level"], "INFO");
        assert_ne!(lines[0]["timestamp"], "never");
    }
}
