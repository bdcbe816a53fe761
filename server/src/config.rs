//! What the process is told: flags, then environment, then file, then defaults.
//!
//! Flags and environment are clap's; this is the file, TOML, whose keys are the flags' names.
//! The lender's own choices are settings in the database, see [`crate::settings`].

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::auth::oidc::Secret;

/// The configuration file. Every key is optional; one that is unknown is an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FileConfig {
    /// `sqlite:PATH` or `postgres://...`.
    pub db: Option<String>,
    /// The folder of keys.
    pub keys: Option<PathBuf>,
    /// The address `serve` and `demo` listen on.
    pub listen: Option<String>,
    /// How log lines look.
    pub log_format: Option<LogFormat>,
    /// A file with the secret of the identity provider's client.
    pub oidc_client_secret_file: Option<PathBuf>,
    /// A file with the value of the header that the SMS gateway knows this server by.
    pub sms_secret_file: Option<PathBuf>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is not TOML of this shape.
    #[error("{}: {error}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why.
        error: Box<toml::de::Error>,
    },
}

/// A secret that others know this server by: in a file, or else as the environment has it.
pub fn secret(file: Option<&Path>, environment: Option<String>) -> Result<Option<Secret>, ConfigError> {
    let Some(path) = file else { return Ok(environment.map(|text| Secret::new(&text))) };
    let text = std::fs::read_to_string(path);
    let text = Zeroizing::new(text.map_err(|error| ConfigError::Read { path: path.to_owned(), error })?);
    Ok(Some(Secret::new(&text)))
}

/// Reads a configuration file.
pub fn read(path: &Path) -> Result<FileConfig, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Read { path: path.to_owned(), error })?;
    toml::from_str(&text).map_err(|error| ConfigError::Parse { path: path.to_owned(), error: Box::new(error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_a_files_or_else_the_environments() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "of the file\n").unwrap();
        let environment = || Some("of the environment".to_owned());
        assert_eq!(secret(None, None).unwrap(), None);
        assert_eq!(secret(None, environment()).unwrap(), Some(Secret::new("of the environment")));
        assert_eq!(secret(Some(&path), environment()).unwrap(), Some(Secret::new("of the file")));
        assert!(matches!(secret(Some(dir.path()), environment()), Err(ConfigError::Read { .. })));
    }

    #[test]
    fn a_file_sets_what_it_names_and_nothing_it_does_not_know() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("daybook.toml");
        assert!(matches!(read(&path), Err(ConfigError::Read { .. })));
        std::fs::write(&path, "db = \"sqlite:x.db\"\nlog-format = \"json\"\n").unwrap();
        let config = read(&path).unwrap();
        assert_eq!((config.db.as_deref(), config.log_format), (Some("sqlite:x.db"), Some(LogFormat::Json)));
        assert_eq!(config.listen, None);
        std::fs::write(&path, "listn = \"0.0.0.0:80\"\n").unwrap();
        assert!(matches!(read(&path), Err(ConfigError::Parse { .. })));
    }
}
