//! The mail server, or the folder for mails.

use super::files;
use super::finding::Finding;
use crate::app;
use crate::config::Config;

/// Whether mails can be sent. Signs in and sends nothing.
pub fn findings(config: &Config) -> Vec<Finding> {
    let server = match app::mail_server(config) {
        Ok(Some(server)) => server,
        Ok(None) => {
            let folder = config.mail_folder();
            return vec![files::room(&format!("mails in {}", folder.display()), &folder)];
        }
        Err(error) => {
            let fix = "repair the mail settings: skald config check";
            return vec![Finding::fail("mail server", format!("{error:#}"), fix)];
        }
    };
    vec![match server.check() {
        Ok(()) => Finding::ok("mail server", format!("{} lets us in", server.server())),
        Err(error) => Finding::fail(
            "mail server",
            error.to_string(),
            "see docs/operations.md, Mail; orders are taken meanwhile, and their mails wait",
        ),
    }]
}
