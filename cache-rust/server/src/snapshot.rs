//! The state of a node in a file (`docs/snapshot-format.md`): written when the process ends in order, loaded and removed
//! before the next one serves. So after a crash there is none, and nothing old can be served.

use crate::store;
use bimetal_engine::{Config, Engine, FORMAT, Importer, MAX_BLOCK_BYTES, Now, Received, checksum};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

/// The file in the data directory.
pub const FILE: &str = "snapshot";
/// One that could not be read whole, kept for whoever wants to know why.
pub const REFUSED: &str = "snapshot.refused";

const MAGIC: &[u8; 8] = b"BMTLSNAP";
/// A block is at most this long: one entry of the largest size.
const LARGEST_BLOCK: u32 = (MAX_BLOCK_BYTES + (9 << 20)) as u32;

/// What was written or read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Blocks.
    pub blocks: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
}

/// Writes the state of an engine that is held.
///
/// # Errors
/// The file cannot be written.
pub fn write(engine: &Engine, folder: &Path, now: Now) -> io::Result<Figures> {
    store::replace(folder, FILE, |file| write_to(file, engine, now))
}

fn write_to(file: &File, engine: &Engine, now: Now) -> io::Result<Figures> {
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let mut figures = Figures { bytes: 10, ..Figures::default() };
    out.write_all(MAGIC)?;
    out.write_all(&FORMAT.to_le_bytes())?;
    let mut exporter = engine.export();
    let mut sums = vec![];
    while let Some(block) = exporter.next_block(engine, now).map_err(io::Error::other)? {
        let sum = checksum(&block).to_le_bytes();
        out.write_all(&(block.len() as u32).to_le_bytes())?;
        out.write_all(&sum)?;
        out.write_all(&block)?;
        sums.extend_from_slice(&sum);
        figures.blocks += 1;
        figures.bytes += 12 + block.len() as u64;
    }
    figures.entries = exporter.entries();
    // A block of no bytes is the footer's beginning.
    let footer = [0, 0, 0, 0].into_iter().chain(engine.greatest_version().to_le_bytes());
    let footer: Vec<u8> = footer.chain(figures.blocks.to_le_bytes()).collect();
    sums.extend_from_slice(&footer);
    out.write_all(&footer)?;
    out.write_all(&checksum(&sums).to_le_bytes())?;
    figures.bytes += 28;
    out.flush()?;
    Ok(figures)
}

/// What became of the file of the last life.
pub enum Loaded {
    /// There was none.
    None,
    /// An engine with all that was in it.
    Engine(Box<Engine>, Figures),
    /// Nothing of it is used; the sentence says which block is at fault.
    Refused(String),
}

/// Loads the file if it is whole, and takes it away in any case: nobody can load it again.
///
/// # Errors
/// It cannot be taken away.
pub fn load(folder: &Path, config: Config, now: Now) -> io::Result<Loaded> {
    let path = folder.join(FILE);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Loaded::None),
        Err(e) => return Err(e),
    };
    let read = read(BufReader::with_capacity(1 << 20, file), config, now);
    match read {
        Ok((engine, figures)) => {
            discard(folder)?;
            Ok(Loaded::Engine(Box::new(engine), figures))
        }
        Err(why) => {
            fs::rename(&path, folder.join(REFUSED))?;
            File::open(folder)?.sync_all()?;
            Ok(Loaded::Refused(why))
        }
    }
}

/// Takes the file away unread.
///
/// # Errors
/// It is there and cannot be removed.
pub fn discard(folder: &Path) -> io::Result<()> {
    let gone = folder.join("snapshot.gone");
    match fs::rename(folder.join(FILE), &gone) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        renamed => renamed?,
    }
    fs::remove_file(gone)?;
    File::open(folder)?.sync_all()
}

