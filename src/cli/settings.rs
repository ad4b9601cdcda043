//! Flags that give settings.

use std::path::PathBuf;

use clap::Args;

use crate::config::Sources;

/// Flags of every command that needs the configuration. They beat environment variables such as
/// `SKALD_DATA_DIR`, which beat the file.
#[derive(Args, Debug, Default)]
pub struct Settings {
    /// Read this file instead of ./skald.toml [env: SKALD_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the data is kept [default: ./data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// What is logged: a level, or levels by module such as warn,skald=debug [default: info]
    #[arg(long, value_name = "FILTER")]
    log_filter: Option<String>,
    /// How a line of the log looks: text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}

/// The flag of every command that listens.
#[derive(Args, Debug, Default)]
pub struct Listen {
    /// Where to listen; port 0 takes any that is free [default: 127.0.0.1:7070]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
}

impl Settings {
    /// Where the configuration comes from.
    pub fn sources(self) -> Sources {
        Sources::of_file(self.config)
            .flag("--data-dir", "data_dir", self.data_dir)
            .flag("--log-filter", "log.filter", self.log_filter)
            .flag("--log-format", "log.format", self.log_format)
    }
}

impl Listen {
    /// Adds the flag to where the configuration comes from.
    pub fn add_to(self, sources: Sources) -> Sources {
        sources.flag("--listen", "server.listen", self.listen)
    }
}
