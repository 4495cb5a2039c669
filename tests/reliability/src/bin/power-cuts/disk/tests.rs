use std::collections::BTreeSet;

use fastrand::Rng;

use super::Disk;
use crate::log::{Event, Synced};

const INODE: u64 = 7;

fn create(name: &str) -> Event {
    Event::Create {
        inode: INODE,
        name: name.to_owned(),
    }
}

fn write(at: usize, byte: u8, bytes: usize) -> Event {
    Event::Write {
        inode: INODE,
        at,
        data: vec![byte; bytes],
    }
}

fn sync(of: Synced, number: u64) -> [Event; 2] {
    [
        Event::SyncBegin { of, number },
        Event::SyncEnd { of, number },
    ]
}

fn disk(events: impl IntoIterator<Item = Event>) -> Disk {
    let mut disk = Disk::default();
    for event in events {
        disk.apply(&event).unwrap();
    }
    disk
}

/// Returns what 500 power cuts leave of the file `a`.
fn cuts(disk: &Disk) -> BTreeSet<Option<Vec<u8>>> {
    let cut = |seed| disk.cut(&mut Rng::with_seed(seed)).files.remove("a");
    (0..500).map(cut).collect()
}

#[test]
fn what_is_synced_is_left() {
    let mut events = vec![create("a"), write(0, 1, 5000)];
    events.extend(sync(Synced::File(INODE), 1));
    events.extend(sync(Synced::Folder, 2));
    assert_eq!(cuts(&disk(events)), BTreeSet::from([Some(vec![1; 5000])]));
}

#[test]
fn a_name_is_left_once_the_folder_is_synced() {
    let mut events = vec![create("a"), write(0, 1, 5000)];
    events.extend(sync(Synced::File(INODE), 1));
    let expected = BTreeSet::from([None, Some(vec![1; 5000])]);
    assert_eq!(cuts(&disk(events)), expected);
}

#[test]
fn a_write_after_the_begin_of_a_sync_may_be_lost() {
    let of = Synced::File(INODE);
    let begin = [
        create("a"),
        write(0, 1, 10),
        Event::SyncBegin { of, number: 1 },
    ];
    let end = [write(0, 2, 10), Event::SyncEnd { of, number: 1 }];
    let events = begin.into_iter().chain(end).chain(sync(Synced::Folder, 2));
    let expected = BTreeSet::from([Some(vec![1; 10]), Some(vec![2; 10])]);
    assert_eq!(cuts(&disk(events)), expected);
}

#[test]
fn sectors_and_the_length_are_lost_each_on_their_own() {
    let mut events = vec![create("a"), write(0, 1, 1024)];
    events.extend(sync(Synced::File(INODE), 1));
    events.extend(sync(Synced::Folder, 2));
    events.push(write(0, 2, 1536));
    let disk = disk(events);
    let left = cuts(&disk);
    for (first, second) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
        for third in [None, Some(0), Some(2)] {
            let mut expected = [[first; 512], [second; 512]].concat();
            expected.extend(third.map(|third| [third; 512]).into_iter().flatten());
            assert!(left.contains(&Some(expected)), "{first} {second} {third:?}");
        }
    }
    assert_eq!(left.len(), 12);
    let torn = |seed| disk.cut(&mut Rng::with_seed(seed)).torn;
    assert_eq!(
        (0..500).map(torn).collect::<BTreeSet<_>>(),
        BTreeSet::from([0, 1])
    );
}

#[test]
fn a_file_that_takes_the_inode_of_another_is_another() {
    let mut events = vec![create("a"), write(0, 1, 10)];
    events.extend(sync(Synced::File(INODE), 1));
    events.extend(sync(Synced::Folder, 2));
    events.push(Event::Unlink {
        name: "a".to_owned(),
    });
    events.extend([create("b"), write(0, 2, 10)]);
    let disk = disk(events);
    assert_eq!(
        disk.current().into_iter().collect::<Vec<_>>(),
        [("b".to_owned(), vec![2; 10])]
    );
    assert_eq!(cuts(&disk), BTreeSet::from([None, Some(vec![1; 10])]));
}
