//! Keys as operators write them.

use tower_async_job_core::{EncryptionKeys, InvalidEncryptionKeys, Seal};

use super::{GOLDEN, PLAIN, context, keys};

/// The key of the golden file.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn parse(list: &str) -> Result<EncryptionKeys, InvalidEncryptionKeys> {
    list.parse()
}

#[test]
fn list_of_keys_is_parsed() {
    let unpadded = KEY.trim_end_matches('=');
    for list in [
        format!("2026:{KEY}"),
        format!("2026:{unpadded}\n"),
        format!("new:{}, 2026:{KEY}", "A".repeat(43)),
        format!("\tnew.x-Y_1:{}\r\n2026:{KEY},\n", "A".repeat(43)),
    ] {
        let keys = parse(&list).unwrap();
        assert_eq!(keys.open(&context(), GOLDEN).unwrap(), PLAIN, "{list}");
    }
    let list = format!("new:{},2026:{KEY}", "A".repeat(43));
    let sealed = parse(&list).unwrap().seal(&context(), PLAIN).unwrap();
    assert!(
        keys()
            .open(&context(), &sealed)
            .unwrap_err()
            .is_unknown_key()
    );
}

#[test]
fn malformed_keys_are_refused_without_being_shown() {
    let long = "x".repeat(33);
    let many: String = (0..65).map(|n| format!("{n}:{KEY},")).collect();
    for (list, problem) in [
        (
            String::new(),
            "key 1 is missing, or not of the form `ID:KEY`",
        ),
        (
            KEY.to_owned(),
            "key 1 is missing, or not of the form `ID:KEY`",
        ),
        (format!(":{KEY}"), "key 1 has an id that is not"),
        (format!("{long}:{KEY}"), "key 1 has an id that is not"),
        (format!("ä:{KEY}"), "key 1 has an id that is not"),
        (
            format!("a:{KEY},b:{}", &KEY[1..]),
            "key 2 is not base64 of 32 bytes",
        ),
        (
            format!("a:{KEY}AAAAAAAAAAAA"),
            "key 1 is not base64 of 32 bytes",
        ),
        (
            format!("a:{}", KEY.replace('A', "*")),
            "key 1 is not base64 of 32 bytes",
        ),
        (
            format!("a:{KEY} a:{KEY}"),
            "key 2 has the id of an earlier one",
        ),
        (many, "key 65 is one too many"),
    ] {
        let error = parse(&list).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with(&format!("encryption {problem}")),
            "{error}"
        );
        assert!(!error.to_string().contains(&KEY[..8]));
        assert!(!format!("{error:?}").contains(&KEY[..8]));
    }
}

#[test]
fn keys_are_never_shown() {
    let keys = EncryptionKeys::new("2026", [171; 32]).unwrap();
    for shown in [format!("{keys:?}"), format!("{keys:#?}")] {
        assert!(shown.contains("2026"));
        for part in ["171", "ab", "AB", "q6"] {
            assert!(!shown.contains(part), "{shown}");
        }
    }
}
