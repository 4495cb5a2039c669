//! Small crates in which each way to hide an import is found.
//!
//! Each has the rows `door`, `room` and `yard`, and `floor`, unless it says otherwise.

use architecture::{Sources, check};

const ROWS: &str = "=== src/lib.rs\nmod door;\n\nmod room;\nmod yard;\n\nmod floor;\n\n\
                    pub use door::Door;\npub use floor::Floor;\n";
const DOOR: &str = "=== src/door.rs\npub struct Door;\n";
const FLOOR: &str = "=== src/floor.rs\npub struct Floor;\n";
const YARD: &str = "=== src/yard.rs\npub struct Yard;\n";

fn violations(files: &[&str]) -> Vec<String> {
    let reports = check(&Sources::from_text(&files.concat()));
    reports
        .into_iter()
        .flat_map(|report| report.violations)
        .collect()
}

/// Checks a crate whose `room` has the given text.
fn in_room(text: &str) -> Vec<String> {
    violations(&[ROWS, DOOR, YARD, FLOOR, "=== src/room.rs\n", text])
}

/// Asserts that exactly one violation is found, at a place and with a text.
#[track_caller]
fn assert_one(violations: &[String], place: &str, text: &str) {
    let [violation] = violations else {
        panic!("{violations:#?}");
    };
    assert!(violation.starts_with(place), "{violation}");
    assert!(violation.contains(text), "{violation}");
}

const UP: &str = "leads to `crate::door::Door` in row 1 (door), and this file is in row 2 (room, \
                  yard)";

#[test]
fn downward_imports_are_clean() {
    let room = "use crate::floor::Floor;\nuse crate::{floor, yard::Yard};\nuse std::fmt;\n\
                pub(crate) mod wall;\npub(crate) use self::wall::Wall;\n\
                fn f(_: &floor::Floor, _: crate::floor::Floor) -> Yard { todo!() }\n\
                === src/room/wall.rs\nuse super::super::floor::*;\npub struct Wall;\n";
    let door = "=== src/door.rs\nuse crate::room::Wall;\npub struct Door(Wall);\n";
    assert_eq!(
        violations(&[ROWS, door, YARD, FLOOR, "=== src/room.rs\n", room]),
        Vec::<String>::new()
    );
}

#[test]
fn upward_use() {
    assert_one(
        &in_room("\nuse crate::door::Door;\n"),
        "src/room.rs:2: `crate::door::Door`",
        UP,
    );
}

#[test]
fn upward_use_in_a_group() {
    let room = "use crate::{\n    floor::Floor,\n    door::{self, Door},\n};\n";
    let found = in_room(room);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(
        found
            .iter()
            .all(|text| text.starts_with("src/room.rs:3: `crate::door"))
    );
}

#[test]
fn upward_inline_paths() {
    for code in [
        "fn f() { crate::door::Door; }",
        "fn f() { crate::door::Door::new(1); }",
        "fn f(_: crate::door::Door) {}",
        "type T = Vec<Option<crate::door::Door>>;",
        "struct S { door: crate::door::Door }",
        "fn f<T>() where T: From<crate::door::Door> {}",
        "impl Drop for crate::door::Door { fn drop(&mut self) {} }",
        "fn f() { if let crate::door::Door { .. } = x {} }",
        "fn f() { match x { crate::door::Door => {} _ => {} } }",
        "fn f() { <crate::door::Door as Default>::default(); }",
        "fn f() { use crate::door::Door; }",
        "const X: usize = size_of::<crate::door::Door>();",
    ] {
        assert_one(&in_room(code), "src/room.rs:1: `crate::door::Door", UP);
    }
}

#[test]
fn upward_through_super() {
    assert_one(
        &in_room("use super::door::Door;"),
        "src/room.rs:1: `super::door::Door`",
        UP,
    );
    assert_one(
        &in_room("fn f(_: self::super::door::Door) {}"),
        "src/room.rs:1",
        UP,
    );
    let wall = "mod wall;\n=== src/room/wall.rs\nuse super::super::door::Door;\n";
    assert_one(
        &in_room(wall),
        "src/room/wall.rs:1: `super::super::door::Door`",
        UP,
    );
}

