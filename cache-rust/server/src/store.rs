//! The data directory: namespace records, a version that no version drawn so far has reached, and between two
//! processes a snapshot of the entries (`snapshot.rs`). Each file is replaced as a whole, so a crash leaves the old one
//! or the new one. A lock keeps a second node out.

use crate::exit::Failure;
use bimetal_engine::NamespaceRecord;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const LOCK: &str = "lock";
/// How long a node waits for one that is about to end.
const LOCK_LIMIT: Duration = Duration::from_secs(2);
const NAMESPACES: &str = "namespaces.json";
const VERSION_CEILING: &str = "version-ceiling";

/// One record as it lies in the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    name: String,
    revision: u64,
    deleted: bool,
    quota_bytes: Option<u64>,
    default_ttl_ms: Option<u64>,
    max_ttl_ms: Option<u64>,
    max_value_bytes: Option<u64>,
    stale_window_ms: Option<u64>,
}

/// An open data directory.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    /// One writer at a time, so that an older state never replaces a newer one.
    writing: Mutex<()>,
    /// Locked as long as this lives; the system gives it back when the process ends, however it does.
    _lock: File,
}

impl Store {
    /// Opens a directory, and makes it if need be.
    ///
    /// # Errors
    /// It cannot be made or written, or another node uses it.
    pub fn open(folder: &Path) -> Result<Self, Failure> {
        let lock = Self::lock(folder).map_err(|message| failure(folder, message))?;
        let store = Self { folder: folder.to_owned(), writing: Mutex::default(), _lock: lock };
        store.replace("write-test", b"").map_err(|e| store.failure(e))?;
        fs::remove_file(folder.join("write-test")).map_err(|e| store.failure(e))?;
        Ok(store)
    }

    fn lock(folder: &Path) -> Result<File, String> {
        fs::create_dir_all(folder).map_err(|e| e.to_string())?;
        let file = File::create(folder.join(LOCK)).map_err(|e| e.to_string())?;
        let limit = Instant::now() + LOCK_LIMIT;
        while file.try_lock().is_err() {
            if Instant::now() > limit {
                return Err("another node uses it".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(file)
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn failure(&self, message: impl std::fmt::Display) -> Failure {
        failure(&self.folder, message)
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Failure> {
        match fs::read(self.folder.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.failure(format!("{name}: {e}"))),
        }
    }

    /// The records of the last life.
    ///
    /// # Errors
    /// The file cannot be read or understood.
    pub fn namespaces(&self) -> Result<Vec<NamespaceRecord>, Failure> {
        let Some(bytes) = self.read(NAMESPACES)? else { return Ok(vec![]) };
        let records: Vec<Record> =
            serde_json::from_slice(&bytes).map_err(|e| self.failure(format!("{NAMESPACES}: {e}")))?;
        Ok(records
            .into_iter()
            .map(|r| NamespaceRecord {
                name: r.name,
                revision: r.revision,
                deleted: r.deleted,
                quota_bytes: r.quota_bytes,
                default_ttl_ms: r.default_ttl_ms,
                max_ttl_ms: r.max_ttl_ms,
                max_value_bytes: r.max_value_bytes,
                stale_window_ms: r.stale_window_ms,
            })
            .collect())
    }

    /// Keeps what `records` answers; asked under the writer's lock, so the newest state wins.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep_namespaces(&self, records: impl FnOnce() -> Vec<NamespaceRecord>) -> io::Result<()> {
        let _one_at_a_time = self.writing.lock();
        let records: Vec<_> = records()
            .into_iter()
            .map(|r| Record {
                name: r.name,
                revision: r.revision,
                deleted: r.deleted,
                quota_bytes: r.quota_bytes,
                default_ttl_ms: r.default_ttl_ms,
                max_ttl_ms: r.max_ttl_ms,
                max_value_bytes: r.max_value_bytes,
                stale_window_ms: r.stale_window_ms,
            })
            .collect();
        self.replace(NAMESPACES, &serde_json::to_vec_pretty(&records)?)
    }

    /// What no version of an earlier life has reached; 0 without one.
    ///
    /// # Errors
    /// The file cannot be read or understood.
    pub fn version_ceiling(&self) -> Result<u64, Failure> {
        let Some(bytes) = self.read(VERSION_CEILING)? else { return Ok(0) };
        let text = String::from_utf8_lossy(&bytes);
        text.trim().parse().map_err(|_| self.failure(format!("{VERSION_CEILING}: {text:?} is no version")))
    }

    /// Writes a new ceiling ahead of the versions that will be drawn.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep_version_ceiling(&self, version: u64) -> io::Result<()> {
        let _one_at_a_time = self.writing.lock();
        self.replace(VERSION_CEILING, version.to_string().as_bytes())
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        replace(&self.folder, name, |mut file| file.write_all(bytes))
    }
}

/// Replaces a file of a folder as a whole, by what `write` makes of a new one. When that cannot be finished, what there
/// is of it is taken away: it would keep a full disk full.
pub(crate) fn replace<T>(
    folder: &Path,
    name: &str,
    write: impl FnOnce(&File) -> io::Result<T>,
) -> io::Result<T> {
    let temporary = folder.join(format!("{name}.new"));
    let replaced = File::create(&temporary).and_then(|file| {
        let done = write(&file)?;
        file.sync_all()?;
        fs::rename(&temporary, folder.join(name))?;
        Ok(done)
    });
    if replaced.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    let done = replaced?;
    File::open(folder)?.sync_all()?;
    Ok(done)
}

fn failure(folder: &Path, message: impl std::fmt::Display) -> Failure {
    Failure::DataDirectory { path: folder.display().to_string(), message: message.to_string() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_kept_is_there_in_the_next_life() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/if/need/be");
        let store = Store::open(&path).unwrap();
        assert_eq!((store.namespaces().unwrap().len(), store.version_ceiling().unwrap()), (0, 0));
        let record = NamespaceRecord { quota_bytes: Some(7), ..NamespaceRecord::new("demo") };
        store.keep_namespaces(|| vec![record.clone()]).unwrap();
        store.keep_version_ceiling(u64::MAX).unwrap();
        assert!(Store::open(&path).unwrap_err().to_string().contains("another node uses it"));
        drop(store);
        let store = Store::open(&path).unwrap();
        assert_eq!(store.namespaces().unwrap(), [record]);
        assert_eq!(store.version_ceiling().unwrap(), u64::MAX);
    }

    #[test]
    fn what_cannot_be_understood_is_refused_and_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(NAMESPACES), "[{]").unwrap();
        fs::write(folder.path().join(VERSION_CEILING), "twelve").unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert!(store.namespaces().unwrap_err().to_string().contains(NAMESPACES));
        assert_eq!(store.version_ceiling().unwrap_err().code(), 4);
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(Store::open(&file).unwrap_err().code(), 4);
    }
}
