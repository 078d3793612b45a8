//! A disk that loses its power. What that may do is taken as badly as POSIX allows: a write is there for certain only after
//! a sync of its file, a name only after a sync of its folder. Of everything else any part may be there and any part not,
//! and a write may be there in part.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use renaksi_ledger::Op;

/// Which of the things that no sync vouches for a power cut leaves. Asked once for each, in the order they were done.
pub trait Luck {
    /// Whether a name's change is there.
    fn keeps_name(&mut self) -> bool;
    /// How many of a write's bytes are there, from its first; of a cut, all or none.
    fn keeps_bytes(&mut self, of: usize) -> usize;
}

/// Nothing that was not synced is there.
#[derive(Debug, Clone, Copy)]
pub struct OnlySynced;

impl Luck for OnlySynced {
    fn keeps_name(&mut self) -> bool {
        false
    }

    fn keeps_bytes(&mut self, _of: usize) -> usize {
        0
    }
}

/// Numbers that are the same in every run (SplitMix64).
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}

impl Luck for Dice {
    fn keeps_name(&mut self) -> bool {
        self.roll(2) == 0
    }

    fn keeps_bytes(&mut self, of: usize) -> usize {
        match self.roll(4) {
            0 => 0,
            1 => self.roll(of as u64 + 1) as usize,
            _ => of,
        }
    }
}

/// A disk as the operations recorded so far made it: what is durable, and what is only on its way.
#[derive(Debug, Clone, Default)]
pub struct CrashDisk {
    files: Vec<FileModel>,
    /// Names as programs see them.
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    pending_names: Vec<NameChange>,
    /// Folders in the order they were made, and whether each is durable in the one above it.
    dirs: Vec<(PathBuf, bool)>,
}

#[derive(Debug, Clone, Default)]
struct FileModel {
    durable: Vec<u8>,
    pending: Vec<DataChange>,
}

#[derive(Debug, Clone)]
enum DataChange {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

#[derive(Debug, Clone)]
enum NameChange {
    Set(PathBuf, usize),
    Move(PathBuf, PathBuf, usize),
    Unset(PathBuf),
}

impl NameChange {
    fn folder(&self) -> Option<&Path> {
        match self {
            NameChange::Set(path, _) | NameChange::Move(_, path, _) | NameChange::Unset(path) => {
                path.parent()
            }
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            NameChange::Set(path, file) => {
                names.insert(path.clone(), *file);
            }
            NameChange::Move(from, to, file) => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
            NameChange::Unset(path) => {
                names.remove(path);
            }
        }
    }
}

fn apply_data(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let (from, to) = (offset as usize, offset as usize + bytes.len());
    if content.len() < to {
        content.resize(to, 0);
    }
    content[from..to].copy_from_slice(bytes);
}

impl CrashDisk {
    /// Does one more operation. Panics where a file is named that no operation made: then the recording is not whole.
    pub fn step(&mut self, op: &Op) {
        match op {
            Op::Create(path) => match self.names.get(path) {
                Some(file) => self.files[*file].pending.push(DataChange::Truncate(0)),
                None => {
                    self.files.push(FileModel::default());
                    self.change_name(NameChange::Set(path.clone(), self.files.len() - 1));
                }
            },
            Op::Write { path, offset, bytes } => {
                let change = DataChange::Write(*offset, bytes.clone());
                self.file(path).pending.push(change);
            }
            Op::Truncate { path, bytes } => self.file(path).pending.push(DataChange::Truncate(*bytes)),
            Op::Sync(path) => {
                let file = self.file(path);
                let pending = std::mem::take(&mut file.pending);
                pending.iter().for_each(|change| change.apply(&mut file.durable, usize::MAX));
            }
            Op::Rename { from, to } => {
                let file = self.names[from];
                self.change_name(NameChange::Move(from.clone(), to.clone(), file));
            }
            Op::Remove(path) => self.change_name(NameChange::Unset(path.clone())),
            Op::CreateDir(path) => self.dirs.push((path.clone(), false)),
            Op::SyncDir(dir) => {
                let (now, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.pending_names)
                    .into_iter()
                    .partition(|change| change.folder() == Some(dir));
                now.iter().for_each(|change| change.apply(&mut self.durable_names));
                self.pending_names = later;
                let inside = self.dirs.iter_mut().filter(|(made, _)| made.parent() == Some(dir));
                inside.for_each(|(_, durable)| *durable = true);
            }
        }
    }

    /// The disk that a folder is, all of it durable.
    pub fn of(dir: &Path) -> CrashDisk {
        let mut disk = CrashDisk::default();
        let mut dirs = vec![dir.to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(&dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    dirs.push(path);
                } else {
                    disk.names.insert(path.clone(), disk.files.len());
                    disk.files.push(FileModel { durable: fs::read(path).unwrap(), pending: Vec::new() });
                }
            }
            disk.dirs.push((dir, true));
        }
        disk.durable_names = disk.names.clone();
        disk
    }

    /// Nothing is on its way: a power cut can leave only one thing.
    pub fn is_settled(&self) -> bool {
        self.pending_names.is_empty()
            && self.dirs.iter().all(|(_, durable)| *durable)
            && self.files.iter().all(|file| file.pending.is_empty())
    }

    /// Writes what a power cut leaves below `to`, paths taken relative to `root`.
    pub fn after_power_cut(&self, luck: &mut impl Luck, root: &Path, to: &Path) {
        let mut names = self.durable_names.clone();
        self.pending_names.iter().filter(|_| luck.keeps_name()).for_each(|change| change.apply(&mut names));
        let place = |path: &Path| to.join(path.strip_prefix(root).unwrap());
        let mut lost: Vec<&Path> = Vec::new();
        for (dir, durable) in &self.dirs {
            let kept = *durable || luck.keeps_name();
            match kept && !lost.iter().any(|lost| dir.starts_with(lost)) {
                true => fs::create_dir_all(place(dir)).unwrap(),
                false => lost.push(dir),
            }
        }
        for (path, file) in &names {
            if lost.iter().any(|lost| path.starts_with(lost)) {
                continue;
            }
            let FileModel { durable, pending } = &self.files[*file];
            let mut content = durable.clone();
            for change in pending {
                let keeps = luck.keeps_bytes(change.len());
                change.apply(&mut content, keeps);
            }
            fs::write(place(path), content).unwrap();
        }
    }

    fn file(&mut self, path: &Path) -> &mut FileModel {
        let file = *self.names.get(path).unwrap_or_else(|| panic!("BUG: nothing made {}", path.display()));
        &mut self.files[file]
    }

    fn change_name(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending_names.push(change);
    }
}

impl DataChange {
    fn len(&self) -> usize {
        match self {
            DataChange::Write(_, bytes) => bytes.len(),
            DataChange::Truncate(_) => 1,
        }
    }

    fn apply(&self, content: &mut Vec<u8>, keep: usize) {
        match self {
            DataChange::Write(offset, bytes) if keep > 0 => {
                apply_data(content, *offset, &bytes[..keep.min(bytes.len())]);
            }
            DataChange::Truncate(bytes) if keep > 0 => content.resize(*bytes as usize, 0),
            DataChange::Write(..) | DataChange::Truncate(_) => {}
        }
    }
}

/// Memory where there is some for files: what a power cut does is played, so a real disk's syncs would only be slow.
pub fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// Empties a folder.
pub fn clear(dir: &Path) {
    fs::remove_dir_all(dir).unwrap();
    fs::create_dir(dir).unwrap();
}
