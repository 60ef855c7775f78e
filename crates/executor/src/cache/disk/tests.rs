use std::{collections::BTreeSet, os::unix::fs::PermissionsExt as _, thread};

use tempfile::TempDir;

use super::*;

const BYTES: usize = 10_000;
const CAPACITY: u64 = BYTES as u64;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn open(dir: &TempDir) -> Disk {
    Disk::open(dir.path(), CAPACITY).unwrap()
}

fn name(text: &str) -> Hash32 {
    Hash32::of(text.as_bytes())
}

/// Makes a file look as if it had been used so many seconds ago.
fn age(disk: &Disk, name: &Hash32, seconds: u64) {
    let file = File::open(disk.path(name)).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
}

fn names(dir: &TempDir) -> BTreeSet<String> {
    fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn what_was_kept_is_found_again_by_another_process() {
    let dir = folder();
    let content = vec![3; 1_000];
    open(&dir).put(&name("a"), &content);
    assert_eq!(open(&dir).bytes(&name("a")), Some(content));
    assert_eq!(open(&dir).bytes(&name("b")), None);
    let expected = ["key".to_owned(), format!("{}.compiled", name("a"))];
    assert_eq!(names(&dir), expected.into(), "nothing but the key and a hash");
}

#[test]
fn a_file_that_is_not_as_it_was_written_is_removed_and_can_be_replaced() {
    let dir = folder();
    let disk = open(&dir);
    let (a, b) = (name("a"), name("b"));
    disk.put(&a, b"content of a");
    let whole = fs::read(disk.path(&a)).unwrap();
    let refuse = |file: &[u8], what: &str| {
        fs::write(disk.path(&a), file).unwrap();
        assert_eq!(disk.bytes(&a), None, "{what}");
        assert!(!disk.path(&a).exists(), "{what}");
    };
    for at in 0..whole.len() {
        let mut tampered = whole.clone();
        tampered[at] ^= 0x10;
        refuse(&tampered, &format!("byte {at}"));
        refuse(&whole[..at], &format!("cut to {at}"));
    }
    refuse(&vec![0; BYTES * 2], "more than fits");
    disk.put(&b, b"content of b");
    refuse(&fs::read(disk.path(&b)).unwrap(), "another's file under this name");
    let other = folder();
    open(&other).put(&a, b"content of a");
    refuse(&fs::read(open(&other).path(&a)).unwrap(), "another folder's file");
    disk.put(&a, b"new content");
    assert_eq!(disk.bytes(&a).as_deref(), Some(&b"new content"[..]));
    assert_eq!(disk.bytes(&b).as_deref(), Some(&b"content of b"[..]));
}

#[test]
fn what_was_used_longest_ago_goes_first() {
    let dir = folder();
    let disk = open(&dir);
    let [a, b, c] = ["a", "b", "c"].map(name);
    for (name, seconds) in [(&a, 300), (&b, 200)] {
        disk.put(name, &[1; 4_000]);
        age(&disk, name, seconds);
    }
    // Reading a is using it, so b is now the older one.
    assert!(disk.bytes(&a).is_some());
    disk.put(&c, &[1; 4_000]);
    assert_eq!([&a, &b, &c].map(|name| disk.path(name).exists()), [true, false, true]);
    // And so is touching it.
    age(&disk, &a, 100);
    age(&disk, &c, 50);
    disk.touch(&a);
    disk.put(&b, &[1; 4_000]);
    assert_eq!([&a, &b, &c].map(|name| disk.path(name).exists()), [true, true, false]);
    disk.put(&c, &vec![1; BYTES]);
    assert!(!disk.path(&c).exists(), "what can never fit makes no room for itself");
    assert!(disk.path(&a).exists() && disk.path(&b).exists());
}

#[test]
fn a_smaller_bound_holds_from_the_start() {
    let dir = folder();
    let disk = open(&dir);
    for (index, text) in ["a", "b", "c"].iter().enumerate() {
        disk.put(&name(text), &[1; 3_000]);
        age(&disk, &name(text), 100 - index as u64);
    }
    Disk::open(dir.path(), 4_000).unwrap();
    assert_eq!(["a", "b", "c"].map(|text| disk.path(&name(text)).exists()), [false, false, true]);
}

#[test]
fn what_was_left_half_written_is_swept_once_it_is_old() {
    let dir = folder();
    let disk = open(&dir);
    let partial = |text: &str| dir.path().join(format!("{}.0.{PARTIAL}", name(text)));
    for text in ["old", "young"] {
        fs::write(partial(text), "half").unwrap();
    }
    let old = File::open(partial("old")).unwrap();
    old.set_modified(SystemTime::now() - STALE - Duration::from_secs(1)).unwrap();
    fs::write(dir.path().join("notes.txt"), "somebody's").unwrap();
    disk.put(&name("a"), b"content");
    assert!(!partial("old").exists());
    assert!(partial("young").exists());
    assert!(dir.path().join("notes.txt").exists(), "other files are not the cache's");
}

#[test]
fn a_folder_that_is_gone_or_odd_keeps_nothing_and_harms_nobody() {
    let dir = folder();
    let disk = Disk::open(&dir.path().join("below"), CAPACITY).unwrap();
    let a = name("a");
    fs::create_dir(disk.path(&a)).unwrap();
    assert_eq!(disk.bytes(&a), None, "a folder under the name");
    disk.put(&a, b"content");
    assert_eq!(disk.bytes(&a), None);
    fs::remove_dir_all(dir.path().join("below")).unwrap();
    disk.put(&a, b"content");
    disk.touch(&a);
    disk.discard(&a);
    assert_eq!(disk.bytes(&a), None);
}

#[test]
fn files_are_their_owners_only() {
    let dir = folder();
    let disk = open(&dir);
    disk.put(&name("a"), b"content");
    let mode = fs::metadata(disk.path(&name("a"))).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn processes_that_race_read_whole_files_only() {
    let dir = &folder();
    let content = |turn: u8| vec![turn; 2_000 + usize::from(turn)];
    thread::scope(|scope| {
        for thread in 0..4u8 {
            scope.spawn(move || {
                let disk = open(dir);
                for turn in 0..40u8 {
                    let name = name(&(turn % 7).to_string());
                    disk.put(&name, &content(thread));
                    if let Some(found) = disk.bytes(&name) {
                        assert_eq!(found, content(found[0]));
                    }
                }
            });
        }
    });
    assert!(names(dir).iter().all(|name| !name.ends_with(PARTIAL)));
    let total: u64 =
        fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!(total <= CAPACITY + 32);
}