#[test]
fn upward_through_an_imported_module() {
    let found = in_room("use crate::door;\n\nfn f(_: door::Door) {}\n");
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(
        found[0].starts_with("src/room.rs:1: `crate::door` goes up"),
        "{found:#?}"
    );
    assert!(
        found[1].starts_with("src/room.rs:3: `door::Door` goes up"),
        "{found:#?}"
    );
}

#[test]
fn upward_by_another_name() {
    assert_one(
        &in_room("use crate::door::Door as Gate;"),
        "src/room.rs:1",
        UP,
    );
    let found = in_room("use crate as house;\nuse house::door::Door;\n");
    assert!(found.iter().any(|text| text.contains(UP)), "{found:#?}");
    let alias = "=== src/lib.rs\nextern crate self as house;\n\nmod door;\n\nmod room;\n";
    let room = "=== src/room.rs\nuse crate::house::door::Door;\n";
    let found = violations(&[alias, DOOR, room]);
    assert!(
        found.iter().any(|text| text.contains("goes up")),
        "{found:#?}"
    );
}

#[test]
fn upward_by_a_glob() {
    let found = in_room("use crate::door::*;");
    assert!(
        found
            .iter()
            .any(|text| text.contains("`crate::door` goes up")),
        "{found:#?}"
    );
}

#[test]
fn exported_macros_name_what_the_root_passes_on() {
    let code = |path| format!("#[macro_export]\nmacro_rules! make {{ () => {{ {path} }} }}\n");
    assert_eq!(in_room(&code("$crate::Floor")), Vec::<String>::new());
    assert_one(&in_room(&code("$crate::Door")), "src/room.rs:2", UP);
    assert_one(
        &in_room(&code("crate::Floor")),
        "src/room.rs:2",
        "the root of the crate",
    );
    assert_one(
        &in_room("macro_rules! make { () => { $crate::Floor } }"),
        "src/room.rs:1",
        "the root of the crate",
    );
}

#[test]
fn upward_in_macros() {
    for code in [
        "fn f() { println!(\"{}\", crate::door::Door); }",
        "pin_project! { struct S { #[pin] door: crate::door::Door } }",
        "macro_rules! make { () => { $crate::door::Door } }",
        "fn f() { select! { x = y => { super::door::Door } } }",
        "cfg_if! { if #[cfg(x)] { use crate::{door::{Door}}; } }",
        "#[derive(Serialize)]\n#[serde(with = \"crate::door::Door\")] struct S;",
        "#[instrument(err = crate::door::Door)] fn f() {}",
    ] {
        let found = in_room(code);
        assert!(
            found.iter().any(|text| text.contains(UP)),
            "{code}: {found:#?}"
        );
    }
}

#[test]
fn upward_to_a_macro() {
    let door = "=== src/door.rs\n#[macro_export]\nmacro_rules! open { () => {} }\n";
    for code in [
        "fn f() { open!(); }",
        "fn f() { crate::open!(); }",
        "use crate::open;",
    ] {
        let room = format!("=== src/room.rs\n{code}\n");
        let found = violations(&[ROWS, door, YARD, FLOOR, &room]);
        assert_one(&found, "src/room.rs:1", "`crate::door::open` in row 1");
    }
}

#[test]
fn upward_to_the_root() {
    let rows = "=== src/lib.rs\nmod room;\n\nfn open() {}\n";
    for code in ["use crate::open;", "fn f() { super::open() }"] {
        let room = format!("=== src/room.rs\n{code}\n");
        let found = violations(&[rows, &room]);
        assert_one(
            &found,
            "src/room.rs:1",
            "`crate::open` in the root of the crate",
        );
    }
}