/// Reads a file whole. An engine comes of it only when every block, their number and their order are right.
fn read(mut file: impl Read, config: Config, now: Now) -> Result<(Engine, Figures), String> {
    let mut figures = Figures { bytes: 10, ..Figures::default() };
    let mut made: Option<(Engine, Importer)> = None;
    let mut sums = vec![];
    let cut = |what: String| move |e: io::Error| format!("{what} cannot be read: {e}");

    let mut head = [0; 10];
    file.read_exact(&mut head).map_err(cut("its head".into()))?;
    let [magic @ .., low, high] = head;
    if &magic != MAGIC {
        return Err("it is no snapshot of a node".into());
    }
    let format = u16::from_le_bytes([low, high]);
    if format != FORMAT {
        return Err(format!("it is of format {format}; this build reads format {FORMAT}"));
    }
    let mut block = vec![];
    loop {
        let number = figures.blocks + 1;
        let mut length = [0; 4];
        file.read_exact(&mut length).map_err(cut(format!("block {number}")))?;
        let length = u32::from_le_bytes(length);
        if length == 0 {
            break;
        }
        if length > LARGEST_BLOCK {
            return Err(format!("block {number} would have {length} bytes"));
        }
        let mut sum = [0; 8];
        file.read_exact(&mut sum).map_err(cut(format!("block {number}")))?;
        block.resize(length as usize, 0);
        file.read_exact(&mut block).map_err(cut(format!("block {number}")))?;
        if checksum(&block) != u64::from_le_bytes(sum) {
            return Err(format!("block {number} is not what was written: its checksum differs"));
        }
        sums.extend_from_slice(&sum);
        let (engine, importer) = match &mut made {
            Some(made) => made,
            None => made.insert(begin(&block, config.clone(), now)?),
        };
        let applied = importer.apply(engine, &block, now).map_err(|e| format!("block {number}: {e}"))?;
        figures.blocks = number;
        figures.bytes += 12 + u64::from(length);
        figures.entries += applied.entries;
    }
    let mut footer = [0; 24];
    file.read_exact(&mut footer).map_err(cut("its end".into()))?;
    let word = |at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&footer[at..at + 8]);
        u64::from_le_bytes(word)
    };
    let (last_version, blocks, sum) = (word(0), word(8), word(16));
    sums.extend_from_slice(&[0; 4]);
    sums.extend_from_slice(&footer[..16]);
    if checksum(&sums) != sum || blocks != figures.blocks {
        return Err(format!("its end does not fit its {} blocks", figures.blocks));
    }
    if !matches!(file.read(&mut [0]), Ok(0)) {
        return Err("there is more behind its end".into());
    }
    let (engine, mut importer) = made.ok_or("it has no blocks")?;
    importer.finish(&engine, last_version, now);
    figures.bytes += 28;
    Ok((engine, figures))
}

