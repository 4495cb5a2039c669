use super::*;

fn parse(text: &str) -> Option<u64> {
    parse_saturating(text.bytes())
}

#[test]
fn digits_are_a_number() {
    assert_eq!(parse("0"), Some(0));
    assert_eq!(parse("0017"), Some(17));
    assert_eq!(parse("18446744073709551615"), Some(u64::MAX));
}

#[test]
fn too_large_a_number_is_the_largest() {
    assert_eq!(parse("18446744073709551616"), Some(u64::MAX));
    assert_eq!(parse(&"9".repeat(1_000)), Some(u64::MAX));
}

#[test]
fn anything_else_is_nothing() {
    for text in ["", " ", "-1", "+1", "1.0", "1e3", "0x1", "١"] {
        assert_eq!(parse(text), None, "{text:?}");
    }
}