#[test]
fn names_are_not_imported_from_the_root() {
    assert_one(
        &in_room("use crate::Floor;"),
        "src/room.rs:1: `crate::Floor` is imported from the root",
        "Import `crate::floor::Floor`.",
    );
    let found = in_room("use super::Door;");
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[1].contains("is imported from the root"), "{found:#?}");
    assert!(found[0].contains(UP), "{found:#?}");

    let rows = "=== src/lib.rs\nmod room;\n\npub use http as words;\n";
    let found = violations(&[rows, "=== src/room.rs\nuse crate::words::Uri;\n"]);
    assert_one(&found, "src/room.rs:1", "imports it from another crate");
}

#[test]
fn names_are_imported_from_their_owner() {
    let yard = "=== src/yard.rs\npub(crate) use crate::floor::Floor;\n";
    let room = "=== src/room.rs\nuse crate::yard::Floor;\n";
    assert_one(
        &violations(&[ROWS, DOOR, yard, FLOOR, room]),
        "src/room.rs:1: `crate::yard::Floor` is imported from `crate::yard`",
        "Import `crate::floor::Floor`.",
    );
}

#[test]
fn upward_through_a_parents_import() {
    let wall = "use crate::door::Door;\nmod wall;\n=== src/room/wall.rs\nuse super::Door;\n";
    let found = in_room(wall);
    assert!(
        found
            .iter()
            .any(|text| text.starts_with("src/room/wall.rs:1") && text.contains(UP)),
        "{found:#?}"
    );
}

#[test]
fn upward_through_a_chain_of_forwards() {
    let yard = "=== src/yard.rs\npub(super) use crate::floor::Gate as Entry;\n";
    let floor = "=== src/floor.rs\npub struct Floor;\npub(crate) use super::door::Door as Gate;\n";
    let room = "=== src/room.rs\nuse crate::yard::Entry;\n";
    let found = violations(&[ROWS, DOOR, yard, floor, room]);
    assert!(
        found
            .iter()
            .any(|text| text.starts_with("src/room.rs:1") && text.contains(UP)),
        "{found:#?}"
    );
}

#[test]
fn upward_from_modules_in_other_files() {
    for wall in [
        "#[path = \"../src/wall.rs\"]\nmod wall;\n=== src/wall.rs\n",
        "#[cfg_attr(unix, path = \"wall.rs\")]\nmod wall;\n=== src/wall.rs\n",
        "#[cfg_attr(unix, path = \"x.rs\")]\nmod wall;\n=== src/x.rs\n=== src/room/wall.rs\n",
        "mod inner { mod wall; }\n=== src/room/inner/wall.rs\n",
        "#[cfg(feature = \"x\")]\nmod wall;\n=== src/room/wall.rs\n",
        "#[cfg(any(test, feature = \"x\"))]\nmod wall;\n=== src/room/wall/mod.rs\n",
        "mod wall { fn f() {",
    ] {
        let end = if wall.ends_with('{') { "} }" } else { "" };
        let found = in_room(&format!("{wall}\nuse crate::door::Door;{end}\n"));
        assert_eq!(found.len(), 1, "{wall}: {found:#?}");
        assert!(found[0].contains(UP), "{wall}: {found:#?}");
    }
}

#[test]
fn modules_within_the_root_have_rows() {
    let rows =
        "=== src/lib.rs\nmod door { pub struct Door; }\n\nmod room { use crate::door::Door; }\n";
    assert_one(&violations(&[rows]), "src/lib.rs (mod room):3", "goes up");
}

#[test]
fn binaries_are_read() {
    let root = "=== src/main.rs\nmod door;\n\nmod room;\n\nfn main() { room::run() }\n";
    let room = "=== src/room.rs\nuse crate::door::Door;\n";
    assert_one(&violations(&[root, DOOR, room]), "src/room.rs:1", "goes up");
}