/// Expiries move by the wall time that has passed. If that clock went backwards nothing has.
fn begin(block: &[u8], config: Config, now: Now) -> Result<(Engine, Importer), String> {
    let received = Received::read(block).map_err(|e| format!("block 1: {e}"))?;
    if received.node() != config.node_name {
        return Err(format!("it is of the node {:?}, this is {:?}", received.node(), config.node_name));
    }
    let passed = now.wall_ms.saturating_sub(received.written_at().wall_ms);
    Ok(Importer::new(&received, config, i128::from(now.mono_ms) - i128::from(passed)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bimetal_engine::{Get, GetOutcome, Interest, NamespaceRecord, Precondition, Put, Ttl};

    const WALL: u64 = 1_700_000_000_000;

    fn put(engine: &Engine, namespace: &str, key: &[u8], ttl: Ttl, now: Now) -> u64 {
        let precondition = Precondition::None;
        let put = Put { namespace, key, value: &[7; 40], content_type: "a/b", ttl, precondition };
        engine.put(&put, now, |done| done.version).unwrap()
    }

    fn remaining(engine: &Engine, namespace: &str, key: &[u8], now: Now) -> Option<Option<u64>> {
        let found = engine.get(Get { namespace, key }, now, |found| match found {
            GetOutcome::Hit(entry) => Some(entry.remaining_ms()),
            GetOutcome::Miss => None,
        });
        found.unwrap()
    }

    /// A small engine, written.
    fn written(folder: &Path) -> (Engine, u64) {
        let config = Config { shards: 2, history_bytes: 16 << 10, ..Config::default() };
        let engine = Engine::new(config);
        let now = Now::new(10, WALL);
        engine.subscribe(Interest::default(), None);
        engine.create_namespace(NamespaceRecord::new("other"), now).unwrap();
        for key in 0..8u8 {
            put(&engine, if key % 2 == 0 { "default" } else { "other" }, &[key], Ttl::Never, now);
        }
        let last = put(&engine, "default", b"mortal", Ttl::Millis(10_000), now);
        engine.hold();
        let figures = write(&engine, folder, now).unwrap();
        assert_eq!(figures.bytes, fs::metadata(folder.join(FILE)).unwrap().len());
        (engine, last)
    }

    fn config() -> Config {
        Config { shards: 8, hash_seed: 77, incarnation: 5, history_bytes: 16 << 10, ..Config::default() }
    }

    #[test]
    fn what_was_written_is_loaded_once_with_the_time_that_passed_taken_off() {
        for (wall_passed, left) in [(4_000i64, Some(5_999)), (-9_000, Some(9_999)), (10_000, None)] {
            let folder = tempfile::tempdir().unwrap();
            let (before, last) = written(folder.path());
            let now = Now::new(2, WALL.saturating_add_signed(wall_passed));
            let Loaded::Engine(after, figures) = load(folder.path(), config(), now).unwrap() else {
                panic!()
            };
            assert_eq!(figures.entries, 9);
            after.audit().unwrap();
            assert_eq!(after.namespaces(), before.namespaces());
            assert_eq!(after.config().incarnation, before.config().incarnation);
            assert_eq!(remaining(&after, "other", &[3], now), Some(None));
            assert_eq!(remaining(&after, "default", b"mortal", now).map(Option::unwrap), left);
            assert!(put(&after, "default", b"new", Ttl::Never, now) > last, "versions go on above");
            assert!(matches!(load(folder.path(), config(), now).unwrap(), Loaded::None));
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn a_snapshot_with_any_byte_changed_is_refused_as_a_whole_and_kept_aside() {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path());
        let whole = fs::read(folder.path().join(FILE)).unwrap();
        let now = Now::new(0, WALL);
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            assert!(read(&*bytes, config(), now).is_err(), "byte {at} of {} was changed", whole.len());
        }
        fs::write(folder.path().join(FILE), &whole[..whole.len() - 1]).unwrap();
        assert!(matches!(load(folder.path(), config(), now).unwrap(), Loaded::Refused(_)));
        assert!(folder.path().join(REFUSED).exists() && !folder.path().join(FILE).exists());
    }

    #[test]
    fn a_snapshot_cut_off_anywhere_or_with_blocks_left_out_or_swapped_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path());
        let whole = fs::read(folder.path().join(FILE)).unwrap();
        let now = Now::new(0, WALL);
        for length in 0..whole.len() {
            assert!(read(&whole[..length], config(), now).is_err(), "cut at {length} of {}", whole.len());
        }
        assert!(read(&*[&whole[..], &[0]].concat(), config(), now).is_err());
        let mut blocks = vec![];
        let mut at = 10;
        loop {
            let length = u32::from_le_bytes(whole[at..at + 4].try_into().unwrap()) as usize;
            if length == 0 {
                break;
            }
            blocks.push(&whole[at..at + 12 + length]);
            at += 12 + length;
        }
        assert!(blocks.len() >= 3, "{}", blocks.len());
        for left_out in 0..blocks.len() {
            let kept = blocks.iter().enumerate().filter(|(i, _)| *i != left_out).map(|(_, b)| *b);
            let bytes =
                [&whole[..10]].into_iter().chain(kept).chain([&whole[at..]]).collect::<Vec<_>>().concat();
            assert!(read(&*bytes, config(), now).is_err(), "without block {left_out}");
        }
        blocks.swap(1, 2);
        let bytes =
            [&whole[..10]].into_iter().chain(blocks).chain([&whole[at..]]).collect::<Vec<_>>().concat();
        assert!(read(&*bytes, config(), now).is_err());
    }

    #[test]
    fn a_snapshot_of_another_format_or_node_is_refused_with_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path());
        let mut bytes = fs::read(folder.path().join(FILE)).unwrap();
        let now = Now::new(0, WALL);
        let other = Config { node_name: "cache-9".into(), ..config() };
        assert!(read(&*bytes, other, now).err().unwrap().contains("cache-0"));
        bytes[8] = 9;
        assert!(read(&*bytes, config(), now).err().unwrap().contains("format 9"));
    }
}
