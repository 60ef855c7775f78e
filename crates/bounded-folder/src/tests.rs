use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    thread,
    time::{Duration, SystemTime},
};

use outlayer_protocol::Hash32;
use tempfile::TempDir;

use crate::{
    BoundedFolder,
    folder::{PARTIAL, STALE},
};

const BYTES: usize = 10_000;
const CAPACITY: u64 = BYTES as u64;

fn temporary() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn open(dir: &Path) -> BoundedFolder {
    BoundedFolder::open(dir, "kept", CAPACITY).unwrap()
}

fn name(text: &str) -> Hash32 {
    Hash32::of(text.as_bytes())
}

fn put(folder: &BoundedFolder, name: &Hash32, bytes: usize) {
    folder.put(name, &[&vec![1; bytes]]).unwrap();
}

fn get(folder: &BoundedFolder, name: &Hash32) -> Option<Vec<u8>> {
    folder.get(name, CAPACITY, Ok::<_, String>)
}

/// Makes a file look as if it had been used so many seconds ago.
fn age(folder: &BoundedFolder, name: &Hash32, seconds: u64) {
    let file = File::open(folder.path(name)).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
}

fn there<const N: usize>(folder: &BoundedFolder, names: [&Hash32; N]) -> [bool; N] {
    names.map(|name| folder.path(name).exists())
}

fn files(dir: &TempDir) -> BTreeSet<String> {
    fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn what_was_put_is_found_again_by_another_process() {
    let dir = temporary();
    open(dir.path()).put(&name("a"), &[b"content ", b"of a"]).unwrap();
    assert_eq!(get(&open(dir.path()), &name("a")).as_deref(), Some(&b"content of a"[..]));
    assert_eq!(get(&open(dir.path()), &name("b")), None);
    assert_eq!(files(&dir), [format!("{}.kept", name("a"))].into());
}

#[test]
fn a_file_that_does_not_pass_is_removed_and_can_be_replaced() {
    let dir = temporary();
    let folder = open(dir.path());
    let a = name("a");
    put(&folder, &a, 10);
    assert_eq!(folder.get(&a, CAPACITY, |_| Err::<(), _>("not this one")), None);
    assert!(!folder.path(&a).exists());
    fs::write(folder.path(&a), vec![0; BYTES + 1]).unwrap();
    assert_eq!(get(&folder, &a), None, "more than fits");
    assert!(!folder.path(&a).exists());
    put(&folder, &a, 20);
    assert_eq!(folder.get(&a, 20, Ok::<_, String>), Some(vec![1; 20]));
    assert_eq!(folder.get(&a, 19, Ok::<_, String>), None, "more than is asked for");
    assert!(!folder.path(&a).exists());
}

#[test]
fn what_was_used_longest_ago_goes_first() {
    let dir = temporary();
    let folder = open(dir.path());
    let [a, b, c] = ["a", "b", "c"].map(name);
    for (name, seconds) in [(&a, 300), (&b, 200)] {
        put(&folder, name, 4_000);
        age(&folder, name, seconds);
    }
    // Reading a is using it, so b is now the older one.
    assert!(get(&folder, &a).is_some());
    put(&folder, &c, 4_000);
    assert_eq!(there(&folder, [&a, &b, &c]), [true, false, true]);
    // And so is touching it.
    age(&folder, &a, 100);
    age(&folder, &c, 50);
    folder.touch(&a);
    put(&folder, &b, 4_000);
    assert_eq!(there(&folder, [&a, &b, &c]), [true, true, false]);
    put(&folder, &c, BYTES + 1);
    assert!(!folder.path(&c).exists(), "what can never fit makes no room for itself");
    assert!(folder.path(&a).exists() && folder.path(&b).exists());
}

#[test]
fn a_smaller_bound_holds_from_the_start() {
    let dir = temporary();
    let folder = open(dir.path());
    let names = ["a", "b", "c"].map(name);
    for (name, seconds) in names.iter().zip([100, 99, 98]) {
        put(&folder, name, 3_000);
        age(&folder, name, seconds);
    }
    BoundedFolder::open(dir.path(), "kept", 4_000).unwrap();
    assert_eq!(there(&folder, names.each_ref()), [false, false, true]);
}

#[test]
fn what_was_left_half_written_is_swept_once_it_is_old() {
    let dir = temporary();
    let folder = open(dir.path());
    let partial = |text: &str| dir.path().join(format!("{}.0.{PARTIAL}", name(text)));
    for text in ["old", "young"] {
        fs::write(partial(text), "half").unwrap();
    }
    let old = File::open(partial("old")).unwrap();
    old.set_modified(SystemTime::now() - STALE - Duration::from_secs(1)).unwrap();
    fs::write(dir.path().join("notes.txt"), "somebody's").unwrap();
    put(&folder, &name("a"), 7);
    assert!(!partial("old").exists());
    assert!(partial("young").exists());
    assert!(dir.path().join("notes.txt").exists(), "other files are not the folder's");
}

#[test]
fn a_folder_that_is_gone_or_odd_keeps_nothing_and_harms_nobody() {
    let dir = temporary();
    let below = dir.path().join("below");
    let folder = open(&below);
    let a = name("a");
    fs::create_dir(folder.path(&a)).unwrap();
    assert_eq!(get(&folder, &a), None, "a folder under the name");
    folder.put(&a, &[b"content"]).unwrap_err();
    assert_eq!(get(&folder, &a), None);
    fs::remove_dir_all(below).unwrap();
    folder.put(&a, &[b"content"]).unwrap_err();
    folder.touch(&a);
    folder.remove(&a);
    assert_eq!(get(&folder, &a), None);
}

#[test]
fn files_are_their_owners_only() {
    let dir = temporary();
    let folder = open(&dir.path().join("made"));
    put(&folder, &name("a"), 7);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path(&name("a"))), 0o600);
    assert_eq!(mode(folder.dir()), 0o700);
}

#[test]
fn processes_that_race_read_whole_files_only() {
    let dir = &temporary();
    let content = |turn: u8| vec![turn; 2_000 + usize::from(turn)];
    thread::scope(|scope| {
        for thread in 0..4u8 {
            scope.spawn(move || {
                let folder = open(dir.path());
                for turn in 0..40u8 {
                    let name = name(&(turn % 7).to_string());
                    folder.put(&name, &[&content(thread)]).unwrap();
                    if let Some(found) = get(&folder, &name) {
                        assert_eq!(found, content(found[0]));
                    }
                }
            });
        }
    });
    assert!(files(dir).iter().all(|name| !name.ends_with(PARTIAL)));
    let total: u64 =
        fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!(total <= CAPACITY);
}