#[test]
fn rows_end_at_blank_lines() {
    let rows = "=== src/lib.rs\nmod door;\n#[cfg(unix)]\n#[doc(hidden)]\nmod room;\n// Of stone.\n\
                mod yard;\n";
    let room = "=== src/room.rs\nuse crate::door::Door;\n";
    assert_eq!(violations(&[rows, DOOR, YARD, room]), Vec::<String>::new());
    let yard = "=== src/yard.rs\nuse crate::door::Door;\n";
    let rows = rows.replace("// Of stone.", "\n// Of stone.");
    assert_one(
        &violations(&[&rows, DOOR, yard, room]),
        "src/yard.rs:1",
        "row 1 (door, room)",
    );
}

#[test]
fn circle_of_two_files() {
    let yard = "=== src/yard.rs\nuse crate::room::Room;\npub struct Yard;\n";
    let room = "=== src/room.rs\npub struct Room;\nuse crate::yard::Yard;\n";
    let found = violations(&[ROWS, DOOR, yard, FLOOR, room]);
    assert_one(
        &found,
        "2 files import from each other in a circle:\n",
        "\n    src/room.rs:2: `crate::yard::Yard` leads to src/yard.rs\n",
    );
    assert!(found[0].contains("src/yard.rs:1: `crate::room::Room` leads to src/room.rs"));
}

#[test]
fn circle_of_three_files() {
    let rows = "=== src/lib.rs\nmod door;\nmod floor;\nmod room;\n";
    let door = "=== src/door.rs\npub struct Door(crate::room::Room);\n";
    let room = "=== src/room.rs\npub struct Room;\nfn f() { super::floor::f() }\n";
    let floor = "=== src/floor.rs\npub fn f(_: &crate::door::Door) {}\n";
    let found = violations(&[rows, door, room, floor]);
    assert_one(
        &found,
        "3 files import from each other in a circle:\n",
        "src/floor.rs:1",
    );
}

#[test]
fn circle_hidden_by_a_forward_at_the_root() {
    let rows = "=== src/lib.rs\nmod door;\nmod room;\n\npub use self::{door::Door, room::Room};\n";
    let door = "=== src/door.rs\nuse crate::Room;\npub struct Door;\n";
    let room = "=== src/room.rs\nuse crate::Door;\npub struct Room;\n";
    let found = violations(&[rows, door, room]);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(
        found[2].starts_with("2 files import from each other in a circle"),
        "{found:#?}"
    );
}

#[test]
fn circle_hidden_by_a_forward_of_a_folder() {
    let room = "mod wall;\nmod window;\npub(crate) use self::{wall::Wall, window::Window};\n\
                === src/room/wall.rs\nuse super::Window;\npub struct Wall;\n\
                === src/room/window.rs\nuse super::Wall;\npub struct Window;\n";
    assert_one(
        &in_room(room),
        "2 files import from each other",
        "src/room/window.rs:1",
    );
}

#[test]
fn circle_hidden_by_a_glob() {
    let room = "pub struct Room;\nmod wall;\nfn f(_: wall::Wall) {}\n\
                === src/room/wall.rs\nuse super::*;\npub struct Wall;\n";
    assert_one(
        &in_room(room),
        "2 files import from each other",
        "src/room/wall.rs:1",
    );
    let room = "mod wall;\npub(crate) use wall::*;\nfn f(_: Wall) {}\npub struct Room;\n\
                === src/room/wall.rs\nuse super::Room;\npub struct Wall;\n";
    assert_one(
        &in_room(room),
        "2 files import from each other",
        "src/room.rs:3: `Wall`",
    );
}

#[test]
fn circle_of_a_parent_and_its_child() {
    let room = "mod wall;\nuse self::wall::Wall;\npub struct Size;\n\
                === src/room/wall.rs\nuse super::Size;\npub struct Wall;\n";
    assert_one(
        &in_room(room),
        "2 files import from each other",
        "src/room/wall.rs:1",
    );
    let forwarded_and_used = "mod wall;\npub use self::wall::Wall;\npub struct Size(Wall);\n\
                              === src/room/wall.rs\nuse super::Size;\npub struct Wall;\n";
    assert_one(
        &in_room(forwarded_and_used),
        "2 files import from each other",
        "src/room.rs:3",
    );
}

