//! Circles of files, and the order of files without them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::tree::FileId;

/// The files that each file imports from.
pub(crate) type Graph = BTreeMap<FileId, BTreeSet<FileId>>;

/// Lists the files in groups: those of a circle together, others alone, and
/// each group after those that it imports from.
pub(crate) fn groups(graph: &Graph) -> Vec<Vec<FileId>> {
    let reach: BTreeMap<FileId, BTreeSet<FileId>> = graph
        .keys()
        .map(|&file| (file, reachable(graph, file)))
        .collect();
    let mut files: Vec<FileId> = graph.keys().copied().collect();
    // A file reaches all that those reach which it imports from.
    files.sort_by_key(|file| (reach[file].len(), *file));
    let mut groups: Vec<Vec<FileId>> = Vec::new();
    for file in files {
        let group = groups
            .iter_mut()
            .find(|group| reach[&file].contains(&group[0]) && reach[&group[0]].contains(&file));
        match group {
            Some(group) => group.push(file),
            None => groups.push(vec![file]),
        }
    }
    groups
}

fn reachable(graph: &Graph, from: FileId) -> BTreeSet<FileId> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![from];
    while let Some(file) = waiting.pop() {
        for &next in graph.get(&file).into_iter().flatten() {
            if reached.insert(next) {
                waiting.push(next);
            }
        }
    }
    reached
}

/// Finds a shortest circle among files that form at least one.
pub(crate) fn shortest(graph: &Graph, among: &[FileId]) -> Vec<FileId> {
    let circles = among
        .iter()
        .filter_map(|&file| shortest_through(graph, file));
    circles.min_by_key(Vec::len).unwrap_or_default()
}

fn shortest_through(graph: &Graph, begin: FileId) -> Option<Vec<FileId>> {
    let mut before = BTreeMap::new();
    let mut waiting = VecDeque::from([begin]);
    while let Some(file) = waiting.pop_front() {
        for &next in graph.get(&file).into_iter().flatten() {
            if next == begin {
                let mut circle = vec![file];
                while let Some(&earlier) = before.get(&circle[circle.len() - 1]) {
                    circle.push(earlier);
                }
                circle.reverse();
                return Some(circle);
            }
            before.entry(next).or_insert_with(|| {
                waiting.push_back(next);
                file
            });
        }
    }
    None
}
