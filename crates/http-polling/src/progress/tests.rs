use super::*;

fn json(progress: &Progress) -> String {
    serde_json::to_string(progress).unwrap()
}

#[test]
fn a_fraction_stays_within_its_bounds() {
    assert_eq!(Progress::fraction(-0.5).fraction, Some(0.0));
    assert_eq!(Progress::fraction(f64::INFINITY).fraction, Some(1.0));
    assert_eq!(Progress::fraction(f64::NAN).fraction, None);
}

#[test]
fn members_set_by_hand_are_kept_in_bounds_too() {
    let mut progress = Progress::of(1, 2);
    progress.fraction = Some(f64::NAN);
    assert_eq!(json(&progress), r#"{"done":1,"total":2}"#);
    assert_eq!(progress.ratio(), Some(0.5));
    progress.fraction = Some(f64::INFINITY);
    assert_eq!(json(&progress), r#"{"fraction":1.0,"done":1,"total":2}"#);
    assert_eq!(progress.ratio(), Some(1.0));
}

#[test]
fn what_is_read_is_kept_in_bounds() {
    let read = |json| serde_json::from_str::<Progress>(json).unwrap();
    assert_eq!(read(r#"{"fraction":1e300}"#).fraction, Some(1.0));
    assert_eq!(read(r#"{"fraction":-1}"#).fraction, Some(0.0));
    assert_eq!(read(r#"{"fraction":null,"novel":[]}"#), Progress::default());
}

#[test]
fn units_make_a_fraction() {
    assert_eq!(Progress::of(3, 4).fraction, Some(0.75));
    assert_eq!(Progress::of(5, 4).fraction, Some(1.0));
    assert_eq!(Progress::of(0, 0).fraction, None);
    assert_eq!(Progress::of(u64::MAX, u64::MAX).fraction, Some(1.0));
}

#[test]
fn absent_members_are_not_written() {
    assert_eq!(json(&Progress::default()), "{}");
    assert_eq!(
        json(&Progress::default().with_message("warming up")),
        r#"{"message":"warming up"}"#
    );
}

#[test]
fn display_tells_what_there_is() {
    assert_eq!(Progress::fraction(0.999).to_string(), "99 %");
    assert_eq!(Progress::of(2, 0).to_string(), "(2 of 0)");
    assert_eq!(Progress::default().with_message("x").to_string(), "x");
    assert_eq!(Progress::default().to_string(), "");
}