#[test]
fn parents_that_only_forward_are_in_no_circle() {
    let room = "mod size;\nmod wall;\npub(crate) use self::{size::Size, wall::Wall};\n\
                === src/room/wall.rs\nuse super::Size;\npub struct Wall;\n\
                === src/room/size.rs\npub struct Size;\n";
    assert_eq!(in_room(room), Vec::<String>::new());
    let items_for_children = "mod wall;\npub(crate) use self::wall::Wall;\npub struct Size;\n\
                              === src/room/wall.rs\nuse super::Size;\npub struct Wall;\n";
    assert_eq!(in_room(items_for_children), Vec::<String>::new());
}

#[test]
fn tests_may_import_anything() {
    let room = "#[cfg(test)]\nmod tests;\n#[cfg(all(test, unix))]\nmod more { use crate::Door; }\n\
                #[test]\nfn f() { crate::door::Door; }\n\
                impl X { #[cfg(test)] fn f(_: crate::door::Door) {} }\n\
                === src/room/tests.rs\nuse crate::door::Door;\n";
    assert_eq!(in_room(room), Vec::<String>::new());
}

#[test]
fn variables_hide_functions_and_constants_do_not() {
    let wall =
        "=== src/room/wall.rs\nuse super::Size;\npub fn wall() {}\npub const WALL: u8 = 1;\n";
    let room = "mod wall;\npub use self::wall::{WALL, wall};\npub struct Size;\n";
    let hidden = "fn f(wall: u8) { f(wall); println!(\"{}\", wall) }\n";
    assert_eq!(
        in_room(&[room, hidden, wall].concat()),
        Vec::<String>::new()
    );
    for code in ["fn f() { wall() }", "fn f() { match x { WALL => {} } }"] {
        let found = in_room(&[room, code, "\n", wall].concat());
        assert_one(&found, "2 files import from each other", "src/room.rs:4");
    }
}

#[test]
fn functions_and_modules_of_one_name_are_told_apart() {
    let rows = "=== src/lib.rs\nmod room;\n\nmod floor;\n\npub use floor::floor;\n";
    let floor = "=== src/floor.rs\npub fn floor() {}\npub fn f() {}\n";
    let room = "=== src/room.rs\nuse crate::floor::{self, floor as g};\nfn f() { floor::f() }\n";
    assert_eq!(violations(&[rows, floor, room]), Vec::<String>::new());
    let room = "=== src/room.rs\nfn f() { crate::floor() }\n";
    assert_one(
        &violations(&[rows, floor, room]),
        "src/room.rs:1",
        "from the root of the crate",
    );
}

#[test]
fn files_that_cannot_be_read_are_reported() {
    assert_one(
        &in_room("mod wall;"),
        "src/room/wall.rs: the file is missing",
        "",
    );
    assert_one(&in_room("fn {"), "src/room.rs:1: ", "");
    for code in [
        "include!(\"x.in\");",
        "cfg_if! { if #[cfg(x)] { mod wall; } }",
    ] {
        assert_one(&in_room(code), "src/room.rs: ", "is not read by this check");
    }
}

#[test]
fn files_are_listed_above_those_that_they_import_from() {
    let room = "=== src/room.rs\nuse crate::floor::Floor;\n";
    let door = "=== src/door.rs\nuse crate::room::f;\n";
    let files = [ROWS, door, YARD, FLOOR, room].concat();
    let [report] = &check(&Sources::from_text(&files))[..] else {
        panic!("one root");
    };
    let at = |file: &str| report.order.iter().position(|line| line.ends_with(file));
    assert!(at("src/lib.rs") < at("src/door.rs"), "{:?}", report.order);
    assert!(
        at("1 src/door.rs") < at("2 src/room.rs"),
        "{:?}",
        report.order
    );
    assert!(
        at("2 src/room.rs") < at("3 src/floor.rs"),
        "{:?}",
        report.order
    );
    assert!(
        report
            .edges
            .contains(&"src/room.rs:1: src/floor.rs by `crate::floor::Floor`".into())
    );
}
